// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCgroup2Mount(t *testing.T) {
	const hybrid = `24 29 0:22 / /sys rw,nosuid shared:7 - sysfs sysfs rw
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
41 31 0:38 / /sys/fs/cgroup/my\040unified rw,relatime shared:9 master:1 - cgroup2 cgroup2 rw,nsdelegate
`
	got, err := parseCgroup2Mount(strings.NewReader(hybrid))
	if err != nil || got != "/sys/fs/cgroup/my unified" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := parseCgroup2Mount(strings.NewReader("32 31 0:29 / /x rw - cgroup cgroup rw\n")); err == nil || !strings.Contains(err.Error(), "mount -t cgroup2") {
		t.Errorf("without one: %v, want what to do", err)
	}
	if _, err := cgroup2Mount("/no/such/file"); err == nil {
		t.Error("unreadable: no error")
	}
}

func TestReadCPUList(t *testing.T) {
	dir := t.TempDir()
	for in, want := range map[string][]int{"0\n": {0}, "0-3,6\n": {0, 1, 2, 3, 6}, "2,4-5": {2, 4, 5}, "": nil, "0-": nil, "3-1": nil, "x": nil} {
		path := filepath.Join(dir, "online")
		if err := os.WriteFile(path, []byte(in), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readCPUList(path)
		if !slices.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%q: %v, %v, want %v", in, got, err, want)
		}
	}
	path := filepath.Join(dir, "online")
	if err := os.WriteFile(path, []byte("4-7"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := onlineCPUs(path, 4); err == nil {
		t.Error("no CPU left: no error")
	}
}

func TestEffectiveCaps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "status")
	if err := os.WriteFile(path, []byte("Name:\tx\nCapEff:\t000000c000001000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := effectiveCaps(path)
	if err != nil || got != 1<<capBPF|1<<capPerfmon|1<<capNetAdmin {
		t.Errorf("%x, %v", got, err)
	}
	if err := os.WriteFile(path, []byte("Name:\tx\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := effectiveCaps(path); err == nil {
		t.Error("no CapEff: no error")
	}
	if _, err := effectiveCaps("/no/such/file"); err == nil {
		t.Error("no file: no error")
	}
}

func TestHookTable(t *testing.T) {
	spec, err := loadLifetrace()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, h := range Hooks() {
		prog := spec.Programs[h.Program]
		if prog == nil {
			t.Errorf("%s: no program %s in the object", h.Point, h.Program)
			continue
		}
		if h.Attach == TracepointBTF && prog.AttachTo != h.Point {
			t.Errorf("%s: program %s is for %s", h.Point, h.Program, prog.AttachTo)
		}
		if h.Steps == "" || h.Without == "" || h.Sees == 0 {
			t.Errorf("%s: the table says too little: %+v", h.Point, h)
		}
		seen[h.Program] = true
	}
	for name := range spec.Programs {
		if !seen[name] {
			t.Errorf("program %s is in no hook", name)
		}
	}
}
