// What can be asked of a whole type: its id here and in the kernel, whether it is there, how large it is. Records,
// unions, enums, integers, typedefs of each, of pointers and of functions; some that no kernel has.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

struct no_such_record {
	int x;
};

union no_such_union {
	int x;
};

enum no_such_enum {
	NO_SUCH_VALUE = 1,
};

typedef struct { int x; } no_such_typedef_t;

/* Of a name that kernels have, and another signature, kind or thing behind the pointer. */
typedef int (*initcall_t___two)(int, int);
typedef void (*initcall_t___none)(void);
typedef u64 *initcall_t___pointer;
typedef struct task_struct *pid_t___pointer;
typedef struct { int counter; } atomic_t___record;
typedef int atomic_t___number;
union list_head___union {
	int x;
};
enum task_struct___enum {
	A_VALUE,
};

__u64 sum;

SEC("tp_btf/sched_switch")
int ids(void *ctx)
{
	sum += bpf_core_type_id_local(struct task_struct);
	sum += bpf_core_type_id_local(struct no_such_record);
	sum += bpf_core_type_id_kernel(struct task_struct);
	sum += bpf_core_type_id_kernel(union bpf_attr);
	sum += bpf_core_type_id_kernel(enum bpf_map_type);
	sum += bpf_core_type_id_kernel(pid_t);
	sum += bpf_core_type_id_kernel(initcall_t);
	sum += bpf_core_type_id_kernel(struct no_such_record);
	return 0;
}

SEC("tp_btf/sched_wakeup")
int exist(void *ctx)
{
	sum += bpf_core_type_exists(struct task_struct);
	sum += bpf_core_type_exists(union bpf_attr);
	sum += bpf_core_type_exists(enum bpf_map_type);
	sum += bpf_core_type_exists(atomic_t);
	sum += bpf_core_type_exists(initcall_t);
	sum += bpf_core_type_exists(struct no_such_record);
	sum += bpf_core_type_exists(union no_such_union);
	sum += bpf_core_type_exists(enum no_such_enum);
	sum += bpf_core_type_exists(no_such_typedef_t);
	sum += bpf_core_type_exists(initcall_t___two);
	sum += bpf_core_type_exists(initcall_t___none);
	sum += bpf_core_type_exists(initcall_t___pointer);
	sum += bpf_core_type_exists(pid_t___pointer);
	sum += bpf_core_type_exists(atomic_t___record);
	sum += bpf_core_type_exists(atomic_t___number);
	sum += bpf_core_type_exists(union list_head___union);
	sum += bpf_core_type_exists(enum task_struct___enum);
	sum += bpf_core_type_exists(u64);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int sizes(void *ctx)
{
	sum += bpf_core_type_size(struct task_struct);
	sum += bpf_core_type_size(union bpf_attr);
	sum += bpf_core_type_size(enum bpf_map_type);
	sum += bpf_core_type_size(atomic_t);
	sum += bpf_core_type_size(initcall_t);
	sum += bpf_core_type_size(struct no_such_record);
	sum += bpf_core_type_size(no_such_typedef_t);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
