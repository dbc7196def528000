// SPDX-License-Identifier: Apache-2.0

// Package metrics says in Prometheus' terms what the timelines and the probes
// add up to.
//
// There are two ways in. Observe takes each finished timeline and feeds the
// histograms; it is on the hot path, so every label set is resolved once and
// kept (exchange.go, stage.go). What other parts count for themselves is asked
// for when Prometheus scrapes (source.go), so that a counter exists once, where
// it is counted.
//
// Every label that a user's input can reach is bounded: beyond the bound,
// values fold into one, and lifetrace_labels_folded_total counts it.
//
// Timelines that are incomplete stay out of lifetrace_stage_duration_seconds,
// whose stages would not be whole; they have histograms of their own, by
// reason.
package metrics
