// relocates:
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#if defined(__BPF_FEATURE_ADDR_SPACE_CAST)
#define __arena __attribute__((address_space(1)))
#else
#define __arena
#endif
#define NUMA_NO_NODE (-1)

/* As the kernel's own bpf_arena_common.h declares them. */
void __arena *bpf_arena_alloc_pages(void *map, void __arena *addr, __u32 page_cnt, int node_id, __u64 flags) __ksym __weak;
void bpf_arena_free_pages(void *map, void __arena *ptr, __u32 page_cnt) __ksym __weak;

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 100);
} arena SEC(".maps");

struct item {
	struct item __arena *next;
	__u64 value;
};

struct item __arena *head;

SEC("syscall")
int fill(void *ctx)
{
	struct item __arena *page = bpf_arena_alloc_pages(&arena, NULL, 1, NUMA_NO_NODE, 0);
	__u64 sum = 0;

	if (!page)
		return 1;
	page->next = head;
	page->value = 42;
	head = page;
	for (int i = 0; i < 10 && page; i++, page = page->next)
		sum += page->value;
	if (sum == 0)
		bpf_arena_free_pages(&arena, (void __arena *)head, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
