/*
 * align MILLISECONDS [PROGRAM [ARGUMENT ...]]
 *
 * Wait until the guest's uptime is a multiple of MILLISECONDS (0: do not wait), then
 * become PROGRAM, whose file has been read into the page cache before.
 *
 * Under the instruction clock an idle guest's time runs ahead by jumps, so a
 * command that comes over SSH starts at an arbitrary time.  Started on a
 * multiple, every boot's workload meets timer ticks, deferred work and
 * write-back at the same points of its way.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
	char *end = NULL;
	long milliseconds = argc > 1 ? strtol(argv[1], &end, 10) : -1;

	if (milliseconds < 0 || milliseconds > 3600000 || *end != '\0') {
		fputs("usage: align MILLISECONDS [PROGRAM [ARGUMENT ...]]\n", stderr);
		return 2;
	}
	if (argc > 2)
		read_through(argv[2]);
	wait_for_multiple((uint64_t)milliseconds);
	if (argc == 2)
		return 0;
	execvp(argv[2], argv + 2);
	fprintf(stderr, "align: %s: %s\n", argv[2], strerror(errno));
	return 127;
}
