// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

func requireBPF(t *testing.T) {
	t.Helper()
	if err := Permitted(); err != nil {
		if os.Getenv("LIFETRACE_REQUIRE_BPF") == "1" {
			t.Fatalf("LIFETRACE_REQUIRE_BPF=1, but: %v", err)
		}
		t.Skipf("needs BPF: %v", err)
	}
}

// Nothing of a trace outlives Close.
func TestCloseLeavesNothing(t *testing.T) {
	requireBPF(t)
	p, err := Load(Options{Port: 1})
	if err != nil {
		t.Fatal(err)
	}
	var ids []ebpf.ProgramID
	for _, prog := range p.progs {
		info, err := prog.Info()
		if err != nil {
			t.Fatal(err)
		}
		id, _ := info.ID()
		ids = append(ids, id)
	}
	if len(ids) != len(Hooks()) {
		t.Errorf("%d programs are loaded, want %d", len(ids), len(Hooks()))
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	// The kernel frees a program after a grace period of its own.
	deadline := time.Now().Add(10 * time.Second)
	for _, id := range ids {
		for {
			prog, err := ebpf.NewProgramFromID(id)
			if errors.Is(err, os.ErrNotExist) {
				break
			}
			prog.Close()
			if time.Now().After(deadline) {
				t.Fatalf("program %d is still loaded after Close", id)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]Options{
		"no port":         {},
		"slots":           {Port: 1, Slots: -1},
		"loops":           {Port: 1, Loops: maxLoops + 1},
		"lane capacity":   {Port: 1, LaneCap: laneRoom + 1},
		"thread lane cap": {Port: 1, ThreadCap: threadRoom + 1},
		"event ring":      {Port: 1, RingBytes: 5000},
	} {
		if _, err := Load(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// A hook that this kernel does not have costs that hook, not the trace; a
// required one costs the trace.
func TestMissingHook(t *testing.T) {
	requireBPF(t)
	spec, err := loadLifetrace()
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Port: 1}
	if err := o.setDefaults(); err != nil {
		t.Fatal(err)
	}
	spec.Programs[lifetraceProgOnXmit].AttachTo = "no_such_tracepoint"
	p := &Probes{types: btf.NewCache()}
	defer p.Close()
	if err := p.createMaps(spec, o); err != nil {
		t.Fatal(err)
	}
	for _, h := range Hooks() {
		err := p.attach(spec, h)
		if missing := h.Program == lifetraceProgOnXmit; missing != (err != nil) {
			t.Errorf("%s: error %v", h.Point, err)
		}
	}
}

func TestWatchRefusesUnknownLoop(t *testing.T) {
	p := &Probes{memory: Memory{NumThreads: 1}}
	if err := p.Watch(1, 1); err == nil {
		t.Error("no error")
	}
}

// asNobody runs one test of this binary without any privilege.
func asNobody(t *testing.T, test string, files ...*os.File) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to become nobody")
	}
	self, err := os.Open("/proc/self/exe") // readable where the binary's folder is not
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	cmd := exec.Command("/proc/self/fd/3", "-test.run=^"+test+"$", "-test.v")
	cmd.Env = append(os.Environ(), "LIFETRACE_TEST_AS_NOBODY=1")
	cmd.Dir = "/"
	cmd.ExtraFiles = append([]*os.File{self}, files...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534, NoSetGroups: false}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func isNobody() bool { return os.Getenv("LIFETRACE_TEST_AS_NOBODY") == "1" }

func TestNotPermitted(t *testing.T) {
	if isNobody() {
		_, err := Load(Options{Port: 1})
		if !errors.Is(err, ErrNotPermitted) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v, want one line that says not permitted", err)
		}
		t.Logf("said: %v", err)
		return
	}
	if out := asNobody(t, "TestNotPermitted"); !strings.Contains(out, "CAP_BPF and CAP_PERFMON") || !strings.Contains(out, "sudo") {
		t.Errorf("it does not say what is missing and how to get it:\n%s", out)
	}
}
