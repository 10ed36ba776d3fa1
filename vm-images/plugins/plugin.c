// SPDX-License-Identifier: GPL-2.0-only
/*
 * The part of a plugin that is the same in all of them, see plugin.h.
 *
 *     qemu-system-x86_64 -plugin file=NAME.so,out=FILE[,KEY=VALUE ...]
 *
 * The workload marks where its phases begin and end by an instruction that does nothing, see
 * workloads/common/cost.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin.h"

#define PAGE_BYTES 4096u
#define MARKER_BYTES 7u
#define MARKER_TAG 0x5357u /* the upper half of the displacement */

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_API;
QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
					   char **argv);

static int out = -1;
static bool all_blocks; /* are shown to the plugin, and not only those that have marks */
static qemu_plugin_id_t plugin_id;

void out_write(const void *bytes, size_t size)
{
	const char *at = bytes;

	while (size > 0) {
		ssize_t done = write(out, at, size);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0) {
			fprintf(stderr, "%s: cannot write: %s\n", plugin_name, strerror(errno));
			return;
		}
		at += done;
		size -= (size_t)done;
	}
}

#if QEMU_PLUGIN_API == 1
static uint64_t counter;

static bool counter_make(void)
{
	return true;
}

/* Whether QEMU's disassembler knows what it showed of an instruction. */
static bool is_known(const struct qemu_plugin_insn *insn)
{
	char *text = qemu_plugin_insn_disas(insn);
	bool known = text != NULL && *text != '\0' && strncmp(text, ".byte", 5) != 0;

	free(text);
	return known;
}

/*
 * How many instructions a block has.  One that crosses into another page begins a block: QEMU
 * notices when it has begun to translate it for the block before, puts it off to the next, and
 * shows it in both.  In the former it has only the bytes that QEMU had fetched.  A disassembler
 * does not know these, because no instruction is the beginning of another.  In a QEMU that was
 * built without one the first instruction is unknown, too: then none is left out.
 */
static size_t block_insns(const struct qemu_plugin_tb *tb)
{
	size_t count = qemu_plugin_tb_n_insns(tb);
	const struct qemu_plugin_insn *last;

	if (count < 2)
		return count;
	last = qemu_plugin_tb_get_insn(tb, count - 1);
	if (PAGE_BYTES - qemu_plugin_insn_vaddr(last) % PAGE_BYTES >= INSN_MOST || is_known(last) ||
	    !is_known(qemu_plugin_tb_get_insn(tb, 0)))
		return count;
	return count - 1;
}

void executed_add(struct qemu_plugin_tb *tb, size_t insns)
{
	qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &counter, insns);
}

uint64_t executed(void)
{
	return counter;
}

size_t insn_bytes(const struct qemu_plugin_insn *insn, unsigned char *bytes, size_t size)
{
	size_t all = qemu_plugin_insn_size(insn), length = size < all ? size : all;

	memcpy(bytes, qemu_plugin_insn_data(insn), length);
	return length;
}
#else
static qemu_plugin_u64 counter;

static bool counter_make(void)
{
	counter.score = qemu_plugin_scoreboard_new(sizeof(uint64_t));
	return counter.score != NULL;
}

static size_t block_insns(const struct qemu_plugin_tb *tb)
{
	return qemu_plugin_tb_n_insns(tb);
}

void executed_add(struct qemu_plugin_tb *tb, size_t insns)
{
	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64, counter,
							  insns);
}

uint64_t executed(void)
{
	return qemu_plugin_u64_sum(counter);
}

size_t insn_bytes(const struct qemu_plugin_insn *insn, unsigned char *bytes, size_t size)
{
	return qemu_plugin_insn_data(insn, bytes, size);
}
#endif

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);

/* QEMU has dropped all blocks that it had translated. */
static void on_reset(qemu_plugin_id_t id)
{
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
}

/* data is the operation times CHANNELS, plus the channel. */
static void on_mark(unsigned int vcpu, void *data)
{
	static unsigned int lines;
	unsigned int code = (unsigned int)(uintptr_t)data;
	enum operation operation = (enum operation)(code / CHANNELS);

	(void)vcpu;
	if (!all_blocks) { /* QEMU does it before the block that comes next */
		all_blocks = true;
		qemu_plugin_reset(plugin_id, on_reset);
	}
	plugin_mark(operation, code % CHANNELS, operation == PUT ? ++lines : 0);
}

/* nopl disp32(%rax), with MARKER_TAG and an operation for the displacement; else OPERATIONS. */
static unsigned int marker_code(const struct qemu_plugin_insn *insn)
{
	unsigned char bytes[MARKER_BYTES];
	unsigned int code;

	if (qemu_plugin_insn_size(insn) != MARKER_BYTES ||
	    insn_bytes(insn, bytes, MARKER_BYTES) != MARKER_BYTES)
		return OPERATIONS * CHANNELS;
	code = bytes[3] | (unsigned int)bytes[4] << 8;
	if (bytes[0] != 0x0f || bytes[1] != 0x1f || bytes[2] != 0x80 ||
	    (bytes[5] | (unsigned int)bytes[6] << 8) != MARKER_TAG || code > OPERATIONS * CHANNELS)
		return OPERATIONS * CHANNELS;
	return code;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t count = qemu_plugin_tb_n_insns(tb);
	bool shown = all_blocks;

	(void)id;
	for (size_t i = 0; i < count; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		unsigned int code = marker_code(insn);

		if (code == OPERATIONS * CHANNELS)
			continue;
		shown = true;
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, QEMU_PLUGIN_CB_NO_REGS,
						       (void *)(uintptr_t)code);
	}
	if (shown)
		plugin_block(tb, block_insns(tb));
}

static int refuse(void)
{
	fprintf(stderr, "%s: wants %s\n", plugin_name, plugin_usage);
	return -1;
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
	const char *path = NULL;

	for (int i = 0; i < argc; i++) {
		char *equals = strchr(argv[i], '=');

		if (equals == NULL)
			return refuse();
		*equals = '\0';
		if (strcmp(argv[i], "out") == 0)
			path = equals + 1;
		else if (!plugin_option(argv[i], equals + 1))
			return refuse();
	}
	if (path == NULL)
		return refuse();
	out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (out < 0) {
		fprintf(stderr, "%s: cannot open %s: %s\n", plugin_name, path, strerror(errno));
		return -1;
	}
	if (!counter_make() || !plugin_start(id, info))
		return -1;
	plugin_id = id;
	all_blocks = !plugin_from_first_mark;
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	return 0;
}
