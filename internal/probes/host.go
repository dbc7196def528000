// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// ErrNotPermitted is what Permitted's error wraps: the process lacks a
// capability. ErrNoBTF: the kernel was built without CONFIG_DEBUG_INFO_BTF.
var (
	ErrNotPermitted = errors.New("not permitted")
	ErrNoBTF        = errors.New("the kernel has no BTF")
)

// Capability bits, capabilities(7).
const (
	capNetAdmin = 12
	capSysAdmin = 21
	capPerfmon  = 38
	capBPF      = 39
)

// Permitted tells whether this process may load the probes at all.
func Permitted() error {
	caps, err := effectiveCaps("/proc/self/status")
	if err != nil {
		return err
	}
	has := func(bit uint) bool { return caps&(1<<bit|1<<capSysAdmin) != 0 }
	var missing []string
	if !has(capBPF) {
		missing = append(missing, "CAP_BPF")
	}
	if !has(capPerfmon) {
		missing = append(missing, "CAP_PERFMON")
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: the probes need %s: run it with sudo", ErrNotPermitted, strings.Join(missing, " and "))
	}
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		return fmt.Errorf("%w (/sys/kernel/btf/vmlinux is not there): the probes need a kernel built with CONFIG_DEBUG_INFO_BTF=y", ErrNoBTF)
	}
	return nil
}

// HasNetAdmin tells whether the SYN hook may be attached.
func HasNetAdmin() bool {
	caps, err := effectiveCaps("/proc/self/status")
	return err == nil && caps&(1<<capNetAdmin) != 0
}

func effectiveCaps(status string) (uint64, error) {
	f, err := os.Open(status)
	if err != nil {
		return 0, fmt.Errorf("read capabilities: %w", err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		if hex, ok := strings.CutPrefix(s.Text(), "CapEff:"); ok {
			return strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
		}
	}
	return 0, fmt.Errorf("read capabilities: no CapEff in %s", status)
}

// cgroup2Mount finds where the cgroup v2 hierarchy is mounted: not always at
// /sys/fs/cgroup, where a hybrid system has v1.
func cgroup2Mount(mountinfo string) (string, error) {
	f, err := os.Open(mountinfo)
	if err != nil {
		return "", fmt.Errorf("find cgroup v2: %w", err)
	}
	defer f.Close()
	return parseCgroup2Mount(f)
}

// parseCgroup2Mount reads the format of proc_pid_mountinfo(5): the file system
// type follows a lone "-" after a varying number of fields.
func parseCgroup2Mount(r io.Reader) (string, error) {
	s := bufio.NewScanner(r)
	for s.Scan() {
		before, after, ok := strings.Cut(s.Text(), " - ")
		if !ok || !strings.HasPrefix(after, "cgroup2 ") {
			continue
		}
		if f := strings.Fields(before); len(f) >= 5 {
			return unescapeOctal(f[4]), nil
		}
	}
	if err := s.Err(); err != nil {
		return "", fmt.Errorf("find cgroup v2: %w", err)
	}
	return "", errors.New("no cgroup v2 mount: mount one with \"mount -t cgroup2 none DIR\"")
}

// unescapeOctal undoes \040 and its kin, which mountinfo uses for blanks.
func unescapeOctal(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(v))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// namespaceInode returns the number of one of this process's namespaces.
func namespaceInode(kind string) (uint32, error) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/"+kind, &st); err != nil {
		return 0, fmt.Errorf("read own %s namespace: %w", kind, err)
	}
	return uint32(st.Ino), nil
}

// initPidNS is PROC_PID_INIT_INO, the fixed inode of the first pid namespace
// (include/linux/proc_ns.h).
const initPidNS = 0xEFFFFFFC

// InInitialPIDNamespace tells whether this process's thread ids are those the
// kernel's hooks see. In another pid namespace loop threads cannot be watched.
func InInitialPIDNamespace() bool {
	ino, err := namespaceInode("pid")
	return err == nil && ino == initPidNS
}

// hasTracepoint tells whether the kernel has a typed tracepoint of this name.
func hasTracepoint(types *btf.Cache, name string) bool {
	spec, err := types.Kernel()
	if err != nil {
		return false
	}
	var t *btf.Typedef
	return spec.TypeByName("btf_trace_"+name, &t) == nil
}

// resetReasons reads enum sk_rst_reason from the kernel's own types.
func resetReasons(types *btf.Cache) map[uint32]string {
	out := map[uint32]string{}
	spec, err := types.Kernel()
	if err != nil {
		return out
	}
	var e *btf.Enum
	if spec.TypeByName("sk_rst_reason", &e) != nil {
		return out
	}
	for _, v := range e.Values {
		out[uint32(v.Value)] = strings.ToLower(strings.TrimPrefix(v.Name, "SK_RST_REASON_"))
	}
	return out
}
