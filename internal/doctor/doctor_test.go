// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lifetrace/lifetrace/internal/probes"
	"github.com/lifetrace/lifetrace/internal/probes/probetest"
)

func write(t *testing.T, s string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestChecks(t *testing.T) {
	for _, c := range []struct {
		check Check
		ok    bool
		value string
	}{
		{lockdown(write(t, "[none] integrity confidentiality\n")), true, "none"},
		{lockdown(write(t, "none [integrity] confidentiality\n")), true, "integrity"},
		{lockdown(write(t, "none integrity [confidentiality]\n")), false, "confidentiality"},
		{lockdown("/no/such/file"), true, "none"},
		{somaxconn(write(t, "4096\n")), true, "4096"},
		{somaxconn(write(t, "128\n")), false, "128"},
		{somaxconn("/no/such/file"), true, "unknown"},
		{file("x", "/no/such/file", "make it"), false, "/no/such/file is not there"},
	} {
		if c.check.OK != c.ok || c.check.Value != c.value || c.ok == (c.check.Fix != "") {
			t.Errorf("%+v, want ok %v and value %q, and a fix if not", c.check, c.ok, c.value)
		}
	}
}

// The report follows what the kernel did with the hooks.
func TestExamine(t *testing.T) {
	probetest.Require(t)
	r := Examine()
	if !r.Able || r.Reason != "" || r.Kernel == "" {
		t.Errorf("able %v, %q, on kernel %q", r.Able, r.Reason, r.Kernel)
	}
	if len(r.Hooks) != len(probes.Hooks()) {
		t.Errorf("%d hooks, want %d", len(r.Hooks), len(probes.Hooks()))
	}
	for _, h := range r.Hooks {
		if h.Up == (h.Why != "") {
			t.Errorf("%s: up %v, why %q", h.Point, h.Up, h.Why)
		}
	}
}

func TestText(t *testing.T) {
	r := Report{
		Kernel: "6.1.0", Arch: "x86_64", Able: true,
		Hooks: []Hook{
			{Steps: "2, 16", Point: "inet_sock_set_state", Attach: "tp_btf", Required: true, Up: true},
			{Steps: "2, 7", Point: "sk_data_ready", Attach: "tp_btf", Why: "load on_data_ready: not found\nlog", Without: "arrival of data"},
		},
		Checks: []Check{{Name: "somaxconn", Value: "128", Fix: "raise it"}},
	}
	var b strings.Builder
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"kernel 6.1.0, x86_64", "--   somaxconn      128", "fix: raise it", "ok   2, 16", "why: load on_data_ready: not found\n", "lost: arrival of data", "1 of 2 hooks are up"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	r.Able, r.Reason = false, "not permitted: run it with sudo"
	b.Reset()
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "cannot be traced here: not permitted: run it with sudo.") {
		t.Errorf("it does not say why not:\n%s", b.String())
	}
}
