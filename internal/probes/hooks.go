// SPDX-License-Identifier: Apache-2.0

package probes

import "github.com/lifetrace/lifetrace/internal/mark"

// Attach is how a program is attached.
type Attach string

// The kinds of attachment.
const (
	TracepointBTF Attach = "tp_btf"  // needs CAP_BPF and CAP_PERFMON, kernel BTF
	SockOps       Attach = "sockops" // needs CAP_NET_ADMIN and a cgroup v2 mount
)

// Sight is a set of things that the kernel half can see. A run's timelines say
// unsupported for what is not in its set.
type Sight uint32

// What can be seen.
const (
	SeesSyn Sight = 1 << iota // the SYN itself, not only derived from the round trip
	SeesConnection
	SeesQueue
	SeesWakeup
	SeesRunning
	SeesSyscalls
	SeesRxReady
	SeesRxRead
	SeesTxQueued
	SeesTxSent
	SeesTxAcked
	SeesResets
	SeesRetransmits
	SeesClose
)

// Hook is one program and its place in the kernel.
type Hook struct {
	Steps   string // of the sixteen, as a human reads them
	Point   string // the tracepoint, or what a sockops program waits for
	Attach  Attach
	Program string // in the object file
	Sees    Sight
	// Required hooks carry the identity of connections; without one of them
	// the kernel half cannot run at all.
	Required bool
	Without  string // what is lost without it
}

// Hooks is the table, in the order of a request's life.
func Hooks() []Hook {
	return []Hook{
		{"1", "TIMEOUT_INIT at the SYN", SockOps, lifetraceProgOnSyn, SeesSyn, false, "the SYN's instant is derived from the SYN-ACK round trip"},
		{"2, 16", "inet_sock_set_state", TracepointBTF, lifetraceProgOnSetState, SeesConnection, true, "no connection is traced"},
		{"2, 7", "sk_data_ready", TracepointBTF, lifetraceProgOnDataReady, SeesQueue | SeesRxReady, false, "accept queue depth, arrival of data"},
		{"3", "sched_waking", TracepointBTF, lifetraceProgOnWakeup, SeesWakeup, false, "when epoll made the loop runnable"},
		{"3", "sched_switch", TracepointBTF, lifetraceProgOnSwitch, SeesRunning, false, "when the loop got a CPU, and lost it"},
		{"3, 4", "sys_exit", TracepointBTF, lifetraceProgOnSysExit, SeesSyscalls, false, "the kernel's own instants of epoll_wait's and accept4's return; the server's stamps stand in"},
		{"7", "sock_recv_length", TracepointBTF, lifetraceProgOnRecv, SeesRxRead, false, "the kernel's own instant of recv; the server's stamps stand in"},
		{"14", "sock_send_length", TracepointBTF, lifetraceProgOnSend, SeesTxQueued, false, "the kernel's own instant of send; the server's stamps stand in"},
		{"15", "net_dev_start_xmit", TracepointBTF, lifetraceProgOnXmit, SeesTxSent, false, "when segments left the host"},
		{"15", "tcp_probe", TracepointBTF, lifetraceProgOnSegment, SeesTxAcked, false, "the client's ACK: timelines end when the connection does"},
		{"15", "tcp_retransmit_skb", TracepointBTF, lifetraceProgOnRetransmit, SeesRetransmits, false, "retransmissions"},
		{"16", "tcp_send_reset", TracepointBTF, lifetraceProgOnResetSent, SeesResets, false, "resets this host sent, and their reason"},
		{"16", "tcp_receive_reset", TracepointBTF, lifetraceProgOnResetReceived, SeesResets, false, "resets the client sent"},
		{"16", "tcp_destroy_sock", TracepointBTF, lifetraceProgOnDestroy, SeesClose, true, "slots could never be used again"},
	}
}

// The generated constants and package mark's must be the same numbers: these
// do not compile if one moves.
var (
	_ = [1]struct{}{}[lifetraceLaneLANES-lifetraceLane(mark.NumLanes)]
	_ = [1]struct{}{}[lifetraceLaneLANE_STATE-lifetraceLane(mark.State)]
	_ = [1]struct{}{}[lifetraceLaneLANE_RX_READY-lifetraceLane(mark.RxReady)]
	_ = [1]struct{}{}[lifetraceLaneLANE_RX_READ-lifetraceLane(mark.RxRead)]
	_ = [1]struct{}{}[lifetraceLaneLANE_TX_QUEUED-lifetraceLane(mark.TxQueued)]
	_ = [1]struct{}{}[lifetraceLaneLANE_TX_SENT-lifetraceLane(mark.TxSent)]
	_ = [1]struct{}{}[lifetraceLaneLANE_TX_ACKED-lifetraceLane(mark.TxAcked)]
	_ = [1]struct{}{}[lifetraceThreadLaneTHREAD_LANES-lifetraceThreadLane(mark.NumThreadLanes)]
	_ = [1]struct{}{}[lifetraceThreadLaneTHREAD_WAKEUP-lifetraceThreadLane(mark.Wakeup)]
	_ = [1]struct{}{}[lifetraceThreadLaneTHREAD_RUNNING-lifetraceThreadLane(mark.Running)]
	_ = [1]struct{}{}[lifetraceThreadLaneTHREAD_POLL_RETURN-lifetraceThreadLane(mark.PollReturn)]
	_ = [1]struct{}{}[lifetraceThreadLaneTHREAD_PREEMPTED-lifetraceThreadLane(mark.Preempted)]
	_ = [1]struct{}{}[lifetraceStateKindKIND_SYN-lifetraceStateKind(mark.Syn)]
	_ = [1]struct{}{}[lifetraceStateKindKIND_ESTABLISHED-lifetraceStateKind(mark.Established)]
	_ = [1]struct{}{}[lifetraceStateKindKIND_ACCEPTED-lifetraceStateKind(mark.Accepted)]
	_ = [1]struct{}{}[lifetraceStateKindKIND_CHANGE-lifetraceStateKind(mark.Change)]
	_ = [1]struct{}{}[lifetraceStateKindKIND_RESET_SENT-lifetraceStateKind(mark.ResetSent)]
	_ = [1]struct{}{}[lifetraceStateKindKIND_RESET_RECEIVED-lifetraceStateKind(mark.ResetReceived)]
	_ = [1]struct{}{}[lifetraceStateKindKIND_RETRANSMIT-lifetraceStateKind(mark.Retransmit)]
	_ = [1]struct{}{}[lifetraceStateKindKIND_DESTROYED-lifetraceStateKind(mark.Destroyed)]
	_ = [1]struct{}{}[lifetraceEventKindEVENT_RESET_SENT-lifetraceEventKind(mark.StrayReset)]
	_ = [1]struct{}{}[lifetraceEventKindEVENT_UNTRACED-lifetraceEventKind(mark.Untraced)]
)
