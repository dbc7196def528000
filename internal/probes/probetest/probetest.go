// SPDX-License-Identifier: Apache-2.0

// Package probetest is for tests that need the kernel.
package probetest

import (
	"os"
	"testing"

	"github.com/lifetrace/lifetrace/internal/probes"
)

// Require skips the test where this process may not load probes, and fails it
// there if LIFETRACE_REQUIRE_BPF=1 says that the machine is meant to.
func Require(t testing.TB) {
	t.Helper()
	err := probes.Permitted()
	if err == nil {
		return
	}
	if os.Getenv("LIFETRACE_REQUIRE_BPF") == "1" {
		t.Fatalf("LIFETRACE_REQUIRE_BPF=1, but: %v", err)
	}
	t.Skipf("needs BPF: %v", err)
}
