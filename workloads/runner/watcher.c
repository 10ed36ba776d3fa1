// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/workload.h"
#include "runner.h"

/* A window is stalled if nearly all of it is: the two clocks that are compared differ a little. */
#define STALLED_PERCENT 90

static struct watched *shared;
static int watcher;

/* Time without a break, of windows one after the other. */
struct stretch {
	uint64_t now_ns, longest_ns;
};

static void stretch_add(struct stretch *stretch, bool goes_on, uint64_t window_ns)
{
	stretch->now_ns = goes_on ? stretch->now_ns + window_ns : 0;
	if (stretch->now_ns > stretch->longest_ns)
		stretch->longest_ns = stretch->now_ns;
}

static _Noreturn void watch(const char *group, uint64_t patience_ns)
{
	struct sched_param first = { .sched_priority = 1 };
	struct stretch stalled = { 0 }, still = { 0 };
	uint64_t last = now_ns(), stall_us = 0, cpu_us = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	lock_program(); /* not inherited */
	(void)sched_setscheduler(0, SCHED_FIFO, &first); /* only a test is not root */
	shared->has_stall = usage_stall(group, &stall_us);
	(void)usage_cpu(group, &cpu_us);
	for (;;) {
		uint64_t wanted = last + WATCH_NS, woke, stall = stall_us, cpu = cpu_us;
		bool waits, idles;

		sleep_until(wanted);
		woke = now_ns();
		if (woke - wanted > shared->latest_wakeup_ns)
			shared->latest_wakeup_ns = woke - wanted;
		(void)usage_stall(group, &stall);
		waits = (stall - stall_us) * 1000 * 100 >= (woke - last) * STALLED_PERCENT;
		stretch_add(&stalled, waits, woke - last);
		shared->longest_stall_ns = stalled.longest_ns;
		if (patience_ns > 0) {
			idles = usage_cpu(group, &cpu) && cpu == cpu_us;
			stretch_add(&still, waits || idles, woke - last);
			if (still.longest_ns >= patience_ns && !shared->lost_patience) {
				shared->lost_patience = true;
				_exit(STATUS_OK); /* the parent hears of it */
			}
		}
		stall_us = stall;
		cpu_us = cpu;
		last = woke;
	}
}

void watcher_start(const char *group, uint64_t progress)
{
	shared = memory_map_shared(PAGE_BYTES);
	*shared = (struct watched){ 0 };
	watcher = fork();
	if (watcher < 0)
		die(STATUS_FAILED, "Cannot fork: %s.", strerror(errno));
	if (watcher == 0)
		watch(group, progress * UINT64_C(1000000000));
}

void watcher_stop(void)
{
	if (watcher > 0) {
		kill(watcher, SIGKILL);
		waitpid(watcher, NULL, 0);
	}
	watcher = 0;
}

void watcher_reaped(int pid)
{
	if (pid == watcher)
		watcher = 0;
}

bool watcher_lost_patience(void)
{
	return shared->lost_patience;
}

const struct watched *watcher_seen(void)
{
	return shared;
}
