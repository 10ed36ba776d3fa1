// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/workload.h"
#include "runner.h"

static bool counter(const char *group, const char *file, const char *name, uint64_t *value)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", group, file);
	return kernel_counter(path, name, value);
}

/* The line "full avg10=0.00 avg60=0.00 avg300=0.00 total=N". */
bool usage_stall(const char *group, uint64_t *total_us)
{
	char path[512], line[256];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "%s/memory.pressure", group);
	file = fopen(path, "re");
	while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL) {
		const char *total = strstr(line, "total=");

		found = strncmp(line, "full ", 5) == 0 && total != NULL;
		if (found)
			*total_us = strtoull(total + 6, NULL, 10);
	}
	if (file != NULL)
		fclose(file);
	return found;
}

struct usage usage_read(const char *group)
{
	struct usage usage = { 0 };

	if (group[0] == '\0')
		return usage;
	usage.has_cpu = counter(group, "cpu.stat", "usage_usec", &usage.cpu_us) &&
			counter(group, "cpu.stat", "user_usec", &usage.user_us) &&
			counter(group, "cpu.stat", "system_usec", &usage.system_us);
	usage.has_memory = counter(group, "memory.stat", "pgfault", &usage.faults) &&
			   counter(group, "memory.stat", "pgmajfault", &usage.major_faults);
	usage.has_stall = usage_stall(group, &usage.stall_us);
	return usage;
}

bool usage_cpu(const char *group, uint64_t *us)
{
	return counter(group, "cpu.stat", "usage_usec", us);
}
