// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lifetrace/lifetrace/internal/timeline"
)

// capture runs tcpdump on the server's port until the returned function is
// called, which gives what was captured.
func capture(t *testing.T, server netip.AddrPort) func() []packet {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lo.pcap")
	cmd := exec.Command("tcpdump", "-i", "lo", "-w", path, "--immediate-mode", "-U", "-s", "128", "-B", "16384",
		"--time-stamp-precision=nano", "-Z", "root", fmt.Sprintf("tcp port %d", server.Port()))
	var said strings.Builder
	cmd.Stderr = &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	// It listens from when the file has its header.
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := readPcap(path); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("tcpdump does not begin: %s", said.String())
		}
	}
	return func() []packet {
		t.Helper()
		time.Sleep(200 * time.Millisecond) // what is in its buffer
		_ = cmd.Process.Signal(syscall.SIGINT)
		_ = cmd.Wait()
		if !strings.Contains(said.String(), "0 packets dropped by kernel") {
			t.Fatalf("tcpdump did not see everything: %s", said.String())
		}
		ps, err := readPcap(path)
		if err != nil {
			t.Fatal(err)
		}
		return ps
	}
}

// The kernel's truth from outside: for each request, tcpdump's instants of the
// SYN, the first segment of the request, the last segment of the response and
// its ACK are lifetrace's.
//
// The figure is that of an unloaded run, and whether a run was one cannot be told
// beforehand: a neighbour on the host can take the CPU between the two clocks'
// readings. So there are up to three, and one must do. An error of ours would
// be in all of them.
func TestOracle(t *testing.T) {
	for round := 1; ; round++ {
		wrong := oracle(t)
		if wrong == "" || t.Failed() {
			return
		}
		if t.Logf("round %d: %s", round, wrong); round == 3 {
			t.Error(wrong)
			return
		}
	}
}

// oracle does one run and returns what is too far off, "" if nothing is.
func oracle(t *testing.T) (wrong string) {
	t.Helper()
	d := start(t)
	defer d.stop()
	server := netip.MustParseAddrPort(d.listen)
	stop := capture(t, server)
	const conns, perConn = 300, 4
	for n := range conns {
		c := d.dial()
		for i := range perConn {
			switch {
			case i == perConn-1 && n%2 == 0:
				// The server closes: its FIN follows the response at once.
				c.send("GET /users/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			case i%3 == 0:
				c.send(get("/users/42"))
			case i%3 == 1:
				c.send(get("/bytes/20000"))
			default:
				c.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
				c.send("some more")
			}
			if status, _ := c.response(); status != 200 {
				t.Fatalf("status %d", status)
			}
		}
		c.Close()
		time.Sleep(time.Millisecond)
	}
	ts := d.timelines("", conns*perConn)
	seen := flows(stop(), server)

	errors := map[string][]int64{} // ns, absolute
	compare := func(what string, tl *timeline.Timeline, mark string, truth int64) {
		ns, ok := at(tl, mark)
		if !ok {
			t.Errorf("%s, exchange %d: no %s", tl.Request.Target, tl.Connection.Exchange, mark)
			return
		}
		errors[what] = append(errors[what], max(tl.Started().UnixNano()+ns-truth, truth-tl.Started().UnixNano()-ns))
	}
	for _, tl := range ts {
		complete(t, tl)
		f := seen[tl.Connection.Peer]
		if f == nil {
			t.Fatalf("tcpdump did not see %v", tl.Connection.Peer)
		}
		if tl.Connection.Exchange == 0 {
			compare("SYN", tl, "tcp.syn", f.syn)
		}
		r0, t1 := tl.Request.Offset, tl.Response.Offset+tl.Response.Bytes
		truth := func(what string, segs []segment, first func(segment) bool) int64 {
			i := slices.IndexFunc(segs, first)
			if i < 0 {
				t.Fatalf("%s, exchange %d: tcpdump saw no %s", tl.Request.Target, tl.Connection.Exchange, what)
			}
			return segs[i].at
		}
		compare("first data segment", tl, "data.first",
			truth("first data segment", f.fromClient, func(s segment) bool { return s.end > r0 && s.end > s.begin }))
		compare("last response segment", tl, "xmit.last",
			truth("last response segment", f.sent, func(s segment) bool { return s.end >= t1 && s.end > s.begin }))
		compare("ACK", tl, "ack.last",
			truth("ACK", f.fromClient, func(s segment) bool { return s.acks >= t1 }))
	}
	for what, es := range errors {
		slices.Sort(es)
		p99 := time.Duration(es[len(es)*99/100])
		t.Logf("%-22s n %3d   median %8v   p99 %8v   max %8v", what, len(es), time.Duration(es[len(es)/2]), p99, time.Duration(es[len(es)-1]))
		if p99 > 100*time.Microsecond {
			wrong += fmt.Sprintf("%s: p99 of the difference to tcpdump is %v, want at most 100us. ", what, p99)
		}
	}
	return wrong
}
