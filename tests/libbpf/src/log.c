/* What libbpf says, as text for log.rs. */
#include <stdarg.h>
#include <stdio.h>

/* In log.rs. */
int oracle_wants(int level);
void oracle_line(const char *line);

/* A libbpf_print_fn_t. */
int oracle_print(int level, const char *format, va_list args)
{
	char line[8192];

	/* Most of what it says nobody wants, and formatting it is what costs. */
	if (oracle_wants(level)) {
		vsnprintf(line, sizeof(line), format, args);
		oracle_line(line);
	}
	return 0;
}
