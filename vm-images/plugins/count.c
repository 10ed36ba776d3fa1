// SPDX-License-Identifier: GPL-2.0-only
/*
 * Count the instructions that a guest executes between two points of a workload: those of all
 * tasks, interrupts and softirqs, without the time that the CPU is halted.
 *
 *     qemu-system-x86_64 -plugin file=count.so,out=FILE
 *
 * The workload says where by an instruction that does nothing, see workloads/common/count.c.
 * There are CHANNELS sums.  A marker clears one, begins or ends a stretch that counts for it, or
 * has it written to FILE, as "<number of the line, from 1> <instructions>".
 *
 * A block of translated code is counted as a whole when it is entered.  If it is left early, by
 * a page fault for example, it is entered again from there, so what follows the fault counts
 * twice: a few instructions a fault, in all kernels alike.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "qemu-plugin.h"

#define CHANNELS 4u
#define MARKER_BYTES 7u
#define MARKER_TAG 0x5357u /* the upper half of the displacement */

enum operation { CLEAR, BEGIN, END, PUT, OPERATIONS };

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_API;
QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
					   char **argv);

static uint64_t sums[CHANNELS];
static unsigned int lines;
static int out = -1;

#if QEMU_PLUGIN_API == 1
static uint64_t executed;

static bool counter_make(void)
{
	return true;
}

static void counter_add(struct qemu_plugin_tb *tb, uint64_t amount)
{
	qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &executed,
						 amount);
}

static uint64_t counter_read(void)
{
	return executed;
}

static void insn_bytes(const struct qemu_plugin_insn *insn, unsigned char *bytes)
{
	memcpy(bytes, qemu_plugin_insn_data(insn), MARKER_BYTES);
}
#else
static qemu_plugin_u64 executed;

static bool counter_make(void)
{
	executed.score = qemu_plugin_scoreboard_new(sizeof(uint64_t));
	return executed.score != NULL;
}

static void counter_add(struct qemu_plugin_tb *tb, uint64_t amount)
{
	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64, executed,
							  amount);
}

static uint64_t counter_read(void)
{
	return qemu_plugin_u64_sum(executed);
}

static void insn_bytes(const struct qemu_plugin_insn *insn, unsigned char *bytes)
{
	qemu_plugin_insn_data(insn, bytes, MARKER_BYTES);
}
#endif

static void put(uint64_t sum)
{
	char line[64];
	int length = snprintf(line, sizeof(line), "%u %" PRIu64 "\n", ++lines, sum);

	/* A line that is lost shows: its number is missing. */
	if (write(out, line, (size_t)length) != length)
		fprintf(stderr, "count: cannot write line %u: %s\n", lines, strerror(errno));
}

/* data is the operation times CHANNELS, plus the channel. */
static void on_marker(unsigned int vcpu, void *data)
{
	unsigned int code = (unsigned int)(uintptr_t)data;
	uint64_t *sum = &sums[code % CHANNELS];

	(void)vcpu;
	switch ((enum operation)(code / CHANNELS)) {
	case CLEAR:
		*sum = 0;
		break;
	case BEGIN:
		*sum -= counter_read();
		break;
	case END:
		*sum += counter_read();
		break;
	case PUT:
		put(*sum);
		break;
	case OPERATIONS:
		break;
	}
}

/* nopl disp32(%rax), with MARKER_TAG and an operation for the displacement; else OPERATIONS. */
static unsigned int marker_code(const struct qemu_plugin_insn *insn)
{
	unsigned char bytes[MARKER_BYTES];
	unsigned int code;

	if (qemu_plugin_insn_size(insn) != MARKER_BYTES)
		return OPERATIONS * CHANNELS;
	insn_bytes(insn, bytes);
	code = bytes[3] | (unsigned int)bytes[4] << 8;
	if (bytes[0] != 0x0f || bytes[1] != 0x1f || bytes[2] != 0x80 ||
	    (bytes[5] | (unsigned int)bytes[6] << 8) != MARKER_TAG || code > OPERATIONS * CHANNELS)
		return OPERATIONS * CHANNELS;
	return code;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t count = qemu_plugin_tb_n_insns(tb);

	(void)id;
	counter_add(tb, count);
	for (size_t i = 0; i < count; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		unsigned int code = marker_code(insn);

		if (code < OPERATIONS * CHANNELS)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_marker,
							       QEMU_PLUGIN_CB_NO_REGS,
							       (void *)(uintptr_t)code);
	}
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
	static const char key[] = "out=";

	(void)info;
	if (argc != 1 || strncmp(argv[0], key, strlen(key)) != 0) {
		fprintf(stderr, "count: wants out=FILE and nothing else\n");
		return -1;
	}
	out = open(argv[0] + strlen(key), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (out < 0) {
		fprintf(stderr, "count: cannot open %s: %s\n", argv[0] + strlen(key),
			strerror(errno));
		return -1;
	}
	if (!counter_make())
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	return 0;
}
