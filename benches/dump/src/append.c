/* The text that libbpf's btf_dump makes, gathered in memory as cheaply as we can make it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

/* As `Text` in libbpf.rs. */
struct text {
	char *bytes;
	size_t used;
	size_t room;
};

/* A btf_dump_printf_fn_t. What finds no room is only counted: the caller sees used > room. */
void bench_append(void *ctx, const char *format, va_list args)
{
	struct text *text = ctx;
	size_t left = text->used < text->room ? text->room - text->used : 0;
	int length = vsnprintf(left ? text->bytes + text->used : NULL, left, format, args);

	if (length > 0)
		text->used += (size_t)length;
}
