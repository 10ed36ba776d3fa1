// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stands for perf_event_open(2) in a sampler under test: FAKE_PMU says how.  An event is a socket
 * with all that can be read of it: read number k of CPU c gives k * k thousand cycles, twice as
 * many instructions and k * k misses, all times c + 1.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../../vm-images/sampler/sampler.h"

#define READS 40

int perf_event(struct perf_event_attr *attr, int cpu, int group)
{
	const char *how = getenv("FAKE_PMU");
	int ends[2];

	if (how == NULL || (strcmp(how, "cpu0") == 0 && cpu > 0) ||
	    (strcmp(how, "two") == 0 && attr->config == PERF_COUNT_HW_CACHE_MISSES)) {
		errno = ENOENT;
		return -1;
	}
	if (attr->type != PERF_TYPE_HARDWARE || attr->disabled || attr->exclude_kernel ||
	    attr->exclude_user || attr->pinned != (group < 0))
		abort();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		abort();
	for (uint64_t k = 0; k < READS; k++) {
		uint64_t square = k * k * ((uint64_t)cpu + 1);
		uint64_t running = strcmp(how, "shared") == 0 && k > 1 ? k : k + 1;
		uint64_t read[] = { 3, k + 1, running, square * 1000, square * 2000, square };

		if (send(ends[1], read, sizeof(read), 0) != (ssize_t)sizeof(read))
			abort();
	}
	return ends[0];
}
