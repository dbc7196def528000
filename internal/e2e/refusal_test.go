// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lifetrace/lifetrace/internal/probes/probetest"
	"github.com/lifetrace/lifetrace/internal/timeline"
)

// fails runs a command line that must fail, and returns its one line.
func fails(t *testing.T, want int, attr *syscall.SysProcAttr, args ...string) string {
	t.Helper()
	cmd := exec.Command(build(t), args...)
	cmd.SysProcAttr = attr
	var errs strings.Builder
	cmd.Stderr = &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != want {
		t.Fatalf("lifetrace %s: %v, want exit code %d\n%s", strings.Join(args, " "), err, want, errs.String())
	}
	line := errs.String()
	if strings.Count(line, "\n") != 1 || !strings.HasPrefix(line, "lifetrace: ") {
		t.Errorf("lifetrace %s said, want one line:\n%s", strings.Join(args, " "), line)
	}
	return line
}

func nobody(t *testing.T) *syscall.SysProcAttr {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to become nobody")
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
}

func TestRefusals(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	if err := os.WriteFile(bad, []byte("listen: :0\nno-such-key: 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	base := []string{"--listen=127.0.0.1:0", "--admin=127.0.0.1:0", "--probes=off"}
	for name, c := range map[string]struct {
		code int
		args []string
		says []string
	}{
		"unknown flag":      {2, []string{"run", "--no-such-flag"}, []string{"no-such-flag", "--help"}},
		"unknown command":   {2, []string{"rnu"}, []string{"rnu", "run"}},
		"bad value":         {2, []string{"run", "--loops=0"}, []string{"--loops", "0"}},
		"bad address":       {2, []string{"run", "--listen=8080"}, []string{"--listen", ":8080"}},
		"server port taken": {1, append(base, "--listen="+taken), []string{taken, "address already in use", "--listen"}},
		"no such address":   {1, append(base, "--listen=192.0.2.1:0"), []string{"192.0.2.1", "--listen"}},
		"admin port taken":  {1, append(base, "--admin="+taken), []string{taken, "address already in use", "--admin"}},
		"config missing":    {1, append(base, "--config="+dir+"/none.yaml"), []string{"none.yaml", "no such file"}},
		"config wrong":      {2, append(base, "--config="+bad), []string{"bad.yaml", "no-such-key"}},
		"ready file":        {1, append(base, "--ready-file=/no/such/dir/ready"), []string{"ready file", "no such file"}},
		"no daemon":         {1, []string{"dump", "--admin=127.0.0.1:1"}, []string{"127.0.0.1:1", "lifetrace run"}},
	} {
		t.Run(name, func(t *testing.T) {
			args := c.args
			if args[0] != "run" && strings.HasPrefix(args[0], "--") {
				args = append([]string{"run"}, args...)
			}
			line := fails(t, c.code, nil, args...)
			for _, want := range c.says {
				if !strings.Contains(line, want) {
					t.Errorf("%q does not say %q", line, want)
				}
			}
		})
	}
}

func TestNoPermission(t *testing.T) {
	line := fails(t, 3, nobody(t), "run", "--probes=require", "--listen=127.0.0.1:0", "--admin=127.0.0.1:0")
	for _, want := range []string{"CAP_BPF", "CAP_PERFMON", "sudo"} {
		if !strings.Contains(line, want) {
			t.Errorf("%q does not say %q", line, want)
		}
	}
	fails(t, 3, nobody(t), "doctor")
	if low, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start"); err == nil && strings.TrimSpace(string(low)) != "0" {
		line = fails(t, 1, nobody(t), "run", "--probes=off", "--listen=127.0.0.1:80", "--admin=127.0.0.1:0")
		if !strings.Contains(line, "permission denied") || !strings.Contains(line, "--listen") {
			t.Errorf("%q does not say permission denied, nor what to do", line)
		}
	}
}

// Two capabilities are enough for a user without any right but those; the SYN
// is derived then, and says so.
func TestWithTwoCapabilities(t *testing.T) {
	probetest.Require(t)
	attr := nobody(t)
	const perfmon, bpf = 38, 39
	attr.AmbientCaps = []uintptr{perfmon, bpf}
	d := startAs(t, attr)
	if !strings.Contains(d.errs.String(), "CAP_NET_ADMIN") {
		t.Errorf("it does not say what is missing:\n%s", d.errs.String())
	}
	c := d.dial()
	c.send(get("/users/1"))
	c.response()
	c.Close()
	tl := d.timelines(c.peer, 1)[0]
	complete(t, tl)
	if m := tl.Marks[0]; m.Name != "tcp.syn" || m.Source != timeline.Derived {
		t.Errorf("it begins with %+v, want a derived SYN", m)
	}
	if s := tl.Spans[0]; s.Name != "tcp.handshake" || s.Detail == nil || !s.Detail.Derived {
		t.Errorf("it begins with %+v, want a derived handshake", s)
	}
}

// Without probes the server's own marks still make a timeline, and what is
// missing is said.
func TestProbesOff(t *testing.T) {
	d := startWith(t, "--probes=off")
	c := d.dial()
	c.send(get("/users/1") + get("/users/2"))
	c.response()
	c.response()
	c.Close()
	for _, tl := range d.timelines(c.peer, 2) {
		if tl.Incomplete != timeline.Unsupported || len(tl.Unsupported) == 0 {
			t.Errorf("incomplete %v, unsupported %v, want it unsupported", tl.Incomplete.Names(), tl.Unsupported)
		}
		for _, m := range tl.Marks {
			if m.Source != timeline.FromServer {
				t.Errorf("%s was seen by %v", m.Name, m.Source)
			}
		}
		if spent(tl, "handler:user") < 0 || tl.Duration <= 0 {
			t.Errorf("duration %d", tl.Duration)
		}
	}
}

// Garbage on the socket is refused and the server goes on.
func TestGarbage(t *testing.T) {
	d := start(t)
	for _, garbage := range []string{
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", // a TLS client
		"GET / HTTP/9.9\r\n\r\n",
		strings.Repeat("\x00", 100_000),
		"GET /" + strings.Repeat("a", 100_000) + " HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /users/1 HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		c := d.dial()
		_, _ = io.WriteString(c, garbage) // the server may have had enough before
		_ = c.Conn.(*net.TCPConn).CloseWrite()
		b, _ := io.ReadAll(c)
		answer := string(b)
		if !strings.HasPrefix(answer, "HTTP/1.1 4") && !strings.HasPrefix(answer, "HTTP/1.1 505") ||
			strings.Count(answer, "HTTP/1.1") != 1 {
			t.Errorf("%.20q was answered with %q, want one 4xx or 505", garbage, answer)
		}
	}
	c := d.dial()
	c.send(get("/users/1"))
	if status, _ := c.response(); status != 200 {
		t.Errorf("status %d after the garbage", status)
	}
}
