// SPDX-License-Identifier: GPL-2.0-only
/*
 * A CPU for each process of a workload.
 *
 * A process that the scheduler moves leaves pages behind in the old CPU's batch of folios that are
 * still to be put on the LRU: MADV_PAGEOUT does not find them, and what reclaim finds differs from
 * boot to boot.  Where QEMU's vCPUs run in turn, when it moves one depends on the host besides.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "workload.h"

void take_cpu(unsigned int number)
{
	cpu_set_t allowed, one;
	unsigned int count, left;
	size_t cpu = 0;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		return; /* more CPUs than the set has room for */
	count = (unsigned int)CPU_COUNT(&allowed);
	if (count < 2)
		return;
	for (left = number % count; left > 0 || !CPU_ISSET(cpu, &allowed); cpu++)
		left -= CPU_ISSET(cpu, &allowed) ? 1 : 0;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one) != 0)
		die(STATUS_FAILED, "Cannot bind a process to CPU %zu: %s.", cpu, strerror(errno));
}
