// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lifetrace/lifetrace/internal/timeline"
)

// The main job: one curl, two requests on one connection.
func TestFirstAndSecondRequest(t *testing.T) {
	d := start(t)
	out, err := exec.Command("curl", "-sS", "--noproxy", "*", "http://"+d.listen+"/users/42", "http://"+d.listen+"/users/43").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ts := d.timelines("", 2)
	first, second := ts[0], ts[1]
	if first.Connection.Cookie != second.Connection.Cookie || first.Connection.Exchange != 0 || second.Connection.Exchange != 1 {
		t.Errorf("connections %+v, %+v, want exchanges 0 and 1 of one", first.Connection, second.Connection)
	}
	complete(t, first)
	complete(t, second)
	if m := first.Marks[0]; m.Name != "tcp.syn" || m.At != 0 || m.Source != timeline.FromKernel {
		t.Errorf("the first begins with %+v, want the SYN, seen by the kernel", m)
	}
	if m := second.Marks[0]; m.Name != "data.first" || m.At != 0 || m.Source != timeline.FromKernel {
		t.Errorf("the second begins with %+v, want its first byte, seen by the kernel", m)
	}
	for step := 1; step <= 16; step++ {
		if !steps(first)[step] {
			t.Errorf("step %d has no span in the first: %+v", step, first.Spans)
		}
	}
	for i, tl := range ts {
		if last, _ := at(tl, "ack.last"); last != tl.Duration {
			t.Errorf("request %d lasts %d ns, its last ACK is at %d ns", i, tl.Duration, last)
		}
		if tl.Request.Route != "/users/:id" || tl.Request.Method != "GET" || tl.Response.Status != 200 ||
			tl.Request.Target != fmt.Sprintf("/users/%d", 42+i) {
			t.Errorf("request %d: %+v, %+v", i, tl.Request, tl.Response)
		}
		for _, m := range tl.Marks {
			kernel := slices.Contains([]string{
				"tcp.syn", "tcp.established", "epoll.wake", "loop.running", "epoll.return",
				"accept", "data.first", "recv.first", "send.last", "xmit.first", "xmit.last", "ack.last",
			}, m.Name)
			if kernel && m.Source != timeline.FromKernel {
				t.Errorf("request %d: %s was seen by %v, want the kernel", i, m.Name, m.Source)
			}
		}
	}
	for _, s := range first.Spans {
		if s.Name == "accept.queue" && (s.Detail == nil || s.Detail.Depth != 1 || s.Detail.Limit != 511) {
			t.Errorf("accept queue %+v, want depth 1 and limit 511", s.Detail)
		}
	}
	// The same through the command line.
	text, err := exec.Command(build(t), "dump", "--admin", d.admin, "--last", "1").CombinedOutput()
	if err != nil || !strings.Contains(string(text), "/users/43") {
		t.Errorf("dump: %v\n%s", err, text)
	}
}

// ranges checks that the timelines' bytes are those that were sent, in order
// and without a hole.
func ranges(t *testing.T, ts []*timeline.Timeline, requests []string, responses []int) {
	t.Helper()
	var rx, tx uint64
	for i, tl := range ts {
		if tl.Request.Offset != rx || tl.Request.Bytes != uint64(len(requests[i])) {
			t.Errorf("request %d is %d bytes at %d, want %d at %d", i, tl.Request.Bytes, tl.Request.Offset, len(requests[i]), rx)
		}
		if tl.Response.Offset != tx || tl.Response.Bytes != uint64(responses[i]) {
			t.Errorf("response %d is %d bytes at %d, want %d at %d", i, tl.Response.Bytes, tl.Response.Offset, responses[i], tx)
		}
		rx += uint64(len(requests[i]))
		tx += uint64(responses[i])
	}
}

// pipelined returns n requests of different lengths.
func pipelined(n int) (out []string) {
	for i := range n {
		out = append(out, get("/users/"+strings.Repeat("7", i+1)))
	}
	return out
}

// readResponses reads n responses and returns the length of each on the wire.
func (c *client) readResponses(n int) (sizes []int) {
	c.t.Helper()
	counted := &countReader{r: c.Conn}
	c.in = newBufReader(counted)
	before := 0
	for range n {
		if status, body := c.response(); status != 200 {
			c.t.Fatalf("status %d: %s", status, body)
		}
		at := counted.n - c.in.Buffered()
		sizes = append(sizes, at-before)
		before = at
	}
	return sizes
}

type countReader struct {
	r io.Reader
	n int
}

func (c *countReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += n
	return n, err
}

// Sixteen requests in one write: the answers go out in one send, so all
// timelines share its instants, and still have their own bytes.
func TestPipelinedInOneWrite(t *testing.T) {
	for _, n := range []int{8, 16} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			d := start(t)
			c := d.dial()
			reqs := pipelined(n)
			c.send(strings.Join(reqs, ""))
			sizes := c.readResponses(n)
			c.Close()
			ts := d.timelines(c.peer, n)
			ranges(t, ts, reqs, sizes)
			wall := func(tl *timeline.Timeline, mark string) int64 {
				ns, ok := at(tl, mark)
				if !ok {
					t.Fatalf("exchange %d has no %s", tl.Connection.Exchange, mark)
				}
				return tl.Started().UnixNano() + ns
			}
			for i, tl := range ts {
				complete(t, tl)
				for _, m := range []string{"send.first", "xmit.last", "ack.last"} {
					if a, b := wall(ts[0], m), wall(tl, m); a != b {
						t.Errorf("exchange %d: %s is %d ns from the first's, want the same instant", i, m, b-a)
					}
				}
			}
		})
	}
}

// The same sixteen, cut in two at every byte.
func TestPipelinedSplitAtEveryByte(t *testing.T) {
	d := start(t)
	reqs := pipelined(16)
	all := strings.Join(reqs, "")
	// In lots, so that the newest timelines are always those of one lot.
	const lot = 40
	for from := 1; from < len(all); from += lot {
		to := min(from+lot, len(all))
		sizes := map[string][]int{}
		for cut := from; cut < to; cut++ {
			c := d.dial()
			c.send(all[:cut])
			// The second half is to be a segment of its own.
			time.Sleep(200 * time.Microsecond)
			c.send(all[cut:])
			sizes[c.peer] = c.readResponses(len(reqs))
			c.Close()
		}
		byPeer := map[string][]*timeline.Timeline{}
		for _, tl := range d.newest(16 * (to - from)) {
			p := tl.Connection.Peer.String()
			byPeer[p] = append(byPeer[p], tl)
			complete(t, tl)
		}
		for peer, want := range sizes {
			if len(byPeer[peer]) != len(reqs) {
				t.Fatalf("%s: %d timelines, want %d", peer, len(byPeer[peer]), len(reqs))
			}
			ranges(t, byPeer[peer], reqs, want)
		}
	}
}

// Ten megabytes to a client that does not read at first.
func TestSlowReader(t *testing.T) {
	d := start(t)
	c := d.dial()
	_ = c.Conn.(*net.TCPConn).SetReadBuffer(16 << 10)
	const size = 10_000_000
	c.send(get(fmt.Sprintf("/bytes/%d", size)))
	time.Sleep(300 * time.Millisecond)
	status, body := c.response()
	if status != 200 || len(body) != size {
		t.Fatalf("status %d, %d bytes", status, len(body))
	}
	c.Close()
	tl := d.timelines(c.peer, 1)[0]
	complete(t, tl)
	if tl.Response.Bytes < size {
		t.Errorf("response of %d bytes, want more than %d", tl.Response.Bytes, size)
	}
	if ns := spent(tl, "backpressure"); ns < int64(200*time.Millisecond) {
		t.Errorf("backpressure %v of %v, want most of the 300 ms in which nobody read", time.Duration(ns), time.Duration(tl.Duration))
	}
}

// A POST in five pieces, 20 ms apart.
func TestBodyInPieces(t *testing.T) {
	d := start(t)
	c := d.dial()
	c.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n")
	for range 5 {
		time.Sleep(20 * time.Millisecond)
		c.send("0123456789")
	}
	status, body := c.response()
	if status != 200 || body != strings.Repeat("0123456789", 5) {
		t.Fatalf("status %d, %q", status, body)
	}
	c.Close()
	tl := d.timelines(c.peer, 1)[0]
	complete(t, tl)
	if ns := spent(tl, "body.wait"); ns < int64(80*time.Millisecond) {
		t.Errorf("body.wait %v of %v, want most of the 100 ms that the client took", time.Duration(ns), time.Duration(tl.Duration))
	}
	if want := uint64(len("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n") + 50); tl.Request.Bytes != want {
		t.Errorf("request of %d bytes, want %d", tl.Request.Bytes, want)
	}
}

// A client that resets half-way, in the request and in the response.
func TestClientResets(t *testing.T) {
	d := start(t)
	for _, request := range []string{
		"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nhalf of it",
		get("/bytes/50000000"),
	} {
		c := d.dial()
		c.send(request)
		time.Sleep(50 * time.Millisecond)
		_ = c.Conn.(*net.TCPConn).SetLinger(0)
		c.Close()
		tl := d.timelines(c.peer, 1)[0]
		if tl.Incomplete&timeline.Aborted == 0 || tl.End == "ack" {
			t.Errorf("%q: incomplete %v, ended by %q, want aborted", request[:10], tl.Incomplete.Names(), tl.End)
		}
		if _, ok := at(tl, "tcp.reset"); !ok {
			t.Errorf("%q: no tcp.reset in %+v", request[:10], tl.Marks)
		}
	}
}

// One handler blocks the loop for 200 ms while nine clients wait.
func TestBlockedLoop(t *testing.T) {
	for _, kind := range []string{"new connections", "kept connections"} {
		t.Run(kind, func(t *testing.T) {
			d := start(t)
			const blocked = 200 * time.Millisecond
			slow := d.dial()
			others := make([]*client, 9)
			if kind == "kept connections" {
				for i := range others {
					others[i] = d.dial()
					others[i].send(get("/users/0"))
					others[i].response()
				}
			}
			slow.send(get(fmt.Sprintf("/slow?ms=%d", blocked.Milliseconds())))
			time.Sleep(50 * time.Millisecond)
			var wg sync.WaitGroup
			for i := range others {
				if others[i] == nil {
					others[i] = d.dial()
				}
				wg.Go(func() {
					others[i].send(get("/users/1"))
					others[i].response()
				})
			}
			wg.Wait()
			slow.response()
			slow.Close()
			culprit := d.timelines(slow.peer, 1)[0]
			for _, c := range others {
				c.Close()
				n := 1
				if kind == "kept connections" {
					n = 2
				}
				tl := d.timelines(c.peer, n)[n-1]
				complete(t, tl)
				named := false
				for _, s := range tl.Spans {
					if (s.Name == "loop.busy" || s.Name == "loop.batch") && s.Detail != nil &&
						len(s.Detail.BlockedBy) > 0 && s.Detail.BlockedBy[0] == culprit.ID {
						named = true
					}
				}
				if !named {
					t.Errorf("%s: no wait names the slow request %v: %+v", c.peer, culprit.ID, tl.Spans)
				}
				// It came 50 ms into the 200 ms, and the other eight before it.
				if ns := spent(tl, "loop.busy", "loop.batch"); ns < int64(blocked-100*time.Millisecond) {
					t.Errorf("%s: waited %v of %v for the loop, want about 150 ms", c.peer, time.Duration(ns), time.Duration(tl.Duration))
				}
			}
		})
	}
}

// Work that is given away does not block, and shows as what it is.
func TestAsyncDoesNotBlock(t *testing.T) {
	d := start(t)
	a, b := d.dial(), d.dial()
	a.send(get("/async?ms=200"))
	time.Sleep(20 * time.Millisecond)
	b.send(get("/users/1"))
	b.response()
	a.response()
	a.Close()
	b.Close()
	away := d.timelines(a.peer, 1)[0]
	if ns := spent(away, "async.wait"); ns < int64(150*time.Millisecond) {
		t.Errorf("async.wait %v of %v, want about 200 ms", time.Duration(ns), time.Duration(away.Duration))
	}
	for _, s := range d.timelines(b.peer, 1)[0].Spans {
		if s.Detail != nil && slices.Contains(s.Detail.BlockedBy, away.ID) && s.Duration > int64(50*time.Millisecond) {
			t.Errorf("the other request was blocked by it: %+v", s)
		}
	}
}

// A layer that never calls next ends with the connection, and is named.
func TestHangAndError(t *testing.T) {
	d := start(t)
	c := d.dial()
	c.send(get("/error"))
	if status, _ := c.response(); status != 500 {
		t.Errorf("/error: status %d, want 500", status)
	}
	c.send(get("/hang"))
	time.Sleep(100 * time.Millisecond)
	c.Close()
	ts := d.timelines(c.peer, 2)
	complete(t, ts[0])
	if ts[1].Incomplete&timeline.Aborted == 0 {
		t.Errorf("/hang: incomplete %v, want aborted", ts[1].Incomplete.Names())
	}
	if ns := spent(ts[1], "async.wait"); ns < int64(50*time.Millisecond) {
		t.Errorf("/hang: async.wait %v of %v, want the 100 ms in which nobody answered", time.Duration(ns), time.Duration(ts[1].Duration))
	}
}

// A stop does not wait for ever for a layer that never answers.
func TestStopWithHangingRequest(t *testing.T) {
	d := start(t)
	c := d.dial()
	c.send(get("/hang"))
	time.Sleep(50 * time.Millisecond)
	d.stop()
	if !strings.Contains(d.errs.String(), "cut off 1 connection") {
		t.Errorf("it said nothing of the connection it cut off:\n%s", d.errs.String())
	}
}

// Connections beyond the slots are not traced by the kernel's side. Their
// timelines are there all the same, and say so.
func TestMoreConnectionsThanSlots(t *testing.T) {
	d := start(t, "--slots=16")
	const n = 200
	clients := make([]*client, n)
	for i := range clients {
		clients[i] = d.dial()
	}
	for _, c := range clients {
		c.send(get("/users/1"))
	}
	for _, c := range clients {
		c.response()
		c.Close()
	}
	traced := 0
	for _, tl := range d.timelines("", n) {
		switch tl.Incomplete {
		case 0:
			traced++
		case timeline.Lost:
		default:
			t.Errorf("%v: incomplete %v, want lost", tl.Connection.Peer, tl.Incomplete.Names())
		}
	}
	if traced == 0 || traced > 16 {
		t.Errorf("%d of %d are complete, want some of the 16 that had a slot", traced, n)
	}
	d.balance()
}
