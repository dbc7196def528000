// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// drop makes the client's kernel lose every segment for this connection, with
// a socket filter that accepts none, until the returned function is called.
func (c *client) drop() (restore func()) {
	c.t.Helper()
	raw, err := c.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		c.t.Fatal(err)
	}
	control := func(f func(fd int) error) {
		c.t.Helper()
		var failed error
		if err := raw.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil || failed != nil {
			c.t.Fatal(err, failed)
		}
	}
	none := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	control(func(fd int) error {
		return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &none[0]})
	})
	return func() {
		c.t.Helper()
		control(func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0) })
	}
}

// A response that is lost on its way is sent again, and the wait is the
// network's.
func TestRetransmit(t *testing.T) {
	d := start(t)
	c := d.dial()
	c.send(get("/users/1"))
	c.response()
	restore := c.drop()
	c.send(get("/users/2"))
	// The server's kernel tries again after 200 ms at the earliest.
	time.Sleep(300 * time.Millisecond)
	restore()
	if status, _ := c.response(); status != 200 {
		t.Errorf("status %d", status)
	}
	c.Close()
	ts := d.timelines(c.peer, 2)
	for i, tl := range ts {
		complete(t, tl)
		if _, again := at(tl, "tcp.retransmit"); again != (i == 1) {
			t.Errorf("exchange %d: sent again %v, want only the second's response: %+v", i, again, tl.Marks)
		}
	}
	if ns := spent(ts[1], "ack"); ns < int64(200*time.Millisecond) {
		t.Errorf("ack %v of %v, want the wait for the lost segment", time.Duration(ns), time.Duration(ts[1].Duration))
	}
}
