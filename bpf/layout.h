/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the programs and the reader share: the memory that both map. Go's types
 * are generated from these structs, so every hole is spelled out.
 *
 * Clock: every ts is bpf_ktime_get_ns(), CLOCK_MONOTONIC.
 */
#ifndef LIFETRACE_LAYOUT_H
#define LIFETRACE_LAYOUT_H

/* The lanes of a connection; internal/mark has the same order. */
enum lane {
	LANE_STATE,
	LANE_RX_READY,
	LANE_RX_READ,
	LANE_TX_QUEUED,
	LANE_TX_SENT,
	LANE_TX_ACKED,
	LANES,
};

/* The lanes of a loop thread; internal/mark has the same order. */
enum thread_lane {
	THREAD_WAKEUP,
	THREAD_RUNNING,
	THREAD_POLL_RETURN,
	THREAD_PREEMPTED,
	THREAD_LANES,
};

/* The kinds of a word in LANE_STATE; internal/mark has the same values. */
enum state_kind {
	KIND_SYN = 1,
	KIND_ESTABLISHED,
	KIND_ACCEPTED,
	KIND_CHANGE,
	KIND_RESET_SENT,
	KIND_RESET_RECEIVED,
	KIND_RETRANSMIT,
	KIND_DESTROYED,
};

/* How many entries a lane has room for. Powers of two: heads and tails count
 * on and are masked. lane_cap and thread_cap use fewer when a test asks. */
#define LANE_ROOM 64
#define THREAD_ROOM 4096
#define FREE_ROOM 1024

struct mark {
	__u64 ts;
	__u64 off;
};

/* The newest mark that a lane's newest entry absorbed. */
struct absorbed {
	__u64 ts; /* 0 while the rest is being written */
	__u64 off;
	__u32 index; /* of the entry, counted as heads are */
	__u32 count; /* how many that entry absorbed */
};

/*
 * One traced connection.
 *
 * A slot belongs to BPF from the moment its id is popped from a free ring until
 * `destroyed` is set, and to the reader from then until the id is pushed
 * again. While BPF has it, BPF writes all but `tail`.
 */
struct slot {
	/* Identity, written before the free ring's tail moves past this slot. */
	__u64 cookie;
	__u64 opened;
	__u64 destroyed; /* ts; 0 while the socket exists */
	__u64 accepted; /* ts of accept4's return; 0 before */
	__u32 accepted_fd;
	__u32 snd_base; /* sequence number of send offset 0 */
	__u16 peer_port;
	__u16 local_port;
	__u16 family;
	__u16 retransmits; /* stops at 65535 */
	__u8 peer[16]; /* network order; IPv4 in the first four bytes */
	__u8 local[16];
	__u8 pad0[48];

	/* Producers' side, a cache line of its own so that a sweep over idle
	 * connections reads one line each. */
	__u32 head[LANES];
	__u32 merged[LANES]; /* marks absorbed by a newest entry */
	__u32 lost[LANES]; /* marks of a lane that must not merge */
	__u32 pad1[14];

	/* The reader's side. */
	__u32 tail[LANES];
	__u32 pad2[10];

	/* Running offsets of the two streams, bytes from 0. */
	__u64 rx_ready;
	__u64 rx_read;
	__u64 tx_queued;
	__u64 tx_sent;
	__u64 tx_acked;
	__u64 pad3;

	struct absorbed last[LANES];
	struct mark marks[LANES][LANE_ROOM];
};

/* One watched loop thread. */
struct thread_slot {
	__u32 tid;
	__u32 pad0;
	__u32 head[THREAD_LANES];
	__u32 lost[THREAD_LANES];
	__u32 pad1[6];
	__u32 tail[THREAD_LANES];
	__u32 pad2[12];
	struct mark marks[THREAD_LANES][THREAD_ROOM];
};

/*
 * Slots free for the use of one CPU. The reader pushes ids at head, programs on
 * that CPU pop them at tail: connections are established in softirq context,
 * which does not nest, so that a CPU's ring has one consumer at a time. What
 * lies between the reader's last view of tail and tail now are the slots that
 * were taken since: that is how the reader learns of new connections.
 */
struct free_ring {
	__u32 head;
	__u32 pad0[15];
	__u32 tail;
	__u32 pad1[15];
	__u32 ids[FREE_ROOM];
};

/* What one CPU counted, independently of heads and tails, so that
 * produced = read + merged + lost can be checked and not only asserted. */
struct counters {
	__u64 lane[LANES];
	__u64 accepted;
	__u64 thread[THREAD_LANES];
	__u64 untraced; /* connections that found no free slot */
	__u64 events; /* events offered to the ring */
	__u64 events_lost; /* of those, how many did not fit */
	__u64 pad[2];
};

enum event_kind {
	EVENT_RESET_SENT = 1, /* a RST without a traced connection */
	EVENT_UNTRACED, /* a connection found no slot */
};

/* What has no connection, or is too rare for a lane. */
struct event {
	__u64 ts;
	__u64 cookie; /* 0 if there is no socket */
	enum event_kind kind;
	__u32 a; /* EVENT_RESET_SENT: the sk_rst_reason */
};

#endif
