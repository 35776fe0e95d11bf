// needs: 15: earlier ones have no __builtin_preserve_type_info(…, BPF_TYPE_MATCHES)
// Whether a whole type fits: members by name and type, enumerators by name, functions by their parameters.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

struct list_head___same {
	struct list_head *next;
	struct list_head *prev;
};

struct list_head___one {
	struct list_head *prev;
};

struct list_head___other {
	void *next;
};

struct list_head___more {
	struct list_head *next, *prev, *sideways;
};

struct list_head___self {
	struct list_head___self *next;
};

struct task_struct___some {
	int pid;
	unsigned int flags;
	char comm[16];
	struct mm_struct *mm;
};

struct task_struct___length {
	char comm[17];
};

struct task_struct___sign {
	unsigned int pid;
};

struct task_struct___forward {
	struct forward_only *mm;
};

struct task_struct___union {
	union mm_struct___union *mm;
};

struct sock___nested {
	struct {
		int skc_refcnt;
	} __sk_common;
};

enum bpf_map_type___some {
	BPF_MAP_TYPE_HASH___any = 99,
	BPF_MAP_TYPE_ARRAY___any = 5,
};

enum bpf_map_type___none {
	BPF_MAP_TYPE_NO_SUCH___any = 1,
};

typedef int (*initcall_t___same)(void);
typedef int (*initcall_t___long)(void *);
typedef long (*initcall_t___wide)(void);

struct file_operations___functions {
	struct module *owner;
	int (*open)(struct inode *, struct file *);
	loff_t (*llseek)(struct file *, loff_t, int);
};

struct file_operations___wrong {
	int (*open)(struct file *, struct inode *);
};

__u64 sum;

SEC("raw_tp/sys_enter")
int matches(void *ctx)
{
	sum += bpf_core_type_matches(struct list_head);
	sum += bpf_core_type_matches(struct list_head___same);
	sum += bpf_core_type_matches(struct list_head___one);
	sum += bpf_core_type_matches(struct list_head___other);
	sum += bpf_core_type_matches(struct list_head___more);
	sum += bpf_core_type_matches(struct list_head___self);
	sum += bpf_core_type_matches(struct task_struct);
	sum += bpf_core_type_matches(struct task_struct___some);
	sum += bpf_core_type_matches(struct task_struct___length);
	sum += bpf_core_type_matches(struct task_struct___sign);
	sum += bpf_core_type_matches(struct task_struct___forward);
	sum += bpf_core_type_matches(struct task_struct___union);
	sum += bpf_core_type_matches(struct sock___nested);
	sum += bpf_core_type_matches(enum bpf_map_type);
	sum += bpf_core_type_matches(enum bpf_map_type___some);
	sum += bpf_core_type_matches(enum bpf_map_type___none);
	sum += bpf_core_type_matches(initcall_t);
	sum += bpf_core_type_matches(initcall_t___same);
	sum += bpf_core_type_matches(initcall_t___long);
	sum += bpf_core_type_matches(initcall_t___wide);
	sum += bpf_core_type_matches(struct file_operations___functions);
	sum += bpf_core_type_matches(struct file_operations___wrong);
	sum += bpf_core_type_matches(union bpf_attr);
	sum += bpf_core_type_matches(struct sk_buff);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
