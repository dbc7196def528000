// SPDX-License-Identifier: Apache-2.0

// Package timeline defines the result: one HTTP exchange as marks (instants)
// and spans (intervals), and its JSON and text forms.
//
// A timeline's spans are disjoint, in order, and their durations sum exactly to
// its duration. What nobody saw is a span named unknown.
package timeline
