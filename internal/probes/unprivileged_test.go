// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifetrace/lifetrace/internal/clock"
	"github.com/lifetrace/lifetrace/internal/mark"
)

// countSink counts marks by lane.
type countSink [mark.NumLanes]int

func (c *countSink) Mark(l mark.Lane, _ mark.Mark) { c[l]++ }
func (c *countSink) Lost(l mark.Lane, n uint64)    {}

// A reader needs the descriptors and nothing else: here it is a process of
// nobody's, without any capability, that inherited them.
func TestReaderNeedsNoCapability(t *testing.T) {
	if isNobody() {
		readAsNobody(t)
		return
	}
	requireBPF(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, err := Load(Options{Port: uint16(l.Addr().(*net.TCPAddr).Port)})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	// The child's descriptors are numbered from 3; asNobody takes that one.
	m := p.Memory()
	var files []*os.File
	for _, fd := range []*int{&m.Slots, &m.Threads, &m.FreeRings, &m.Counts, &m.Events} {
		dup, err := dupFile(*fd)
		if err != nil {
			t.Fatal(err)
		}
		defer dup.Close()
		files = append(files, dup)
		*fd = 3 + len(files)
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("LIFETRACE_TEST_MEMORY", string(b))
	t.Setenv("LIFETRACE_TEST_ADDR", l.Addr().String())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			// Not io.Copy: it splices, and recv is what is traced.
			b := make([]byte, 10)
			if _, err := io.ReadFull(c, b); err == nil {
				_, _ = c.Write(b)
			}
			c.Close()
		}
	}()
	if out := asNobody(t, "TestReaderNeedsNoCapability", files...); !strings.Contains(out, "read as nobody") {
		t.Errorf("the child says nothing of it:\n%s", out)
	}
}

func readAsNobody(t *testing.T) {
	if caps, err := effectiveCaps("/proc/self/status"); err != nil || caps != 0 {
		t.Fatalf("capabilities %x, %v, want none", caps, err)
	}
	var m Memory
	if err := json.Unmarshal([]byte(os.Getenv("LIFETRACE_TEST_MEMORY")), &m); err != nil {
		t.Fatal(err)
	}
	r, err := OpenReader(m)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c, err := net.Dial("tcp", os.Getenv("LIFETRACE_TEST_ADDR"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, "0123456789")
	if _, err := io.ReadAll(c); err != nil {
		t.Fatal(err)
	}
	c.Close()
	var got countSink
	slot, found := uint32(0), false
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		r.Opened(clock.Now(), func(n mark.Conn) { slot, found = n.Slot, true })
		if found && r.Drain(slot, &got) {
			break
		}
	}
	for lane, n := range got {
		if n == 0 {
			t.Errorf("no mark of %v: %v", mark.Lane(lane), got)
		}
	}
	t.Logf("read as nobody: %v", got)
}

// dupFile makes a descriptor of its own, which the runtime may close.
func dupFile(fd int) (*os.File, error) {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(n), "map"), nil
}
