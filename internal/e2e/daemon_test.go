// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lifetrace/lifetrace/internal/probes/probetest"
	"github.com/lifetrace/lifetrace/internal/timeline"
)

// built builds lifetrace once for all tests of the package.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "lifetrace-e2e-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "lifetrace")
	cmd := exec.Command("go", "build", "-o", path, "github.com/lifetrace/lifetrace/cmd/lifetrace")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	// Tests that run it as nobody must be able to reach it.
	return path, os.Chmod(dir, 0o755)
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := built(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

func build(t testing.TB) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// daemon is a running lifetrace.
type daemon struct {
	t             testing.TB
	cmd           *exec.Cmd
	listen, admin string
	out, errs     bytes.Buffer
	expected      int // timelines that newest has returned
}

// start runs lifetrace with kernel probes until the test ends.
func start(t testing.TB, args ...string) *daemon {
	t.Helper()
	probetest.Require(t)
	return startWith(t, append([]string{"--probes=require"}, args...)...)
}

func startWith(t testing.TB, args ...string) *daemon {
	t.Helper()
	return startAs(t, &syscall.SysProcAttr{}, args...)
}

// startAs runs lifetrace with a process's attributes.
func startAs(t testing.TB, attr *syscall.SysProcAttr, args ...string) *daemon {
	t.Helper()
	dir, err := os.MkdirTemp("", "lifetrace-ready-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if attr.Credential != nil {
		if err := os.Chown(dir, int(attr.Credential.Uid), int(attr.Credential.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	ready := filepath.Join(dir, "ready")
	d := &daemon{t: t}
	d.cmd = exec.Command(build(t), append([]string{
		"run", "--listen=127.0.0.1:0", "--admin=127.0.0.1:0", "--ready-file=" + ready,
	}, args...)...)
	d.cmd.Stdout, d.cmd.Stderr = &d.out, &d.errs
	// The daemon must not outlive a test binary that is killed.
	attr.Pdeathsig = syscall.SIGKILL
	d.cmd.SysProcAttr = attr
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.stop)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		b, err := os.ReadFile(ready)
		if err == nil {
			for line := range strings.Lines(string(b)) {
				k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
				switch k {
				case "listen":
					d.listen = v
				case "admin":
					d.admin = v
				}
			}
			return d
		}
		if time.Now().After(deadline) {
			t.Fatalf("the daemon is not ready\n%s%s", d.out.String(), d.errs.String())
		}
	}
}

// stop ends the daemon as a service manager does and holds it to its promises.
func (d *daemon) stop() {
	if d.cmd.ProcessState != nil {
		return
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(20*time.Second, func() { _ = d.cmd.Process.Kill() })
	defer timer.Stop()
	if err := d.cmd.Wait(); err != nil {
		d.t.Errorf("lifetrace run: %v", err)
	}
	if s := d.errs.String(); strings.Contains(s, "panic") || strings.Contains(s, "goroutine ") {
		d.t.Errorf("lifetrace run said:\n%s", s)
	}
	if d.t.Failed() {
		d.t.Logf("lifetrace run said:\n%s%s", d.out.String(), d.errs.String())
	}
}

// get reads a path of the admin endpoint.
func (d *daemon) get(path string) string {
	d.t.Helper()
	resp, err := http.Get("http://" + d.admin + path)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		d.t.Fatalf("GET %s: %s, %v\n%s", path, resp.Status, err, b)
	}
	return string(b)
}

// timelines waits until want timelines of the client at peer are there and
// returns them in the order of the exchanges, each checked. An empty peer is
// any client.
func (d *daemon) timelines(peer string, want int) []*timeline.Timeline {
	d.t.Helper()
	var got []*timeline.Timeline
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		got = got[:0]
		for _, t := range d.last(10_000) {
			if peer == "" || t.Connection.Peer.String() == peer {
				got = append(got, t)
			}
		}
		if len(got) >= want {
			break
		}
		if time.Now().After(deadline) {
			d.t.Fatalf("%d timelines, want %d", len(got), want)
		}
	}
	if len(got) > want {
		d.t.Fatalf("%d timelines, want %d", len(got), want)
	}
	return d.checked(got)
}

// newest waits until n timelines have come since it was called last and returns
// those.
func (d *daemon) newest(n int) []*timeline.Timeline {
	d.t.Helper()
	d.expected += n
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		seen := int(d.metric("lifetrace_timelines_total", ""))
		if seen == d.expected {
			return d.checked(d.last(n))
		}
		if seen > d.expected || time.Now().After(deadline) {
			d.t.Fatalf("%d timelines, want %d", seen, d.expected)
		}
	}
}

func (d *daemon) last(n int) (ts []*timeline.Timeline) {
	d.t.Helper()
	if err := json.Unmarshal([]byte(d.get(fmt.Sprintf("/api/v1/timelines?last=%d", n))), &ts); err != nil {
		d.t.Fatal(err)
	}
	return ts
}

func (d *daemon) checked(ts []*timeline.Timeline) []*timeline.Timeline {
	d.t.Helper()
	sortByExchange(ts)
	for _, t := range ts {
		check(d.t, t)
	}
	return ts
}

// client is a raw connection to the server.
type client struct {
	net.Conn
	t    testing.TB
	peer string // how the daemon names it
	in   *bufReader
}

func (d *daemon) dial() *client {
	d.t.Helper()
	c, err := net.DialTimeout("tcp", d.listen, 5*time.Second)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	return &client{Conn: c, t: d.t, peer: c.LocalAddr().String(), in: newBufReader(c)}
}

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatal(err)
	}
}
