// SPDX-License-Identifier: Apache-2.0

package mark

// Mark is one entry of a lane.
type Mark struct {
	// At is when it happened, ns of CLOCK_MONOTONIC.
	At int64
	// Off is the lane's payload at At: a byte offset, or a State or a
	// thread's word in the lanes that say so.
	Off uint64

	// A mark that was made while its lane was full is absorbed by the newest
	// entry: Merged counts those, Last and LastOff are the newest of them.
	// The marks between At and Last cannot be told apart any more. All three
	// are 0 in a mark that absorbed nothing. At is 0 in a mark whose own first
	// entry was handed over earlier: such a mark only carries absorbed ones.
	Merged  uint32
	Last    int64
	LastOff uint64
}

// Lane names one lane of a connection.
type Lane uint8

// The lanes of a connection. The order is the order in bpf/lifetrace.h.
const (
	// State holds State words: transitions, accept, resets.
	State Lane = iota
	// RxReady holds tcp_sock.bytes_received at sk_data_ready: all bytes
	// below Off had arrived, in order, at At.
	RxReady
	// RxRead holds the running sum of what recv returned.
	RxRead
	// TxQueued holds the running sum of what send accepted.
	TxQueued
	// TxSent holds the end offset of a segment handed to the device; only
	// segments that carry new bytes are marked.
	TxSent
	// TxAcked holds the offset up to which the client has acknowledged.
	TxAcked
	// NumLanes is how many lanes a connection has.
	NumLanes
)

var laneNames = [NumLanes]string{"state", "rx_ready", "rx_read", "tx_queued", "tx_sent", "tx_acked"}

func (l Lane) String() string {
	if l < NumLanes {
		return laneNames[l]
	}
	return "lane?"
}

// ThreadLane names one lane of a loop thread.
type ThreadLane uint8

// The lanes of a loop thread. The order is the order in bpf/lifetrace.h.
const (
	// Wakeup: somebody began to wake the thread (sched_waking).
	Wakeup ThreadLane = iota
	// Running: the scheduler put the thread on a CPU (sched_switch). Off is
	// the CPU.
	Running
	// PollReturn: epoll_wait returned events to the thread. Off is how many.
	PollReturn
	// Preempted: the scheduler took the CPU from the thread while it was
	// runnable (sched_switch with prev_state 0). Off is the CPU.
	Preempted
	// NumThreadLanes is how many lanes a loop thread has.
	NumThreadLanes
)

var threadLaneNames = [NumThreadLanes]string{"wakeup", "running", "poll_return", "preempted"}

func (l ThreadLane) String() string {
	if l < NumThreadLanes {
		return threadLaneNames[l]
	}
	return "lane?"
}

// Kind says what a State word is about.
type Kind uint8

// The kinds of a State word. The values are those in bpf/lifetrace.h.
const (
	// Syn: the first SYN was handled. A is 1 if the instant was derived from
	// the SYN-ACK round trip (tcp_sock.srtt_us >> 3) instead of being seen.
	Syn Kind = 1 + iota
	// Established: SYN_RECV to ESTABLISHED; the connection is in the accept
	// queue. A is the depth including it, B the limit, both 0 if unseen.
	Established
	// Accepted: accept4 returned the connection. A is the fd.
	Accepted
	// Change: any later TCP state change. A is the old, B the new state
	// (enum in include/net/tcp_states.h).
	Change
	// ResetSent: the host sent a RST. A is the sk_rst_reason or 0.
	ResetSent
	// ResetReceived: the client sent a RST.
	ResetReceived
	// Retransmit: a segment was sent again. B is the low 32 bits of its
	// first byte's offset.
	Retransmit
	// Destroyed: the socket is gone; the connection's lanes are final.
	Destroyed
)

// TCP states as in include/net/tcp_states.h, as far as they are told apart.
const (
	TCPEstablished = 1
	TCPFinWait1    = 4
	TCPFinWait2    = 5
	TCPTimeWait    = 6
	TCPClose       = 7
	TCPCloseWait   = 8
	TCPLastAck     = 9
	TCPClosing     = 11
)

// Word packs a State word: kind in bits 56 to 63, a in 32 to 55, b in 0 to 31.
func Word(k Kind, a, b uint32) uint64 {
	return uint64(k)<<56 | uint64(a&0xffffff)<<32 | uint64(b)
}

// Unpack takes a State word apart.
func Unpack(w uint64) (k Kind, a, b uint32) {
	return Kind(w >> 56), uint32(w>>32) & 0xffffff, uint32(w)
}
