// SPDX-License-Identifier: GPL-2.0-only
/*
 * As much of QEMU as a counting plugin needs: it loads PLUGIN and "executes" blocks.
 *
 *     plugin_host PLUGIN KEY=VALUE ... BLOCK ...
 *
 * A BLOCK is the hexadecimal bytes of its instructions, separated by commas; ADDRESS: in front says
 * where it lies, and @ADDRESS behind an instruction what memory it reads.  Each is translated when
 * it is first met, and executed each time.  It prints a + for each execution that adds to a counter
 * without a call, and a - for each other.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../vm-images/plugins/qemu-plugin.h"

#define MOST 256
#define LONGEST 64

struct qemu_plugin_insn {
	unsigned char bytes[16];
	size_t size;
	void (*function)(unsigned int vcpu, void *data);
	void *data;
	uint64_t reads;
	void (*on_read)(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address,
			void *data);
	void *read_data;
};

struct qemu_plugin_tb {
	const char *text;
	struct qemu_plugin_insn insns[LONGEST];
	size_t count;
	uint64_t *counter, amount, address;
	void (*on_entry)(unsigned int vcpu, void *data);
	void *entry_data;
};

static void (*translated)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
static void (*ended)(qemu_plugin_id_t id, void *data);
static void *ended_data;

static struct qemu_plugin_tb blocks[MOST];
static size_t block_count;
static void (*reset)(qemu_plugin_id_t id);

#define API QEMU_PLUGIN_EXPORT

API void qemu_plugin_reset(qemu_plugin_id_t id, void (*function)(qemu_plugin_id_t id))
{
	(void)id;
	reset = function;
}

API void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
					       void (*function)(qemu_plugin_id_t id,
								struct qemu_plugin_tb *tb))
{
	(void)id;
	translated = function;
}

API void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
						void (*function)(unsigned int vcpu, void *data),
						enum qemu_plugin_cb_flags flags, void *data)
{
	(void)flags;
	insn->function = function;
	insn->data = data;
}

API void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
					      void (*function)(unsigned int vcpu, void *data),
					      enum qemu_plugin_cb_flags flags, void *data)
{
	(void)flags;
	tb->on_entry = function;
	tb->entry_data = data;
}

API void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
					  void (*function)(unsigned int vcpu,
							   qemu_plugin_meminfo_t info,
							   uint64_t address, void *data),
					  enum qemu_plugin_cb_flags flags,
					  enum qemu_plugin_mem_rw rw, void *data)
{
	(void)flags;
	(void)rw;
	insn->on_read = function;
	insn->read_data = data;
}

API void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id,
					void (*function)(qemu_plugin_id_t id, void *data),
					void *data)
{
	(void)id;
	ended = function;
	ended_data = data;
}

API uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb)
{
	return tb->address;
}

API size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb)
{
	return tb->count;
}

API struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index)
{
	return (struct qemu_plugin_insn *)&tb->insns[index];
}

API size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn)
{
	return insn->size;
}

API uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn)
{
	(void)insn;
	return 0;
}

/* No block has anything but memory. */
API struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(qemu_plugin_meminfo_t info, uint64_t address)
{
	(void)info;
	(void)address;
	return NULL;
}

API bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *address)
{
	(void)address;
	return false;
}

#if QEMU_PLUGIN_API == 1
API const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn)
{
	return insn->bytes;
}

API char *qemu_plugin_insn_disas(const struct qemu_plugin_insn *insn)
{
	(void)insn;
	return strdup("known");
}

API void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, enum qemu_plugin_op op,
						  void *counter, uint64_t amount)
{
	(void)op;
	tb->counter = counter;
	tb->amount = amount;
}
#else
struct qemu_plugin_scoreboard {
	uint64_t value;
};

API struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t element_size)
{
	return calloc(1, element_size);
}

API uint64_t qemu_plugin_u64_sum(qemu_plugin_u64 entry)
{
	return *(uint64_t *)((char *)entry.score + entry.offset);
}

API void qemu_plugin_u64_add(qemu_plugin_u64 entry, unsigned int vcpu, uint64_t added)
{
	(void)vcpu;
	*(uint64_t *)((char *)entry.score + entry.offset) += added;
}

API size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to, size_t size)
{
	size_t length = size < insn->size ? size : insn->size;

	memcpy(to, insn->bytes, length);
	return length;
}

API void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(struct qemu_plugin_tb *tb,
							   enum qemu_plugin_op op,
							   qemu_plugin_u64 counter, uint64_t amount)
{
	(void)op;
	tb->counter = (uint64_t *)((char *)counter.score + counter.offset);
	tb->amount = amount;
}
#endif

static void parse(struct qemu_plugin_tb *tb)
{
	const char *at = tb->text, *colon = strchr(at, ':');

	if (colon != NULL) {
		tb->address = strtoull(at, NULL, 16);
		at = colon + 1;
	}
	tb->count = 1;
	for (; *at != '\0'; at++) {
		struct qemu_plugin_insn *insn = &tb->insns[tb->count - 1];
		unsigned int byte;

		if (*at == ',') {
			if (++tb->count > LONGEST)
				exit(2);
		} else if (*at == '@') {
			char *end;

			insn->reads = strtoull(at + 1, &end, 16);
			at = end - 1;
		} else if (sscanf(at, "%2x", &byte) == 1) {
			insn->bytes[insn->size++] = (unsigned char)byte;
			at++;
		}
	}
}

static struct qemu_plugin_tb *find(const char *text)
{
	for (size_t i = 0; i < block_count; i++)
		if (strcmp(blocks[i].text, text) == 0)
			return &blocks[i];
	if (block_count == MOST)
		exit(2);
	blocks[block_count].text = text;
	parse(&blocks[block_count]);
	translated(1, &blocks[block_count]);
	return &blocks[block_count++];
}

/* What a reset that was asked for does between two blocks: all are translated anew. */
static void drop_blocks(void)
{
	void (*function)(qemu_plugin_id_t id) = reset;

	if (function == NULL)
		return;
	reset = NULL;
	translated = NULL;
	ended = NULL;
	memset(blocks, 0, sizeof(blocks));
	block_count = 0;
	function(1);
}

static void execute(struct qemu_plugin_tb *tb)
{
	putchar(tb->counter != NULL ? '+' : '-');
	if (tb->counter != NULL)
		*tb->counter += tb->amount;
	if (tb->on_entry != NULL)
		tb->on_entry(0, tb->entry_data);
	for (size_t i = 0; i < tb->count; i++) {
		struct qemu_plugin_insn *insn = &tb->insns[i];

		if (insn->function != NULL)
			insn->function(0, insn->data);
		if (insn->on_read != NULL && insn->reads != 0)
			insn->on_read(0, 0, insn->reads, insn->read_data);
	}
}

int main(int argc, char **argv)
{
	int (*install)(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv);
	void *plugin = argc > 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
	qemu_info_t info = { .target_name = "x86_64", .system = { .smp_vcpus = 1 } };
	int *version, first = 2;

	if (plugin == NULL) {
		fprintf(stderr, "plugin_host: %s\n", argc > 2 ? dlerror() : "no plugin");
		return 2;
	}
	version = dlsym(plugin, "qemu_plugin_version");
	if (version == NULL || *version != QEMU_PLUGIN_API)
		return 3;
	*(void **)&install = dlsym(plugin, "qemu_plugin_install");
	while (first < argc && strchr(argv[first], '=') != NULL)
		first++;
	if (getenv("VCPUS") != NULL)
		info.system.smp_vcpus = atoi(getenv("VCPUS"));
	if (install == NULL || install(1, &info, first - 2, &argv[2]) != 0)
		return 4;
	for (int i = first; i < argc; i++) {
		drop_blocks();
		execute(find(argv[i]));
	}
	if (ended != NULL)
		ended(1, ended_data);
	return 0;
}
