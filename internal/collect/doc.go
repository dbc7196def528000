// SPDX-License-Identifier: Apache-2.0

// Package collect drains what the two halves recorded into a correlator.
//
// It is the one place that decides when: a tick reads the stamps first, then
// the lanes of the connections that those stamps were about, then the loop
// threads' lanes, and only then lets the correlator finish exchanges. So
// whatever happened before a stamp or an acknowledgement that the correlator
// has seen, it has seen too.
package collect
