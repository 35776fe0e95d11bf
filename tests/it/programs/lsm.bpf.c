// relocates: linux_binprm.file, file.f_inode, inode.i_mode, cred.uid.val, sockaddr.sa_family, task_struct.cred
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

#define EPERM 1
#define S_ISUID 0004000

SEC("lsm/bprm_check_security")
int BPF_PROG(exec, struct linux_binprm *bprm, int ret)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();

	if (ret)
		return ret;
	if (task->cred->uid.val && bprm->file->f_inode->i_mode & S_ISUID)
		return -EPERM;
	return 0;
}

SEC("lsm.s/socket_connect")
int BPF_PROG(connect, struct socket *sock, struct sockaddr *address, int addrlen, int ret)
{
	return address->sa_family == 2 ? -EPERM : ret;
}

char LICENSE[] SEC("license") = "GPL";
