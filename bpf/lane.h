/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps, and how a mark gets into a lane. */
#ifndef LIFETRACE_LANE_H
#define LIFETRACE_LANE_H

#include "kernel.h"
#include "layout.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#define READ(x) (*(volatile typeof(x) *)&(x))
#define WRITE(x, v) (*(volatile typeof(x) *)&(x) = (v))
/* Keeps the compiler from moving stores; the CPU does not move them on x86
 * (TSO). The reader waits out what arm64 may still hold (probes/reader.go). */
#define barrier() asm volatile("" ::: "memory")

/* Set before the programs are loaded. */
const volatile __u16 listen_port;
const volatile __u32 netns_inum; /* 0: any network namespace */
const volatile __u32 lane_cap = LANE_ROOM;
const volatile __u32 thread_cap = THREAD_ROOM;
/* The listener's sk_data_ready will tell depth and limit of the accept queue. */
const volatile bool queue_seen = true;

/* The process whose threads are watched; set when it is known. */
__u32 watch_tgid;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct slot);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct thread_slot);
} thread_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct free_ring);
} free_rings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
} counts SEC(".maps");

/* The small ring. Its size is set at load; the reader drains it on a timer. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
	__type(value, struct event);
} events SEC(".maps");

/* A traced socket's slot. */
struct traced {
	__u64 cookie;
	__u32 slot;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct traced);
} sockets SEC(".maps");

/* The same by cookie, for hooks whose socket pointer the verifier does not
 * trust for socket storage. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, __u32);
} by_cookie SEC(".maps");

/* SYNs whose handshake is not over. LRU: a SYN flood pushes out old ones,
 * whose connections then get a derived SYN mark. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, __u64);
} syns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u32);
} threads SEC(".maps");

/* The connection that this CPU has just established and whose place in the
 * accept queue is not known yet. */
struct pending {
	__u64 ts;
	__u64 cookie;
	__u32 slot;
	__u32 set;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pending);
} established SEC(".maps");

static __always_inline struct counters *cpu_counts(void)
{
	__u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&counts, &cpu);
}

/* Atomic, because the same CPU may be interrupted between load and store; the
 * result is not fetched, which 5.10 could not run. */
#define COUNT(field)                                          \
	do {                                                  \
		struct counters *__c = cpu_counts();          \
		if (__c)                                      \
			__sync_fetch_and_add(&__c->field, 1); \
	} while (0)

static __always_inline struct slot *slot_at(__u32 id, __u64 cookie)
{
	struct slot *s = bpf_map_lookup_elem(&slots, &id);

	/* A slot that was given to another connection meanwhile is not ours. */
	return s && s->cookie == cookie ? s : NULL;
}

static __always_inline struct slot *slot_of(const struct sock *sk)
{
	struct traced *t;

	t = bpf_sk_storage_get(&sockets, (void *)sk, 0, 0);
	return t ? slot_at(t->slot, t->cookie) : NULL;
}

static __always_inline struct slot *slot_by_cookie(__u64 cookie)
{
	__u32 *id = bpf_map_lookup_elem(&by_cookie, &cookie);

	return id ? slot_at(*id, cookie) : NULL;
}

/*
 * Appends a mark to a lane. A full lane's newest entry absorbs the mark, so
 * that the first and the last mark of a burst stay exact; a state word cannot
 * be absorbed and is lost. One producer per lane at a time: see the hooks.
 */
static __always_inline void push(struct slot *s, enum lane lane, __u64 ts,
				 __u64 off)
{
	__u32 head = s->head[lane];

	COUNT(lane[lane]);
	if (head - READ(s->tail[lane]) >= lane_cap) {
		if (lane == LANE_STATE) {
			s->lost[lane]++;
			return;
		}
		struct absorbed *last = &s->last[lane];

		WRITE(last->ts, 0);
		barrier();
		last->off = off;
		last->count = last->index == head - 1 ? last->count + 1 : 1;
		last->index = head - 1;
		barrier();
		WRITE(last->ts, ts);
		barrier();
		WRITE(s->merged[lane], s->merged[lane] + 1);
		return;
	}
	struct mark *m = &s->marks[lane][head & (LANE_ROOM - 1)];

	m->ts = ts;
	m->off = off;
	barrier();
	WRITE(s->head[lane], head + 1);
}

static __always_inline __u64 word(enum state_kind kind, __u32 a, __u32 b)
{
	return (__u64)kind << 56 | (__u64)(a & 0xffffff) << 32 | b;
}

static __always_inline void push_thread(__u32 id, enum thread_lane lane,
					__u64 ts, __u64 off)
{
	struct thread_slot *t = bpf_map_lookup_elem(&thread_slots, &id);

	if (!t)
		return;
	COUNT(thread[lane]);
	__u32 head = t->head[lane];

	if (head - READ(t->tail[lane]) >= thread_cap) {
		t->lost[lane]++;
		return;
	}
	struct mark *m = &t->marks[lane][head & (THREAD_ROOM - 1)];

	m->ts = ts;
	m->off = off;
	barrier();
	WRITE(t->head[lane], head + 1);
}

static __always_inline void emit(__u32 kind, __u64 ts, __u64 cookie, __u32 a)
{
	struct event *e;

	COUNT(events);
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		COUNT(events_lost);
		return;
	}
	e->ts = ts;
	e->cookie = cookie;
	e->kind = kind;
	e->a = a;
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
}

#endif
