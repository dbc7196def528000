/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Steps 3 and 4: the loop thread wakes, runs, and gets what it waited for. */
#ifndef LIFETRACE_THREAD_H
#define LIFETRACE_THREAD_H

#include "connection.h"

#define S_IFMT 00170000
#define S_IFSOCK 0140000

/* Every thread of the machine comes here: those of other processes leave after
 * one comparison. */
static __always_inline __u32 *watched(__u32 tgid, __u32 tid)
{
	if (tgid != watch_tgid)
		return NULL;
	return bpf_map_lookup_elem(&threads, &tid);
}

static __always_inline void woken(const struct task_struct *p)
{
	__u32 *id = watched(p->tgid, p->pid);

	if (id)
		push_thread(*id, THREAD_WAKEUP, bpf_ktime_get_ns(), 0);
}

static __always_inline void switched(const struct task_struct *prev,
				     const struct task_struct *next,
				     bool runnable)
{
	__u32 *id;

	id = watched(next->tgid, next->pid);
	if (id)
		push_thread(*id, THREAD_RUNNING, bpf_ktime_get_ns(),
			    bpf_get_smp_processor_id());
	if (!runnable)
		return;
	id = watched(prev->tgid, prev->pid);
	if (id)
		push_thread(*id, THREAD_PREEMPTED, bpf_ktime_get_ns(),
			    bpf_get_smp_processor_id());
}

/* The cookie of the socket behind one of the current task's descriptors. */
static __always_inline __u64 cookie_of_fd(long fd)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct file **array, *file;
	struct socket *sock;

	if (fd >= BPF_CORE_READ(task, files, fdt, max_fds))
		return 0;
	array = BPF_CORE_READ(task, files, fdt, fd);
	if (bpf_probe_read_kernel(&file, sizeof(file), array + fd) || !file)
		return 0;
	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	sock = BPF_CORE_READ(file, private_data);
	return BPF_CORE_READ(sock, sk, __sk_common.skc_cookie.counter);
}

/* A lane of its own would hold one mark: a field does. */
static __always_inline void accepted(long fd, __u64 now)
{
	struct slot *s = slot_by_cookie(cookie_of_fd(fd));

	if (!s || s->accepted)
		return;
	COUNT(accepted);
	s->accepted_fd = fd;
	barrier();
	WRITE(s->accepted, now);
}

static __always_inline void syscall_returned(const struct pt_regs *regs,
					     long ret)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u32 *slot = watched(id >> 32, id);
	long nr;

	if (!slot)
		return;
	nr = SYSCALL_NR(regs);
	if (nr == NR_EPOLL_PWAIT || nr == NR_EPOLL_WAIT ||
	    nr == NR_EPOLL_PWAIT2) {
		if (ret > 0)
			push_thread(*slot, THREAD_POLL_RETURN,
				    bpf_ktime_get_ns(), ret);
	} else if (nr == NR_ACCEPT4 || nr == NR_ACCEPT) {
		if (ret >= 0)
			accepted(ret, bpf_ktime_get_ns());
	}
}

#endif
