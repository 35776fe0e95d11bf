// load OBJECT BTF: loads and attaches the programs of an eBPF object with libbpf, for the kernel that BTF describes
// (vmlinux.btf, as `btfleet fetch` left it), until it is ended.
#include <bpf/libbpf.h>
#include <stdio.h>
#include <string.h>
#include <errno.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: %s OBJECT BTF\n", argv[0]);
		return 2;
	}
	// Instead of /sys/kernel/btf/vmlinux, which this kernel or this container may not have.
	LIBBPF_OPTS(bpf_object_open_opts, options, .btf_custom_path = argv[2]);
	struct bpf_object *object = bpf_object__open_file(argv[1], &options);
	if (!object || bpf_object__load(object)) {
		fprintf(stderr, "%s cannot be loaded: %s\n", argv[1], strerror(errno));
		return 1;
	}
	struct bpf_program *program;
	bpf_object__for_each_program(program, object) {
		if (!bpf_program__attach(program)) {
			fprintf(stderr, "%s cannot be attached: %s\n", bpf_program__name(program), strerror(errno));
			return 1;
		}
	}
	fprintf(stderr, "attached: see /sys/kernel/tracing/trace_pipe\n");
	pause();
	return 0;
}
