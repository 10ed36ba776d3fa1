// SPDX-License-Identifier: GPL-2.0-only
/*
 * A CPU for each process of a workload, where QEMU's vCPUs run in turn.
 *
 * When a turn ends depends on the host, and so would the CPU that a process is moved to: lists of
 * pages by CPU then differ from boot to boot, and with them what reclaim finds.
 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "workload.h"

void take_cpu(unsigned int number)
{
	const char *text = getenv("HARNESS_ALIGN");
	long count = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t one;

	if (text == NULL || strcmp(text, "1") != 0 || count < 2)
		return;
	CPU_ZERO(&one);
	CPU_SET(number % (unsigned int)count, &one);
	if (sched_setaffinity(0, sizeof(one), &one) != 0)
		die(STATUS_FAILED, "Cannot bind a process to CPU %u.", number % (unsigned int)count);
}
