// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a stretch of work costs: elapsed time, CPU time of the program, and, counted outside of
 * the guest, all instructions that its CPU executed.
 *
 * A task's CPU time is no measure of what a page costs where the guest waits: completions,
 * softirqs and RCU callbacks are charged to the task that happens to be current, and a small
 * shift of the timers moves them from one task to another.
 *
 * QEMU's plugins count (vm-images/plugins).  They are told what by a NOP that no compiler emits:
 * its displacement has MARKER_TAG and a code.  Without a plugin it does nothing.
 */
#include "workload.h"

#ifndef __x86_64__
#error "The marker is an x86-64 instruction; vm-images/plugins/plugin.c must know it, too."
#endif

#define CHANNELS 4
#define MARKER_TAG 0x53570000

enum operation { CLEAR, BEGIN, END, PUT };

#define MARKER(number) \
	case number: \
		__asm__ volatile(".byte 0x0f, 0x1f, 0x80\n\t.long %c0" \
				 : : "i"(MARKER_TAG | (number)) : "memory"); \
		break

static void marker(enum operation operation, enum cost_channel channel)
{
	switch ((int)operation * CHANNELS + (int)channel) {
	MARKER(0); MARKER(1); MARKER(2); MARKER(3);
	MARKER(4); MARKER(5); MARKER(6); MARKER(7);
	MARKER(8); MARKER(9); MARKER(10); MARKER(11);
	MARKER(12); MARKER(13); MARKER(14); MARKER(15);
	}
}

unsigned int count_put(enum cost_channel channel)
{
	static unsigned int lines;

	marker(PUT, channel);
	return ++lines;
}

void count_clear(enum cost_channel channel)
{
	marker(CLEAR, channel);
}

void count_begin(enum cost_channel channel)
{
	marker(BEGIN, channel);
}

void count_end(enum cost_channel channel)
{
	marker(END, channel);
}

void cost_begin(struct cost *cost)
{
	if (cost->begin_ns == 0)
		count_clear(cost->channel);
	cost->cpu_ns -= cpu_ns();
	cost->last_ns = now_ns();
	if (cost->begin_ns == 0)
		cost->begin_ns = cost->last_ns;
	count_begin(cost->channel);
}

void cost_end(struct cost *cost)
{
	count_end(cost->channel);
	cost->elapsed_ns += now_ns() - cost->last_ns;
	cost->cpu_ns += cpu_ns();
}

void cost_add(struct cost *sum, const struct cost *cost)
{
	sum->elapsed_ns += cost->elapsed_ns;
	sum->cpu_ns += cost->cpu_ns;
}
