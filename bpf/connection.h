/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Steps 1, 2 and 16: a connection's birth, its resets and its end. */
#ifndef LIFETRACE_CONNECTION_H
#define LIFETRACE_CONNECTION_H

#include "lane.h"
#include <bpf/bpf_core_read.h>

/* The listener's address family may be IPv6 with IPv4 clients. */
static __always_inline bool is_ours(const struct sock *sk)
{
	return sk->__sk_common.skc_num == listen_port;
}

/* Step 1. Called for the request_sock, whose cookie the accepted socket will
 * have. A retransmitted SYN does not come here: the request exists by then. */
static __always_inline void syn(__u64 cookie)
{
	__u64 ts = bpf_ktime_get_ns();

	bpf_map_update_elem(&syns, &cookie, &ts, BPF_NOEXIST);
}

static __always_inline void put_syn(struct slot *s, struct tcp_sock *tp,
				    __u64 now)
{
	__u64 cookie = s->cookie;
	__u64 *ts = bpf_map_lookup_elem(&syns, &cookie);

	if (ts) {
		push(s, LANE_STATE, *ts, word(KIND_SYN, 0, 0));
		bpf_map_delete_elem(&syns, &cookie);
		return;
	}
	/* The SYN-ACK's round trip in units of 1/8 us; 0 if it was sent more
	 * than once, which leaves the SYN unknown. */
	__u64 rtt = (__u64)(tp->srtt_us >> 3) * 1000;

	if (rtt)
		push(s, LANE_STATE, now - rtt, word(KIND_SYN, 1, 0));
}

static __always_inline void put_established(struct slot *s, __u64 ts,
					    __u32 depth, __u32 limit)
{
	push(s, LANE_STATE, ts, word(KIND_ESTABLISHED, depth, limit));
}

/* The place in the accept queue is told by the listener's sk_data_ready, which
 * tcp_child_process() calls next on this CPU, in this softirq. */
static __always_inline void wait_for_queue(__u32 id, struct slot *s, __u64 ts)
{
	__u32 zero = 0;
	struct pending *p = bpf_map_lookup_elem(&established, &zero);

	if (!p || !queue_seen) {
		put_established(s, ts, 0, 0);
		return;
	}
	if (p->set) {
		struct slot *old = slot_at(p->slot, p->cookie);

		if (old)
			put_established(old, p->ts, 0, 0);
	}
	p->ts = ts;
	p->cookie = s->cookie;
	p->slot = id;
	p->set = 1;
}

static __always_inline void queue_entered(const struct sock *listener)
{
	__u32 zero = 0;
	struct pending *p = bpf_map_lookup_elem(&established, &zero);

	if (!p || !p->set)
		return;
	p->set = 0;
	struct slot *s = slot_at(p->slot, p->cookie);

	if (s)
		put_established(s, p->ts, listener->sk_ack_backlog,
				listener->sk_max_ack_backlog);
}

static __always_inline void put_addresses(struct slot *s, const struct sock *sk)
{
	__u16 family = sk->__sk_common.skc_family;

	s->family = family;
	s->local_port = sk->__sk_common.skc_num;
	s->peer_port = bpf_ntohs(sk->__sk_common.skc_dport);
	if (family == AF_INET) {
		*(__be32 *)s->peer = sk->__sk_common.skc_daddr;
		*(__be32 *)s->local = sk->__sk_common.skc_rcv_saddr;
		return;
	}
	BPF_CORE_READ_INTO(&s->peer, sk, __sk_common.skc_v6_daddr);
	BPF_CORE_READ_INTO(&s->local, sk, __sk_common.skc_v6_rcv_saddr);
}

/* Step 2: SYN_RECV to ESTABLISHED. The connection gets a slot here, not at the
 * SYN: a flood of SYNs takes none. */
static __always_inline void open_connection(const struct sock *sk)
{
	__u64 now = bpf_ktime_get_ns();
	__u32 cpu = bpf_get_smp_processor_id();
	struct tcp_sock *tp = bpf_skc_to_tcp_sock((void *)sk);
	struct free_ring *ring;
	struct traced *t;
	struct slot *s;
	__u32 id, tail;
	__u64 cookie;

	if (!tp)
		return;
	if (netns_inum && sk->__sk_common.skc_net.net->ns.inum != netns_inum)
		return;
	cookie = bpf_get_socket_cookie((void *)sk);
	ring = bpf_map_lookup_elem(&free_rings, &cpu);
	if (!ring)
		return;
	tail = ring->tail;
	if (tail == READ(ring->head))
		goto untraced;
	id = ring->ids[tail & (FREE_ROOM - 1)];
	s = bpf_map_lookup_elem(&slots, &id);
	if (!s)
		goto untraced;
	t = bpf_sk_storage_get(&sockets, (void *)sk, 0,
			       BPF_SK_STORAGE_GET_F_CREATE);
	if (!t)
		goto untraced;
	if (bpf_map_update_elem(&by_cookie, &cookie, &id, BPF_ANY)) {
		bpf_sk_storage_delete(&sockets, (void *)sk);
		goto untraced;
	}
	s->opened = now;
	s->snd_base = tp->snd_una - (__u32)tp->bytes_acked;
	put_addresses(s, sk);
	/* The cookie makes the slot this connection's. */
	barrier();
	WRITE(s->cookie, cookie);
	t->cookie = cookie;
	t->slot = id;
	put_syn(s, tp, now);
	wait_for_queue(id, s, now);
	barrier();
	WRITE(ring->tail, tail + 1);
	return;
untraced:
	COUNT(untraced);
	emit(EVENT_UNTRACED, now, cookie, 0);
}

/* tcp_probe is called in tcp_rcv_established() only. In the closing states an
 * ACK shows as a state change, or not before the next one. */
static __always_inline void acked_by_state(struct slot *s, struct tcp_sock *tp,
					   __u64 now)
{
	if (tp->bytes_acked <= s->tx_acked)
		return;
	s->tx_acked = tp->bytes_acked;
	push(s, LANE_TX_ACKED, now, tp->bytes_acked);
}

static __always_inline void change_state(const struct sock *sk, int from,
					 int to)
{
	struct tcp_sock *tp;
	struct slot *s;
	__u64 now;

	/* skc_num is 0 when a socket goes to CLOSE, so the storage decides. */
	s = slot_of(sk);
	if (!s)
		return;
	now = bpf_ktime_get_ns();
	tp = bpf_skc_to_tcp_sock((void *)sk);
	if (tp)
		acked_by_state(s, tp, now);
	push(s, LANE_STATE, now, word(KIND_CHANGE, from, to));
}

static __always_inline void reset_sent(const struct sock *sk,
				       const struct sk_buff *skb, __u32 reason)
{
	__u64 now = bpf_ktime_get_ns();
	struct tcp_header h;
	struct slot *s = sk ? slot_of(sk) : NULL;

	if (s) {
		push(s, LANE_STATE, now, word(KIND_RESET_SENT, reason, 0));
		return;
	}
	if (!skb)
		return;
	/* Sent in answer to skb, so skb's destination is our port. */
	if (bpf_probe_read_kernel(&h, sizeof(h),
				  skb->head + skb->transport_header) ||
	    h.dest != bpf_htons(listen_port))
		return;
	emit(EVENT_RESET_SENT, now, 0, reason);
}

static __always_inline void reset_received(const struct sock *sk)
{
	struct slot *s = slot_of(sk);

	if (s)
		push(s, LANE_STATE, bpf_ktime_get_ns(),
		     word(KIND_RESET_RECEIVED, 0, 0));
}

/* Step 16. The socket is gone for every process: no hook can find it any
 * more, and the reader may take the slot back. */
static __always_inline void close_connection(const struct sock *sk)
{
	struct slot *s = slot_of(sk);
	__u64 cookie;

	if (!s)
		return;
	cookie = s->cookie;
	bpf_map_delete_elem(&by_cookie, &cookie);
	bpf_sk_storage_delete(&sockets, (void *)sk);
	barrier();
	WRITE(s->destroyed, bpf_ktime_get_ns());
}

#endif
