/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The probes, in the order of a request's life. Each hook is a shell over a
 * handler in one of the headers:
 *
 *   layout.h      the memory shared with the reader
 *   kernel.h      the kernel's fields
 *   lane.h        maps, and how a mark gets into a lane
 *   connection.h  SYN, accept queue, states, resets
 *   stream.h      arrival, recv, send, segments, ACKs
 *   thread.h      wake-up, CPU, epoll_wait, accept4
 */
#include "kernel.h"
#include "layout.h"
#include "lane.h"
#include "connection.h"
#include "stream.h"
#include "thread.h"
#include <bpf/bpf_tracing.h>

/* Emitted so that Go types are generated from them. */
const struct slot *unused_slot __attribute__((unused));
const struct thread_slot *unused_thread_slot __attribute__((unused));
const struct free_ring *unused_free_ring __attribute__((unused));
const struct counters *unused_counters __attribute__((unused));
const struct event *unused_event __attribute__((unused));
const enum lane *unused_lane __attribute__((unused));
const enum thread_lane *unused_thread_lane __attribute__((unused));
const enum state_kind *unused_state_kind __attribute__((unused));

/* Step 1. The reply is left alone: 0 keeps the kernel's own timeout, and what
 * another program of the cgroup set stays set. */
SEC("sockops")
int on_syn(struct bpf_sock_ops *ops)
{
	if (ops->op == BPF_SOCK_OPS_TIMEOUT_INIT &&
	    ops->local_port == listen_port && !ops->is_fullsock)
		syn(bpf_get_socket_cookie(ops));
	return 1;
}

/* Steps 2 and 16. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_set_state, const struct sock *sk, int from, int to)
{
	if (from == TCP_SYN_RECV && to == TCP_ESTABLISHED) {
		if (is_ours(sk) && sk->sk_protocol == IPPROTO_TCP)
			open_connection(sk);
	} else {
		change_state(sk, from, to);
	}
	return 0;
}

/* Steps 2 and 7. */
SEC("tp_btf/sk_data_ready")
int BPF_PROG(on_data_ready, const struct sock *sk)
{
	if (!is_ours(sk))
		return 0;
	if (sk->__sk_common.skc_state == TCP_LISTEN)
		queue_entered(sk);
	else
		data_ready(sk);
	return 0;
}

/* Step 3. Not sched_wakeup, which fires only when the thread is on a run queue:
 * the way there may be an interrupt to a CPU that sleeps, which takes longer
 * than all the rest and is part of waking the loop. */
SEC("tp_btf/sched_waking")
int BPF_PROG(on_wakeup, struct task_struct *p)
{
	woken(p);
	return 0;
}

/* Step 3. prev_state came in 5.18 (fa2c3254d7cf); a preempted task is runnable
 * in every kernel, one that was moved off the CPU by sched_yield is not seen
 * where the argument is missing. */
SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev,
	     struct task_struct *next)
{
	switched(prev, next, preempt);
	return 0;
}

/* Steps 3 and 4. */
SEC("tp_btf/sys_exit")
int BPF_PROG(on_sys_exit, struct pt_regs *regs, long ret)
{
	syscall_returned(regs, ret);
	return 0;
}

/* Step 7. */
SEC("tp_btf/sock_recv_length")
int BPF_PROG(on_recv, struct sock *sk, int ret, int flags)
{
	if (is_ours(sk))
		data_read(sk, ret, flags);
	return 0;
}

/* Step 14. */
SEC("tp_btf/sock_send_length")
int BPF_PROG(on_send, struct sock *sk, int ret, int flags)
{
	if (is_ours(sk))
		data_queued(sk, ret);
	return 0;
}

/* Step 15. */
SEC("tp_btf/net_dev_start_xmit")
int BPF_PROG(on_xmit, const struct sk_buff *skb)
{
	segment_sent(skb);
	return 0;
}

/* Step 15. */
SEC("tp_btf/tcp_probe")
int BPF_PROG(on_segment, struct sock *sk, const struct sk_buff *skb)
{
	if (is_ours(sk))
		segment_received(sk, skb);
	return 0;
}

/* Step 15. */
SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(on_retransmit, const struct sock *sk, const struct sk_buff *skb)
{
	if (is_ours(sk))
		segment_resent(sk, skb);
	return 0;
}

/* Step 16. sk is NULL when the RST answers a segment of no socket. The reason
 * came in 6.10 (5cb2cb3eb0f4); before, the third argument is not there to read. */
SEC("tp_btf/tcp_send_reset")
int BPF_PROG(on_reset_sent, const struct sock *sk, const struct sk_buff *skb)
{
	__u32 reason = 0;

	if (bpf_core_enum_value_exists(enum sk_rst_reason,
				       SK_RST_REASON_NOT_SPECIFIED))
		reason = (__u32)ctx[2];
	reset_sent(sk, skb, reason);
	return 0;
}

/* Step 16. */
SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(on_reset_received, struct sock *sk)
{
	if (is_ours(sk))
		reset_received(sk);
	return 0;
}

/* Step 16. */
SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(on_destroy, struct sock *sk)
{
	close_connection(sk);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
