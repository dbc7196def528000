// SPDX-License-Identifier: Apache-2.0

package probes

// The object files and the types in lifetrace_*_bpfel.go are made from bpf/ by
// the clang that the Makefile pins, and checked in; "make check-generate"
// makes them again and compares.
//
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -cc clang-14 -strip llvm-strip-14 -target amd64,arm64 -type slot -type thread_slot -type free_ring -type counters -type event -type lane -type thread_lane -type state_kind -type event_kind lifetrace ../../bpf/lifetrace.bpf.c -- -O2 -g -Wall -Werror -mcpu=v2 -I../../bpf -I/usr/include/x86_64-linux-gnu
