/* SPDX-License-Identifier: GPL-2.0-only */
/* What runner.c needs of its watcher and of cgroup files. */
#ifndef RUNNER_H
#define RUNNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- usage.c --- */

/* What the kernel counts for a cgroup and all below it, dead processes included. */
struct usage {
	bool has_cpu, has_memory, has_stall;
	uint64_t cpu_us, user_us, system_us;
	uint64_t faults, major_faults;
	uint64_t stall_us; /* PSI: all tasks waited for memory */
};

struct usage usage_read(const char *group); /* "" for none */
/* The same of one figure, for whoever looks often; false if there is none. */
bool usage_stall(const char *group, uint64_t *total_us);
bool usage_cpu(const char *group, uint64_t *us);

/* --- phases.c --- */

/*
 * Phases that a program tells by what it prints: lines "NAME<TAB>BEGIN<TAB>END" of the file
 * PHASES_FILE in its folder, each text a part of the line that begins or ends the phase.  The mark
 * is set when the line is read, a moment after it was printed.
 */
#define PHASES_FILE ".phases"

void phases_load(const char *home);
bool phases_wanted(void);
void phases_read(const char *text, size_t bytes);
void phases_close(void); /* end what is open */

/* --- watcher.c --- */

/* A process of real-time priority that sleeps WATCH_NS at a time, and looks when it wakes. */
#define WATCH_NS UINT64_C(10000000)

struct watched {
	uint64_t latest_wakeup_ns;
	bool has_stall;
	uint64_t longest_stall_ns;
	bool lost_patience; /* no progress for as long as was allowed */
};

/* progress: seconds that may pass without; 0: any number. */
void watcher_start(const char *group, uint64_t progress);
void watcher_stop(void);
void watcher_reaped(int pid); /* told of every child that is reaped: it may be the watcher */
bool watcher_lost_patience(void);
const struct watched *watcher_seen(void);

#endif
