// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	laneRoom   = len(lifetraceSlot{}.Marks[0])
	threadRoom = len(lifetraceThreadSlot{}.Marks[0])
	freeRoom   = len(lifetraceFreeRing{}.Ids)
)

// Memory is everything a Reader needs, as numbers: file descriptors of maps and
// the sizes that the maps were made with. It can be handed to another process
// with the descriptors.
type Memory struct {
	Slots, Threads, FreeRings, Counts, Events int // file descriptors

	NumSlots, NumThreads, NumCPU, EventBytes int
	LaneCap, ThreadCap                       int
}

// mapArray maps the memory of a BPF_F_MMAPABLE array of n values of type T. The
// kernel rounds a value up to 8 bytes; the generated types are that already.
func mapArray[T any](fd, n int) ([]T, []byte, error) {
	var t T
	size := int(unsafe.Sizeof(t)) * n
	page := os.Getpagesize()
	b, err := unix.Mmap(fd, 0, (size+page-1)/page*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, fmt.Errorf("map %d bytes of marks: %w", size, err)
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), n), b, nil
}
