// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the CPUs themselves count, in user and kernel mode together: the pseudo file "pmu".  The
 * sampler's own work at a mark is left out: a mark counts from the answer to the one before.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "sampler.h"

#define CPUS_MAX 512

static const struct {
	const char *name;
	uint64_t config;
} events[] = {
	{ "cycles", PERF_COUNT_HW_CPU_CYCLES },
	{ "instructions", PERF_COUNT_HW_INSTRUCTIONS },
	{ "cache-misses", PERF_COUNT_HW_CACHE_MISSES },
};

#define EVENTS COUNT_OF(events)

/* Of each CPU the first event's, which is read for all; the others stay open. */
static int leaders[CPUS_MAX];
static size_t cpu_count;
static uint64_t resumed[EVENTS], totals[EVENTS];
static bool lost;

static int open_event(size_t number, int cpu, int leader)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = events[number].config,
		.read_format = PERF_FORMAT_GROUP | PERF_FORMAT_TOTAL_TIME_ENABLED |
			       PERF_FORMAT_TOTAL_TIME_RUNNING,
		/* Counted all the time, or an error: what is scaled up is an estimate. */
		.pinned = leader < 0,
	};

	return perf_event(&attr, cpu, leader);
}

static bool read_all(uint64_t *sums)
{
	for (size_t i = 0; i < EVENTS; i++)
		sums[i] = 0;
	for (size_t cpu = 0; cpu < cpu_count; cpu++) {
		struct {
			uint64_t count, enabled, running, values[EVENTS];
		} group;

		if (read(leaders[cpu], &group, sizeof(group)) != (ssize_t)sizeof(group) ||
		    group.count != EVENTS || group.running < group.enabled)
			return false;
		for (size_t i = 0; i < EVENTS; i++)
			sums[i] += group.values[i];
	}
	return true;
}

void pmu_open(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (cpus < 1 || cpus > CPUS_MAX)
		return;
	for (int cpu = 0; cpu < cpus; cpu++) {
		leaders[cpu] = -1;
		for (size_t i = 0; i < EVENTS; i++) {
			int fd = open_event(i, cpu, leaders[cpu]);

			/* There is no PMU, as without KVM.  What is open by now counts on, unread. */
			if (fd < 0)
				return;
			if (i == 0)
				leaders[cpu] = fd;
		}
	}
	cpu_count = (size_t)cpus;
	pmu_resume();
}

void pmu_pause(void)
{
	uint64_t now[EVENTS];

	if (cpu_count == 0 || lost)
		return;
	lost = !read_all(now);
	for (size_t i = 0; i < EVENTS && !lost; i++)
		totals[i] += now[i] - resumed[i];
}

void pmu_resume(void)
{
	if (cpu_count > 0 && !lost)
		lost = !read_all(resumed);
}

void pmu_sample(struct record *record)
{
	size_t room = record_room(record), used = 0;

	if (cpu_count == 0)
		return;
	if (lost || room < 64 * EVENTS) {
		record_miss(record, "pmu", lost ? ENODATA : ENOBUFS);
		return;
	}
	for (size_t i = 0; i < EVENTS; i++)
		used += (size_t)snprintf(record_content(record) + used, room - used,
					 "%s %" PRIu64 "\n", events[i].name, totals[i]);
	record_file(record, "pmu", used);
}
