// SPDX-License-Identifier: Apache-2.0

// Package probes is the kernel's half: it loads the programs of bpf/, attaches
// them to their hooks and reads what they recorded.
//
// hooks.go is the table that drives everything: which hook sees which step of
// a request's life, and what is lost without it. Load (load.go) tries each hook
// on the running kernel; Memory (memory.go) is what a reader needs, as plain
// file descriptors; Reader (reader.go) turns mapped memory into marks without
// any call of bpf(2), so that it needs no capability.
package probes
