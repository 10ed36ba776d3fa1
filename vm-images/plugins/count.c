// SPDX-License-Identifier: GPL-2.0-only
/*
 * Count the instructions that a guest executes between two points of a workload: those of all
 * tasks, interrupts and softirqs, without the time that the CPU is halted.
 *
 * There are CHANNELS sums.  A mark clears one, begins or ends a stretch that counts for it, or
 * has it written to the output, as "<number of the line, from 1> <instructions>".
 *
 * A block of translated code is counted as a whole when it is entered.  If it is left early by a
 * page fault, it is entered again from there, so what follows the fault counts twice: a few
 * instructions a fault, in all kernels alike.  What follows an access to a device counts once.
 */
#include <inttypes.h>
#include <stdio.h>

#include "plugin.h"

const char plugin_name[] = "count";
const char plugin_usage[] = "out=FILE and nothing else";
const bool plugin_from_first_mark = true;

static uint64_t sums[CHANNELS];

bool plugin_option(const char *key, const char *value)
{
	(void)key;
	(void)value;
	return false;
}

bool plugin_start(qemu_plugin_id_t id, const qemu_info_t *info)
{
	(void)id;
	(void)info;
	return true;
}

void plugin_block(struct qemu_plugin_tb *tb, size_t insns)
{
	executed_add(tb, insns);
}

void plugin_mark(enum operation operation, unsigned int channel, unsigned int line)
{
	uint64_t *sum = &sums[channel];
	char text[64];
	int length;

	switch (operation) {
	case CLEAR:
		*sum = 0;
		break;
	case BEGIN:
		*sum -= executed();
		break;
	case END:
		*sum += executed();
		break;
	case PUT:
		length = snprintf(text, sizeof(text), "%u %" PRIu64 "\n", line, *sum);
		out_write(text, (size_t)length);
		break;
	case OPERATIONS:
		break;
	}
}
