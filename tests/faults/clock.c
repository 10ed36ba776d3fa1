// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loaded before the harness: a wall clock that is stepped by two hours, there
 * and back, every other second.  The monotonic clocks stay as they are.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define STEP_S 7200

static int real_time(clockid_t clock, struct timespec *now)
{
	return (int)syscall(SYS_clock_gettime, clock, now);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	struct timespec steady;
	int result = real_time(clock, now);

	if (result == 0 && clock == CLOCK_REALTIME && real_time(CLOCK_MONOTONIC, &steady) == 0 &&
	    steady.tv_sec / 2 % 2 != 0)
		now->tv_sec += STEP_S;
	return result;
}

time_t time(time_t *result)
{
	struct timespec now = { 0 };

	clock_gettime(CLOCK_REALTIME, &now);
	if (result != NULL)
		*result = now.tv_sec;
	return now.tv_sec;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec precise = { 0 };

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &precise);
	now->tv_sec = precise.tv_sec;
	now->tv_usec = precise.tv_nsec / 1000;
	return 0;
}
