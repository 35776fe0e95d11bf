// relocates: file.f_path.dentry, dentry.d_name.name, dentry.d_inode, inode.i_ino, inode.i_sb, super_block.s_dev, kiocb.ki_filp
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

ino_t last;
dev_t device;
char name[32];

SEC("fentry/vfs_read")
int BPF_PROG(read_entry, struct file *file, char *buf, size_t count, loff_t *pos)
{
	struct dentry *dentry = file->f_path.dentry;

	bpf_probe_read_kernel_str(name, sizeof(name), dentry->d_name.name);
	last = dentry->d_inode->i_ino;
	device = dentry->d_inode->i_sb->s_dev;
	return 0;
}

SEC("fexit/vfs_read")
int BPF_PROG(read_exit, struct file *file, char *buf, size_t count, loff_t *pos, ssize_t ret)
{
	return ret == -1;
}

SEC("fmod_ret/ext4_file_read_iter")
int BPF_PROG(iter_read, struct kiocb *iocb, struct iov_iter *to, int ret)
{
	return iocb->ki_filp ? 0 : ret;
}

char LICENSE[] SEC("license") = "GPL";
