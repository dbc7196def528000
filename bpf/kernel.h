/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The few kernel fields that the programs read. CO-RE relocates each access to
 * the running kernel's layout, so that no vmlinux.h is needed: only the names
 * and types of the fields matter here, not their places.
 */
#ifndef LIFETRACE_KERNEL_H
#define LIFETRACE_KERNEL_H

#include <linux/types.h>
#include <linux/bpf.h>
#include <stdbool.h>

#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86DD
#define MSG_PEEK 2

/* include/net/tcp_states.h */
#define TCP_ESTABLISHED 1
#define TCP_SYN_RECV 3
#define TCP_LISTEN 10

#pragma clang attribute push(__attribute__((preserve_access_index)), \
			     apply_to = record)

struct in6_addr {
	union {
		__u8 u6_addr8[16];
	} in6_u;
};

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

typedef struct {
	__s64 counter;
} atomic64_t;

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	atomic64_t skc_cookie;
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
	__u32 sk_ack_backlog;
	__u32 sk_max_ack_backlog;
};

struct tcp_sock {
	__u32 snd_una;
	__u32 snd_nxt;
	__u32 srtt_us;
	__u64 bytes_received;
	__u64 bytes_acked;
};

struct sk_buff {
	struct sock *sk;
	unsigned int len;
	__be16 protocol;
	__u16 transport_header;
	unsigned char *head;
	unsigned char *data;
	char cb[48];
};

struct socket {
	struct sock *sk;
};

struct inode {
	unsigned short i_mode;
};

struct file {
	struct inode *f_inode;
	void *private_data;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct task_struct {
	int pid;
	int tgid;
	struct files_struct *files;
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long orig_ax;
};
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	__s32 syscallno;
};
#endif

#pragma clang attribute pop

/* include/net/rstreason.h, 6.10; its values are the reasons that are kept. */
enum sk_rst_reason {
	SK_RST_REASON_NOT_SPECIFIED,
};

/* include/uapi/linux/tcp.h, in wire order; the header of a packet has the same
 * layout in every kernel, so no relocation. */
struct tcp_header {
	__be16 source;
	__be16 dest;
	__be32 seq;
	__be32 ack_seq;
	__u8 doff; /* upper four bits, in 32-bit words */
	__u8 flags;
};

#define TCP_FLAG_ACK 0x10

#if defined(__TARGET_ARCH_x86)
#define SYSCALL_NR(regs) ((long)(regs)->orig_ax)
#define NR_ACCEPT 43
#define NR_ACCEPT4 288
#define NR_EPOLL_WAIT 232
#define NR_EPOLL_PWAIT 281
#define NR_EPOLL_PWAIT2 441
#elif defined(__TARGET_ARCH_arm64)
#define SYSCALL_NR(regs) ((long)(regs)->syscallno)
#define NR_ACCEPT 202
#define NR_ACCEPT4 242
#define NR_EPOLL_WAIT (-1) /* arm64 never had it */
#define NR_EPOLL_PWAIT 22
#define NR_EPOLL_PWAIT2 441
#else
#error "no system call numbers for this architecture"
#endif

#endif
