// SPDX-License-Identifier: GPL-2.0-only
/*
 * align [PROGRAM [ARGUMENT ...]]
 *
 * Wait for the moment at which workloads start, if HARNESS_ALIGN=1 asks for it,
 * then become PROGRAM, whose file has been read into the page cache before.
 *
 * Under the instruction clock an idle guest's time runs ahead by jumps, so a
 * command that comes over SSH starts at an arbitrary time.  Started in step with
 * the kernel's own periodic work, every boot's workload meets it, and the timer
 * ticks, at the same points of its way.
 *
 * PROGRAM's addresses are random again: init turned that off for all that comes before it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <unistd.h>

#include "../../workloads/common/workload.h"

static void read_through(const char *path)
{
	static char buffer[1 << 16];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return; /* execvp says it better */
	while (read(fd, buffer, sizeof(buffer)) > 0)
		;
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		read_through(argv[1]);
	wait_for_alignment();
	if (argc == 1)
		return 0;
	personality(PER_LINUX);
	execvp(argv[1], argv + 1);
	fprintf(stderr, "align: %s: %s\n", argv[1], strerror(errno));
	return 127;
}
