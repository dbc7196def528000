// SPDX-License-Identifier: Apache-2.0

// Package collect carries what the two halves recorded into a correlator.
//
// It has two steps, each on a goroutine of its own. The drainer (drain.go)
// empties rings and lanes often and quickly, so that they may be small; the
// other applies what was drained to the correlator, which may take its time.
//
// A batch holds the stamps that were read first, then the lanes of the
// connections that those stamps were about, then the loop threads' lanes. So
// whatever happened before a stamp or an acknowledgement in a batch is in that
// batch or an earlier one, and the correlator may finish exchanges after each.
//
// When the correlator falls behind, the drainer leaves out whole exchanges and
// hands on their number (shed.go).
package collect
