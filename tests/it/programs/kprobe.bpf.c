// relocates: pt_regs.di, pt_regs.ax, pt_regs.ip, pt_regs.si, filename.name, sock.__sk_common.skc_dport, sock.__sk_common.skc_v6_daddr.in6_u.u6_addr32
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

struct event {
	u32 pid;
	u16 port;
	u32 address[4];
	char name[64];
};

struct event event;

SEC("kprobe/do_unlinkat")
int BPF_KPROBE(do_unlinkat, int dfd, struct filename *name)
{
	event.pid = bpf_get_current_pid_tgid() >> 32;
	bpf_probe_read_kernel_str(event.name, sizeof(event.name), BPF_CORE_READ(name, name));
	return 0;
}

SEC("kretprobe/do_unlinkat")
int BPF_KRETPROBE(do_unlinkat_exit, long ret)
{
	bpf_printk("%ld at %lx", ret, PT_REGS_IP(ctx));
	return 0;
}

SEC("kprobe/tcp_v6_connect")
int BPF_KPROBE(tcp_v6_connect, struct sock *sk)
{
	event.port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	BPF_CORE_READ_INTO(&event.address, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr32);
	return 0;
}

SEC("kprobe/vfs_read")
int raw(struct pt_regs *ctx)
{
	return PT_REGS_PARM2(ctx) != 0 && PT_REGS_PARM1_CORE(ctx) != 0;
}

SEC("ksyscall/kill")
int BPF_KSYSCALL(on_kill, pid_t pid, int sig)
{
	bpf_printk("%d %d", pid, sig);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
