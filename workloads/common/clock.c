// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "workload.h"

#define CLOCK_COST_ROUNDS 10
#define CLOCK_COST_READS 1000

static uint64_t read_clock(clockid_t id)
{
	struct timespec time;

	if (clock_gettime(id, &time) != 0)
		die(STATUS_FAILED, "Cannot read clock %d (errno %d).", (int)id, errno);
	return (uint64_t)time.tv_sec * UINT64_C(1000000000) + (uint64_t)time.tv_nsec;
}

uint64_t now_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t cpu_ns(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t thread_cpu_ns(int pid)
{
	struct timespec time;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0)
		return 0;
	return (uint64_t)time.tv_sec * UINT64_C(1000000000) + (uint64_t)time.tv_nsec;
}

void sleep_until(uint64_t when_ns)
{
	const struct timespec when = { .tv_sec = (time_t)(when_ns / UINT64_C(1000000000)),
				       .tv_nsec = (long)(when_ns % UINT64_C(1000000000)) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
		;
}

/* The least of some rounds: a tick or the sampler's turn falls into few of them. */
double clock_read_cost_ns(void)
{
	uint64_t least = UINT64_MAX;

	for (int round = 0; round < CLOCK_COST_ROUNDS; round++) {
		uint64_t begin = now_ns();
		uint64_t end = begin;

		for (int i = 0; i < CLOCK_COST_READS; i++)
			end = now_ns();
		if (end - begin < least)
			least = end - begin;
	}
	return (double)least / CLOCK_COST_READS;
}

static void mark_phase(const struct phase *phase, const char *edge)
{
	char text[MARK_BYTES];

	if (phase->round > 0)
		snprintf(text, sizeof(text), "%s:%u:%s", phase->name, phase->round, edge);
	else
		snprintf(text, sizeof(text), "%s:%s", phase->name, edge);
	mark(text);
}

void phase_begin(struct phase *phase, const char *name, unsigned int round)
{
	phase->name = name;
	phase->round = round;
	phase->cost = (struct cost){ .channel = COST_PHASE };
	mark_phase(phase, "begin");
	cost_begin(&phase->cost);
}

void phase_stop(struct phase *phase)
{
	cost_end(&phase->cost);
}

void phase_finish(struct phase *phase, uint64_t other_cpu_ns)
{
	phase->cost.cpu_ns += other_cpu_ns;
	mark_phase(phase, "end");
	emit_phase(phase);
}

void phase_end(struct phase *phase)
{
	phase_stop(phase);
	phase_finish(phase, 0);
}

void emit_phase_cost(const struct phase *phase, uint64_t pages)
{
	emit_cost(phase->name, phase->round, &phase->cost, pages);
}
