// SPDX-License-Identifier: GPL-2.0-only
/* In a file of its own, so that a test can link another one: not every machine has a PMU. */
#include <sys/syscall.h>
#include <unistd.h>

#include "sampler.h"

int perf_event(struct perf_event_attr *attr, int cpu, int group)
{
	return (int)syscall(SYS_perf_event_open, attr, -1, cpu, group, PERF_FLAG_FD_CLOEXEC);
}
