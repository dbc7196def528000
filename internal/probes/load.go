// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
)

// Options say what to trace. The zero value of a field is its default.
type Options struct {
	// Port is the listening port whose connections are traced; 0 is an error.
	Port uint16
	// Slots is how many connections are traced at a time; 4096 by default,
	// 6.5 KiB of kernel memory each.
	Slots int
	// Loops is how many loop threads are watched; 1 by default.
	Loops int
	// LaneCap is how many marks a lane holds before it merges, 1 to 64; 64 by
	// default. ThreadCap is the same for loop threads, up to 4096.
	LaneCap, ThreadCap int
	// RingBytes is the size of the ring for rare events, a power of two and
	// a multiple of the page size; 64 KiB by default.
	RingBytes int
	// AnyNetns traces connections to Port in every network namespace, not
	// only in this process's.
	AnyNetns bool
}

func (o *Options) setDefaults() error {
	def := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	def(&o.Slots, 4096)
	def(&o.Loops, 1)
	def(&o.LaneCap, laneRoom)
	def(&o.ThreadCap, threadRoom)
	def(&o.RingBytes, 64<<10)
	switch {
	case o.Port == 0:
		return errors.New("no port to trace")
	case o.Slots < 1 || o.Slots > 1<<20:
		return fmt.Errorf("slots: %d is not in 1 to %d", o.Slots, 1<<20)
	case o.Loops < 1 || o.Loops > maxLoops:
		return fmt.Errorf("loops: %d is not in 1 to %d", o.Loops, maxLoops)
	case o.LaneCap < 1 || o.LaneCap > laneRoom:
		return fmt.Errorf("lane capacity: %d is not in 1 to %d", o.LaneCap, laneRoom)
	case o.ThreadCap < 1 || o.ThreadCap > threadRoom:
		return fmt.Errorf("thread lane capacity: %d is not in 1 to %d", o.ThreadCap, threadRoom)
	case o.RingBytes < os.Getpagesize() || o.RingBytes&(o.RingBytes-1) != 0:
		return fmt.Errorf("event ring: %d bytes is not a power of two of at least a page", o.RingBytes)
	}
	return nil
}

// maxLoops is the size of the map of watched threads.
const maxLoops = 64

// HookState is what became of a hook on this kernel.
type HookState struct {
	Hook
	Err error // nil if it is attached
}

// Probes are the loaded programs. Nothing of them outlives Close or the process.
type Probes struct {
	maps    map[string]*ebpf.Map
	progs   []*ebpf.Program
	links   []link.Link // a link that is garbage is a link that is closed
	states  []HookState
	memory  Memory
	threads *ebpf.Map
	reasons map[uint32]string
	types   *btf.Cache // the kernel's, decoded once for all programs
}

// Load loads and attaches every hook that this kernel takes. A hook that cannot
// be had is left out and its reason kept in States; it is an error only if the
// hook is required, or if what is missing is a permission.
func Load(o Options) (*Probes, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	if err := Permitted(); err != nil {
		return nil, err
	}
	// Before 5.11 map memory counts against RLIMIT_MEMLOCK.
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, fmt.Errorf("raise RLIMIT_MEMLOCK: %w", err)
	}
	spec, err := loadLifetrace()
	if err != nil {
		return nil, fmt.Errorf("read the embedded object: %w", err)
	}
	p := &Probes{types: btf.NewCache()}
	if err := p.createMaps(spec, o); err != nil {
		p.Close()
		return nil, err
	}
	hooks := Hooks()
	for _, h := range hooks {
		err := p.attach(spec, h)
		if err != nil && h.Required {
			p.Close()
			return nil, fmt.Errorf("hook %s: %w", h.Point, err)
		}
		p.states = append(p.states, HookState{h, err})
	}
	p.reasons = resetReasons(p.types)
	p.types = nil // tens of megabytes that are not needed again
	return p, nil
}

// createMaps sizes the maps, sets the programs' constants and hands the mapped
// ones to p.memory.
func (p *Probes) createMaps(spec *ebpf.CollectionSpec, o Options) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("count CPUs: %w", err)
	}
	spec.Maps[lifetraceMapSlots].MaxEntries = uint32(o.Slots)
	spec.Maps[lifetraceMapByCookie].MaxEntries = uint32(o.Slots)
	spec.Maps[lifetraceMapThreadSlots].MaxEntries = uint32(o.Loops)
	spec.Maps[lifetraceMapFreeRings].MaxEntries = uint32(cpus)
	spec.Maps[lifetraceMapCounts].MaxEntries = uint32(cpus)
	spec.Maps[lifetraceMapEvents].MaxEntries = uint32(o.RingBytes)

	netns := uint32(0)
	if !o.AnyNetns {
		if netns, err = namespaceInode("net"); err != nil {
			return err
		}
	}
	for name, v := range map[string]any{
		lifetraceVarListenPort: o.Port,
		lifetraceVarNetnsInum:  netns,
		lifetraceVarLaneCap:    uint32(o.LaneCap),
		lifetraceVarThreadCap:  uint32(o.ThreadCap),
		lifetraceVarQueueSeen:  hasTracepoint(p.types, "sk_data_ready"),
		lifetraceVarWatchTgid:  uint32(os.Getpid()),
	} {
		if err := spec.Variables[name].Set(v); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	onlyMaps := spec.Copy()
	clear(onlyMaps.Programs)
	coll, err := ebpf.NewCollectionWithOptions(onlyMaps, ebpf.CollectionOptions{Cache: p.types})
	if err != nil {
		return fmt.Errorf("create maps: %w", err)
	}
	p.maps = coll.Maps
	p.threads = p.maps[lifetraceMapThreads]
	p.memory = Memory{
		Slots: p.maps[lifetraceMapSlots].FD(), NumSlots: o.Slots,
		Threads: p.maps[lifetraceMapThreadSlots].FD(), NumThreads: o.Loops,
		FreeRings: p.maps[lifetraceMapFreeRings].FD(), NumCPU: cpus,
		Counts: p.maps[lifetraceMapCounts].FD(),
		Events: p.maps[lifetraceMapEvents].FD(), EventBytes: o.RingBytes,
		LaneCap: o.LaneCap, ThreadCap: o.ThreadCap,
	}
	return nil
}

// attach loads one program, by itself, so that a kernel that refuses it still
// gets the others.
func (p *Probes) attach(spec *ebpf.CollectionSpec, h Hook) error {
	if h.Attach == SockOps && !HasNetAdmin() {
		return fmt.Errorf("%w: it needs CAP_NET_ADMIN", ErrNotPermitted)
	}
	one := spec.Copy()
	for name := range one.Programs {
		if name != h.Program {
			delete(one.Programs, name)
		}
	}
	coll, err := ebpf.NewCollectionWithOptions(one, ebpf.CollectionOptions{MapReplacements: p.maps, Cache: p.types})
	if err != nil {
		return fmt.Errorf("load %s: %w", h.Program, err)
	}
	prog := coll.DetachProgram(h.Program)
	coll.Close()
	p.progs = append(p.progs, prog)

	var l link.Link
	switch h.Attach {
	case TracepointBTF:
		l, err = link.AttachTracing(link.TracingOptions{Program: prog})
	case SockOps:
		var cgroup string
		if cgroup, err = cgroup2Mount("/proc/self/mountinfo"); err != nil {
			return err
		}
		l, err = link.AttachCgroup(link.CgroupOptions{Path: cgroup, Attach: ebpf.AttachCGroupSockOps, Program: prog})
	}
	if err != nil {
		return fmt.Errorf("attach %s: %w", h.Point, err)
	}
	p.links = append(p.links, l)
	return nil
}

// Watch makes a thread of this process the loop thread with this number. It
// may be called from any thread.
func (p *Probes) Watch(loop, tid int) error {
	if loop < 0 || loop >= p.memory.NumThreads {
		return fmt.Errorf("watch loop %d: only %d are watched", loop, p.memory.NumThreads)
	}
	if err := p.threads.Put(uint32(tid), uint32(loop)); err != nil {
		return fmt.Errorf("watch thread %d: %w", tid, err)
	}
	return nil
}

// States tells what became of each hook, in the order of Hooks.
func (p *Probes) States() []HookState { return p.states }

// Sight tells what the attached hooks see together.
func (p *Probes) Sight() Sight {
	var s Sight
	for _, h := range p.states {
		if h.Err == nil {
			s |= h.Sees
		}
	}
	return s
}

// ResetReasons gives this kernel's names of enum sk_rst_reason, which change
// between releases, in lower case and without their prefix. It is empty before
// 6.10.
func (p *Probes) ResetReasons() map[uint32]string { return p.reasons }

// Memory returns what a reader needs. It is valid until Close.
func (p *Probes) Memory() Memory { return p.memory }

// Close detaches and unloads everything.
func (p *Probes) Close() error {
	var errs []error
	for _, l := range p.links {
		errs = append(errs, l.Close())
	}
	for _, prog := range p.progs {
		errs = append(errs, prog.Close())
	}
	for _, m := range p.maps {
		errs = append(errs, m.Close())
	}
	p.links, p.progs, p.maps = nil, nil, nil
	runtime.KeepAlive(p)
	return errors.Join(errs...)
}
