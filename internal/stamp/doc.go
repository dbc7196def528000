// SPDX-License-Identifier: Apache-2.0

// Package stamp defines what a server says about its own steps: instants with
// the connection and the exchange they belong to, and the ring that carries
// them off the loop thread.
//
// A stamp is fixed in size and holds no pointer, so that stamping allocates
// nothing, a run can be recorded byte for byte, and another source (a hook in
// a process that is attached to) can speak the same words.
//
// Clock: every At is CLOCK_MONOTONIC in nanoseconds (package clock). The
// stamps of one loop are in the order in which the loop did things, with At
// never decreasing. From each stamp to the next one of the same loop the loop
// was doing what the first of the two says: that is how the time of a loop is
// attributed to requests without a second stamp at each end.
package stamp
