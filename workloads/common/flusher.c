// SPDX-License-Identifier: GPL-2.0-only
/*
 * In step with memcg's flusher.
 *
 * Linux adds up the memcg counters of all CPUs every two seconds (FLUSH_TIME in
 * mm/memcontrol.c), and reclaim and refaults decide by the sums of the last time.
 * Its timer is started at boot and drifts by the timer wheel's rounding, so where
 * in a workload it fires would be chance.  It is work of an unbound kworker, and
 * in an idle guest nearly the only one: what runs and runs again two seconds
 * later is the flusher.
 */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "workload.h"

#define MS UINT64_C(1000000)
#define TICK_NS (4 * MS) /* of CONFIG_HZ=250; a finer or coarser tick only makes it less exact */
#define PERIOD_MIN_NS (1950 * MS)
#define PERIOD_MAX_NS (2150 * MS)
#define DEADLINE_NS (30000 * MS)
#define WORKERS_MAX 64
#define SEEN_MAX 8

static size_t find_workers(pid_t *pids)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	size_t count = 0;

	while (proc != NULL && (entry = readdir(proc)) != NULL && count < WORKERS_MAX) {
		char path[sizeof(entry->d_name) + 16], name[32] = "";
		FILE *file;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		file = fopen(path, "re");
		if (file == NULL)
			continue;
		if (fgets(name, sizeof(name), file) != NULL && strncmp(name, "kworker/u", 9) == 0)
			pids[count++] = (pid_t)strtol(entry->d_name, NULL, 10);
		fclose(file);
	}
	if (proc != NULL)
		closedir(proc);
	return count;
}

static uint64_t cpu_of(const pid_t *pids, size_t count)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += thread_cpu_ns(pids[i]);
	return sum;
}

/* Whether one of the earlier times is a period ago; the time is remembered. */
static bool is_periodic(uint64_t *seen, unsigned int *count, uint64_t now)
{
	bool found = false;

	for (unsigned int i = 0; i < SEEN_MAX && i < *count; i++)
		found |= now - seen[i] >= PERIOD_MIN_NS && now - seen[i] <= PERIOD_MAX_NS;
	seen[(*count)++ % SEEN_MAX] = now;
	return found;
}

bool flusher_wait(void)
{
	uint64_t begin = now_ns(), seen[SEEN_MAX], before;
	unsigned int count = 0;
	pid_t pids[WORKERS_MAX];
	size_t workers = find_workers(pids);

	before = cpu_of(pids, workers);
	/* Looked at in the middle of each tick: work that a tick starts is done by then. */
	for (uint64_t at = begin / TICK_NS * TICK_NS + TICK_NS / 2; at < begin + DEADLINE_NS;
	     at += TICK_NS) {
		uint64_t spent;

		sleep_until(at);
		spent = cpu_of(pids, workers);
		if (spent == before)
			continue;
		before = spent;
		if (is_periodic(seen, &count, at)) {
			sleep_until(at + 8 * TICK_NS);
			return true;
		}
	}
	return false;
}

void wait_for_alignment(void)
{
	const char *text = getenv("HARNESS_ALIGN");

	if (text == NULL || strcmp(text, "1") != 0 || flusher_wait())
		return;
	kernel_try_write("/dev/kmsg", "harness: memcg's flusher was not seen; starting anyhow\n");
}
