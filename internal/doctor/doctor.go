// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/lifetrace/lifetrace/internal/probes"
)

// Report is what was found.
type Report struct {
	Kernel string `json:"kernel"`
	Arch   string `json:"arch"`
	// Able is whether the main job can run here; Reason says why not, and
	// what to do.
	Able   bool    `json:"able"`
	Reason string  `json:"reason,omitempty"`
	Hooks  []Hook  `json:"hooks"`
	Checks []Check `json:"checks"`
}

// Hook is one hook on this host.
type Hook struct {
	Steps    string `json:"steps"`
	Point    string `json:"hook"`
	Attach   string `json:"attach"`
	Required bool   `json:"required"`
	Up       bool   `json:"up"`
	Why      string `json:"why,omitempty"`     // the kernel's answer
	Without  string `json:"without,omitempty"` // what is lost
}

// NotTried is a hook's Why where nothing could be loaded at all.
const NotTried = "not tried"

// Check is one property of the host.
type Check struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	OK    bool   `json:"ok"`
	Fix   string `json:"fix,omitempty"`
}

// Examine tries everything. Nothing stays attached.
func Examine() Report {
	r := Report{Checks: hostChecks()}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		r.Kernel, r.Arch = unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Machine[:])
	}
	// No connection is to port 1 of this host, so nothing is traced meanwhile.
	p, err := probes.Load(probes.Options{Port: 1, Slots: 1})
	if err != nil {
		r.Reason = err.Error()
		if errors.Is(err, probes.ErrNotPermitted) {
			r.Reason += "; without it only --probes=off runs"
		}
		for _, h := range probes.Hooks() {
			r.Hooks = append(r.Hooks, Hook{
				Steps: h.Steps, Point: h.Point, Attach: string(h.Attach), Required: h.Required,
				Why: NotTried, Without: h.Without,
			})
		}
		return r
	}
	defer p.Close()
	r.Able = true
	for _, s := range p.States() {
		h := Hook{Steps: s.Steps, Point: s.Point, Attach: string(s.Attach), Required: s.Required, Up: s.Err == nil}
		if s.Err != nil {
			h.Why, h.Without = s.Err.Error(), s.Without
		}
		r.Hooks = append(r.Hooks, h)
	}
	return r
}

func hostChecks() []Check {
	return []Check{
		permission(),
		file("BTF", "/sys/kernel/btf/vmlinux", "use a kernel built with CONFIG_DEBUG_INFO_BTF=y"),
		lockdown("/sys/kernel/security/lockdown"),
		somaxconn("/proc/sys/net/core/somaxconn"),
		netAdmin(),
		pidNamespace(),
	}
}

func permission() Check {
	c := Check{Name: "capabilities", Value: "CAP_BPF, CAP_PERFMON", OK: true}
	if err := probes.Permitted(); errors.Is(err, probes.ErrNotPermitted) {
		c.Value, c.OK, c.Fix = "CAP_BPF or CAP_PERFMON is missing", false, "run it with sudo"
	}
	return c
}

func netAdmin() Check {
	if probes.HasNetAdmin() {
		return Check{Name: "net admin", Value: "CAP_NET_ADMIN", OK: true}
	}
	return Check{Name: "net admin", Value: "CAP_NET_ADMIN is missing", Fix: "run it with sudo to see the SYN itself"}
}

func file(name, path, fix string) Check {
	if _, err := os.Stat(path); err != nil {
		return Check{Name: name, Value: path + " is not there", Fix: fix}
	}
	return Check{Name: name, Value: path, OK: true}
}

// lockdown reads "none [integrity] confidentiality". Only confidentiality
// forbids reading kernel memory (kernel_lockdown(7)).
func lockdown(path string) Check {
	c := Check{Name: "lockdown", Value: "none", OK: true}
	b, err := os.ReadFile(path)
	if err != nil {
		return c // the kernel has none
	}
	if _, rest, ok := strings.Cut(string(b), "["); ok {
		c.Value, _, _ = strings.Cut(rest, "]")
	}
	if c.Value == "confidentiality" {
		c.OK, c.Fix = false, "boot without lockdown=confidentiality: it forbids probes to read kernel memory"
	}
	return c
}

// backlog is what the server asks for.
const backlog = 511

func somaxconn(path string) Check {
	c := Check{Name: "somaxconn", OK: true}
	b, err := os.ReadFile(path)
	if err != nil {
		c.Value = "unknown"
		return c
	}
	c.Value = strings.TrimSpace(string(b))
	if n, err := strconv.Atoi(c.Value); err == nil && n < backlog {
		c.OK = false
		c.Fix = "sysctl -w net.core.somaxconn=4096: it cuts the accept queue of every listener"
	}
	return c
}

func pidNamespace() Check {
	if probes.InInitialPIDNamespace() {
		return Check{Name: "pid namespace", Value: "the host's", OK: true}
	}
	return Check{
		Name: "pid namespace", Value: "a container's",
		Fix: "run it in the host's (docker run --pid=host, hostPID: true): else no loop thread is recognised, and steps 3 and 4 come from the server's stamps",
	}
}
