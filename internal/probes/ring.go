// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// eventRing reads a BPF_MAP_TYPE_RINGBUF from mapped memory alone: a page with
// the consumer's position, a page with the producer's, and the data, mapped
// twice in a row so that no record wraps (kernel/bpf/ringbuf.c).
type eventRing struct {
	consumerPage, producerPages []byte
	consumer, producer          *uint64
	data                        []byte
	mask                        uint64
}

// Record header, include/uapi/linux/bpf.h.
const (
	ringBusy    = 1 << 31
	ringDiscard = 1 << 30
	ringHeader  = 8
)

func openEventRing(fd, size int) (*eventRing, error) {
	page := os.Getpagesize()
	c, err := unix.Mmap(fd, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the event ring's consumer page: %w", err)
	}
	p, err := unix.Mmap(fd, int64(page), page+2*size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		_ = unix.Munmap(c)
		return nil, fmt.Errorf("map the event ring: %w", err)
	}
	return &eventRing{
		consumerPage: c, producerPages: p,
		consumer: (*uint64)(unsafe.Pointer(&c[0])),
		producer: (*uint64)(unsafe.Pointer(&p[0])),
		data:     p[page:],
		mask:     uint64(size - 1),
	}, nil
}

// read hands every committed record to f and returns how many there were. The
// bytes are valid during the call only.
func (r *eventRing) read(f func([]byte)) int {
	n := 0
	pos := atomic.LoadUint64(r.consumer)
	for pos < atomic.LoadUint64(r.producer) {
		at := pos & r.mask
		head := atomic.LoadUint32((*uint32)(unsafe.Pointer(&r.data[at])))
		if head&ringBusy != 0 {
			break // reserved, not yet written
		}
		size := uint64(head &^ (ringBusy | ringDiscard))
		if head&ringDiscard == 0 {
			f(r.data[at+ringHeader : at+ringHeader+size])
			n++
		}
		pos += (ringHeader + size + 7) &^ 7
		atomic.StoreUint64(r.consumer, pos)
	}
	return n
}

func (r *eventRing) close() {
	_ = unix.Munmap(r.consumerPage)
	_ = unix.Munmap(r.producerPages)
}
