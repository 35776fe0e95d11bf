// kernel: amd64-7.2.13+deb14-amd64
// relocates: hid_bpf_ctx.hid, hid_device.vendor, hid_bpf_ctx.size
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

extern __u8 *hid_bpf_get_data(struct hid_bpf_ctx *ctx, unsigned int offset, const size_t __sz) __ksym;
extern int hid_bpf_hw_request(struct hid_bpf_ctx *ctx, __u8 *data, size_t buf__sz, enum hid_report_type type,
			      enum hid_class_request reqtype) __ksym;

SEC("struct_ops/hid_device_event")
int BPF_PROG(swap_axes, struct hid_bpf_ctx *hctx, enum hid_report_type type)
{
	__u8 *data = hid_bpf_get_data(hctx, 0, 9);
	__u8 x;

	if (!data || type != HID_INPUT_REPORT)
		return 0;
	x = data[1];
	data[1] = data[3];
	data[3] = x;
	return hctx->hid->vendor == 0x46d ? hctx->size : 0;
}

SEC("struct_ops.s/hid_rdesc_fixup")
int BPF_PROG(fix_descriptor, struct hid_bpf_ctx *hctx)
{
	__u8 report[2] = { 1, 0 };

	return hid_bpf_hw_request(hctx, report, sizeof(report), HID_FEATURE_REPORT, HID_REQ_GET_REPORT);
}

SEC(".struct_ops.link")
struct hid_bpf_ops mouse = {
	.hid_device_event = (void *)swap_axes,
	.hid_rdesc_fixup = (void *)fix_descriptor,
};

char LICENSE[] SEC("license") = "GPL";
