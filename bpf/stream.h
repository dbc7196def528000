/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Steps 7, 14 and 15: the two byte streams of a connection. */
#ifndef LIFETRACE_STREAM_H
#define LIFETRACE_STREAM_H

#include "connection.h"

/* Step 7. Softirq or backlog, under the socket's lock. bytes_received counts
 * what is in order; it is already advanced here. */
static __always_inline void data_ready(const struct sock *sk)
{
	struct slot *s = slot_of(sk);
	struct tcp_sock *tp;

	if (!s)
		return;
	tp = bpf_skc_to_tcp_sock((void *)sk);
	if (!tp || tp->bytes_received <= s->rx_ready)
		return;
	s->rx_ready = tp->bytes_received;
	push(s, LANE_RX_READY, bpf_ktime_get_ns(), s->rx_ready);
}

/* Step 7. Process context, as recv returns. */
static __always_inline void data_read(const struct sock *sk, int n, int flags)
{
	struct slot *s;

	if (n <= 0 || flags & MSG_PEEK)
		return;
	s = slot_of(sk);
	if (!s)
		return;
	s->rx_read += n;
	push(s, LANE_RX_READ, bpf_ktime_get_ns(), s->rx_read);
}

/* Step 14. Process context, as send returns. */
static __always_inline void data_queued(const struct sock *sk, int n)
{
	struct slot *s;

	if (n <= 0)
		return;
	s = slot_of(sk);
	if (!s)
		return;
	s->tx_queued += n;
	push(s, LANE_TX_QUEUED, bpf_ktime_get_ns(), s->tx_queued);
}

/* Lifts a sequence number to a send offset: of all offsets with these low 32
 * bits, the one nearest to ref. */
static __always_inline __u64 send_offset(const struct slot *s, __u32 seq,
					 __u64 ref)
{
	return ref + (__s32)(seq - s->snd_base - (__u32)ref);
}

/* Step 15: a segment is handed to the device. Every packet of the machine
 * comes here: those of other ports leave after one read. */
static __always_inline void segment_sent(const struct sk_buff *skb)
{
	unsigned char *transport;
	struct tcp_header h;
	struct slot *s;
	struct sock *sk;
	__u64 cookie, end;
	__u32 len, headers;

	if (skb->protocol != bpf_htons(ETH_P_IP) &&
	    skb->protocol != bpf_htons(ETH_P_IPV6))
		return;
	sk = skb->sk;
	if (!sk)
		return;
	transport = skb->head + skb->transport_header;
	if (bpf_probe_read_kernel(&h, sizeof(h), transport) ||
	    h.source != bpf_htons(listen_port))
		return;
	len = skb->len;
	headers = transport - skb->data + (h.doff >> 4) * 4;
	if (len <= headers)
		return; /* carries no content */
	cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
	s = slot_by_cookie(cookie);
	if (!s)
		return;
	end = send_offset(s, bpf_ntohl(h.seq) + len - headers, s->tx_sent);
	if ((__s64)(end - s->tx_sent) <= 0)
		return; /* sent before */
	s->tx_sent = end;
	push(s, LANE_TX_SENT, bpf_ktime_get_ns(), end);
}

static __always_inline void segment_resent(const struct sock *sk,
					   const struct sk_buff *skb)
{
	struct slot *s = slot_of(sk);
	__u32 seq;

	if (!s)
		return;
	if (s->retransmits < 0xffff)
		s->retransmits++;
	/* A path with much loss must not push the states out of their lane. */
	if (s->head[LANE_STATE] - READ(s->tail[LANE_STATE]) > lane_cap / 2)
		return;
	/* struct tcp_skb_cb begins with seq (include/net/tcp.h). */
	if (bpf_probe_read_kernel(&seq, sizeof(seq), skb->cb))
		return;
	push(s, LANE_STATE, bpf_ktime_get_ns(),
	     word(KIND_RETRANSMIT, 0, seq - s->snd_base));
}

/* Step 15: a segment of the client arrives. tcp_probe fires before its ACK is
 * processed, so the number is read from the segment. */
static __always_inline void segment_received(const struct sock *sk,
					     const struct sk_buff *skb)
{
	struct slot *s = slot_of(sk);
	struct tcp_sock *tp;
	struct tcp_header h;
	__u32 ack;
	__u64 off;

	if (!s)
		return;
	tp = bpf_skc_to_tcp_sock((void *)sk);
	if (!tp || bpf_probe_read_kernel(&h, sizeof(h), skb->data) ||
	    !(h.flags & TCP_FLAG_ACK))
		return;
	ack = bpf_ntohl(h.ack_seq);
	/* RFC 9293, 3.10.7.4: acceptable if SND.UNA < SEG.ACK =< SND.NXT. */
	if ((__s32)(ack - tp->snd_una) <= 0 || (__s32)(ack - tp->snd_nxt) > 0)
		return;
	off = tp->bytes_acked + (ack - tp->snd_una);
	if (off <= s->tx_acked)
		return;
	s->tx_acked = off;
	push(s, LANE_TX_ACKED, bpf_ktime_get_ns(), off);
}

#endif
