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

void *zeroed(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (memory == NULL) {
		fprintf(stderr, "%s: no memory\n", plugin_name);
		exit(EXIT_FAILURE);
	}
	return memory;
}

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

static void add_inline(struct qemu_plugin_tb *tb, size_t insns)
{
	qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &counter, insns);
}

static void take_off(unsigned int vcpu, uint64_t insns)
{
	(void)vcpu;
	counter -= insns;
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

static void add_inline(struct qemu_plugin_tb *tb, size_t insns)
{
	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64, counter,
							  insns);
}

static void take_off(unsigned int vcpu, uint64_t insns)
{
	qemu_plugin_u64_add(counter, vcpu, -insns);
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

/*
 * Under -icount an access to a device has to be the last instruction of a block.  Where it is not,
 * QEMU leaves the block, which counted as a whole when it was entered, executes this instruction
 * in a block of its own, of which a plugin sees nothing but the accesses, and goes on with a block
 * that begins behind it.  So what the first block has behind it is taken off here.
 */
struct lone {
	uint64_t behind; /* instructions */
	uint64_t entered; /* executed() when it was a block that counts */
	uint64_t taken;	  /* executed() when some were taken off: an instruction may access twice */
};

static struct {
	uint64_t address; /* 0: none */
	uint64_t behind;
} *places;
static size_t places_size, places_count;

static size_t place_of(uint64_t address)
{
	size_t i = (size_t)(address * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (places_size - 1);

	while (places[i].address != 0 && places[i].address != address)
		i = (i + 1) & (places_size - 1);
	return i;
}

static void grow_places(void)
{
	size_t old_size = places_size;
	__typeof__(places) old = places;

	places_size = old_size != 0 ? 2 * old_size : 1u << 16;
	places = zeroed(places_size, sizeof(*places));
	for (size_t i = 0; i < old_size; i++)
		if (old[i].address != 0)
			places[place_of(old[i].address)] = old[i];
	free(old);
}

/* A block that ends where QEMU's clock has to stop is shorter than the one that is usual. */
static void note_place(uint64_t address, size_t behind)
{
	size_t i;

	if (2 * places_count >= places_size)
		grow_places();
	i = place_of(address);
	places_count += places[i].address == 0;
	places[i].address = address;
	if (behind > places[i].behind)
		places[i].behind = behind;
}

static void on_lone(unsigned int vcpu, void *data)
{
	struct lone *one = data;

	(void)vcpu;
	one->entered = executed();
}

static void on_lone_access(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address,
			   void *data)
{
	struct lone *one = data;
	const struct qemu_plugin_hwaddr *where;
	uint64_t now = executed();

	/* One more or less: what counts may be done before or after on_lone(). */
	if (now - one->entered <= 1 || now == one->taken)
		return;
	where = qemu_plugin_get_hwaddr(info, address);
	if (where == NULL || !qemu_plugin_hwaddr_is_io(where))
		return;
	take_off(vcpu, one->behind);
	one->taken = now - one->behind;
}

static void watch_lone(struct qemu_plugin_tb *tb)
{
	struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, 0);
	size_t i = places_size != 0 ? place_of(qemu_plugin_insn_vaddr(insn)) : 0;
	struct lone *one;

	if (places_size == 0 || places[i].behind == 0)
		return;
	one = zeroed(1, sizeof(*one));
	one->behind = places[i].behind;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, on_lone, QEMU_PLUGIN_CB_NO_REGS, one);
	qemu_plugin_register_vcpu_mem_cb(insn, on_lone_access, QEMU_PLUGIN_CB_NO_REGS,
					 QEMU_PLUGIN_MEM_RW, one);
}

void executed_add(struct qemu_plugin_tb *tb, size_t insns)
{
	add_inline(tb, insns);
	if (qemu_plugin_tb_vaddr(tb) < KERNEL)
		return;
	for (size_t i = 0; i + 1 < insns; i++)
		note_place(qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, i)), insns - 1 - i);
	if (insns == 1)
		watch_lone(tb);
}

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
