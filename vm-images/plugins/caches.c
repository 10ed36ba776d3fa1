// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the instructions and memory accesses of a guest would miss in caches and TLBs, see
 * cachemodel.h; for one CPU.
 *
 *     qemu-system-x86_64 -plugin file=caches.so,out=FILE,models=FILE
 *
 * The file of models has a line "model <name> <hierarchy_init()'s line>" for each CPU, all of
 * which see the same accesses, and a line "operation <address, hexadecimal>" for each instruction
 * with which an operation begins: lines touched are counted anew from there.  It may have
 * kernel_data_line()'s lines, too.
 *
 * For each PUT there is "put <line> <channel>", "executed N" (instructions), "operations N",
 * "lines N" (distinct ones, summed over operations), and for each model "model <name>" with
 *
 *     <address, hexadecimal> <region> <data> <misses of each event in the order of enum cache_event>
 *
 * for each instruction, region of memory and data structure (kernel_data_word()) in it that missed
 * anything; then "end".  User space is one instruction, at 0.  Instructions are fetched when their block is entered, which the first
 * of a line is charged with.
 *
 * Nothing is looked at before the first mark.  A workload makes one when it begins, so what it
 * does up to its first phase fills the caches.
 *
 * The page tables' own reads are not seen.  Pages of the kernel's direct map, its image and its
 * array of struct page have 2 MiB, all others 4 KiB.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cachemodel.h"
#include "kerneldata.h"
#include "plugin.h"

#define MODELS 4u
#define USER_END (UINT64_C(1) << 63)
#define IMAGE UINT64_C(0xffffffff80000000)
#define IMAGE_END UINT64_C(0xffffffffc0000000)
#define FIRST_SIZE 4096u
#define OPERATIONS_MOST 16u

const char plugin_name[] = "caches";
const char plugin_usage[] = "out=FILE,models=FILE";

enum region { USER, DIRECT, VMALLOC, STRUCT_PAGE, KERNEL_IMAGE, OTHER, REGIONS };

static const char *const region_names[] = {
	"user", "direct", "vmalloc", "struct-page", "image", "other",
};

/* Where the kernel puts them without KASLR, with page tables of four levels and of five. */
static const struct {
	uint64_t begin, end;
	enum region region;
} areas[] = {
	{ UINT64_C(0xffff888000000000), UINT64_C(0xffffc88000000000), DIRECT },
	{ UINT64_C(0xffffc90000000000), UINT64_C(0xffffe90000000000), VMALLOC },
	{ UINT64_C(0xffffea0000000000), UINT64_C(0xffffeb0000000000), STRUCT_PAGE },
	{ IMAGE, IMAGE_END, KERNEL_IMAGE },
	{ UINT64_C(0xff11000000000000), UINT64_C(0xff91000000000000), DIRECT },
	{ UINT64_C(0xffa0000000000000), UINT64_C(0xffd2000000000000), VMALLOC },
	{ UINT64_C(0xffd4000000000000), UINT64_C(0xffd6000000000000), STRUCT_PAGE },
};

/* A data structure of the kernel. */
struct structure {
	struct kernel_data data; /* offset is not used */
	char word[DATA_WORD];
};

/* What an instruction missed of a data structure in a region. */
struct missed {
	const struct structure *structure;
	enum region region;
	uint64_t of[MODELS][CHANNELS][CACHE_EVENTS];
};

/* An instruction of the kernel, or all of user space. */
struct place {
	uint64_t address;
	struct missed **missed; /* those met last are first */
	size_t count, size;
};

struct line {
	struct place *place;
	uint64_t virtual, physical;
	unsigned int size;
	enum region region;
};

struct block {
	bool begins;
	size_t count;
	struct line lines[];
};

static struct hierarchy models[MODELS];
static char names[MODELS][32];
static unsigned int models_count;
static struct recent recent[2]; /* of other accesses and of fetches */
static struct footprint footprint;
static uint64_t starts[OPERATIONS_MOST];
static size_t starts_count;

static struct place **places; /* by address */
static size_t places_count, places_size;

static struct structure **structures; /* by kernel_data */
static size_t structures_count, structures_size;

static bool armed; /* a mark was seen */
static bool open[CHANNELS];
static bool any_open;
static uint64_t instructions[CHANNELS], operations[CHANNELS], lines[CHANNELS];
static uintptr_t ram; /* where the host has the guest's physical address 0 */
/*
 * The direct map is linear: its offset, once an access told it.  Above DIRECT_SURE QEMU 7.2 leaves
 * out the hole below 4 GiB in what it tells.
 */
#define DIRECT_SURE (UINT64_C(2) << 30)
static uint64_t direct_offset;
static bool direct_known;

static size_t place_index(struct place *const *table, size_t size, uint64_t address)
{
	size_t i = (address * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (size - 1);

	while (table[i] != NULL && table[i]->address != address)
		i = (i + 1) & (size - 1);
	return i;
}

static void *allocate(size_t count, size_t size)
{
	void *made = calloc(count, size);

	if (made == NULL)
		abort();
	return made;
}

static struct place *place_of(uint64_t address)
{
	size_t i;

	if (address < USER_END)
		address = 0;
	if (places_count * 2 >= places_size) {
		size_t size = places_size == 0 ? FIRST_SIZE : places_size * 2;
		struct place **bigger = allocate(size, sizeof(*bigger));

		for (i = 0; i < places_size; i++)
			if (places[i] != NULL)
				bigger[place_index(bigger, size, places[i]->address)] = places[i];
		free(places);
		places = bigger;
		places_size = size;
	}
	i = place_index(places, places_size, address);
	if (places[i] == NULL) {
		places[i] = allocate(1, sizeof(*places[i]));
		places[i]->address = address;
		places_count++;
	}
	return places[i];
}

static enum region region_of(uint64_t address)
{
	if (address < USER_END)
		return USER;
	if (address >= areas[0].begin && address < areas[0].end)
		return DIRECT;
	for (size_t i = 0; i < sizeof(areas) / sizeof(areas[0]); i++)
		if (address >= areas[i].begin && address < areas[i].end)
			return areas[i].region;
	return OTHER;
}

static unsigned int page_shift(enum region region)
{
	return region == DIRECT || region == STRUCT_PAGE || region == KERNEL_IMAGE ? 21 : 12;
}

static size_t structure_index(struct structure *const *table, size_t size,
			      const struct kernel_data *data)
{
	uint64_t hash = (data->value ^ data->serial << 7 ^ (uint64_t)data->kind << 56) *
			UINT64_C(0x9e3779b97f4a7c15);
	size_t i = (hash >> 32) & (size - 1);

	while (table[i] != NULL &&
	       (table[i]->data.kind != data->kind || table[i]->data.value != data->value ||
		table[i]->data.serial != data->serial))
		i = (i + 1) & (size - 1);
	return i;
}

static const struct structure *structure_of(const struct kernel_data *data)
{
	size_t i;

	if (structures_count * 2 >= structures_size) {
		size_t size = structures_size == 0 ? FIRST_SIZE : structures_size * 2;
		struct structure **bigger = allocate(size, sizeof(*bigger));

		for (i = 0; i < structures_size; i++)
			if (structures[i] != NULL)
				bigger[structure_index(bigger, size, &structures[i]->data)] =
					structures[i];
		free(structures);
		structures = bigger;
		structures_size = size;
	}
	i = structure_index(structures, structures_size, data);
	if (structures[i] == NULL) {
		structures[i] = allocate(1, sizeof(*structures[i]));
		structures[i]->data = *data;
		kernel_data_word(data, structures[i]->word);
		structures_count++;
	}
	return structures[i];
}

static struct missed *missed_of(struct place *place, enum region region,
				const struct structure *structure)
{
	struct missed *found;
	size_t i = 0;

	while (i < place->count && (place->missed[i]->structure != structure ||
				    place->missed[i]->region != region))
		i++;
	if (i == place->count) {
		if (place->count == place->size) {
			place->size = place->size * 2 + 2;
			place->missed = realloc(place->missed,
						place->size * sizeof(*place->missed));
			if (place->missed == NULL)
				abort();
		}
		found = allocate(1, sizeof(*found));
		found->structure = structure;
		found->region = region;
		place->missed[place->count++] = found;
	}
	found = place->missed[i];
	memmove(place->missed + 1, place->missed, i * sizeof(*place->missed));
	place->missed[0] = found;
	return found;
}

static void add(struct missed *missed, unsigned int model, cache_misses misses)
{
	for (unsigned int channel = 0; channel < CHANNELS; channel++)
		for (unsigned int event = 0; open[channel] && event < CACHE_EVENTS; event++)
			missed->of[model][channel][event] += misses_of(misses, event);
}

/* What was accessed; code that is fetched is no data. */
static struct kernel_data accessed(bool fetch, uint64_t virtual, uint64_t physical)
{
	if (virtual >= USER_END && fetch)
		return (struct kernel_data){ .kind = DATA_CODE };
	return kernel_data_at(virtual, physical);
}

static void add_all(struct place *place, bool fetch, enum region region, uint64_t virtual,
		    uint64_t physical, const cache_misses misses[MODELS])
{
	struct missed *missed = NULL;

	for (unsigned int model = 0; model < models_count; model++) {
		if (misses[model] == 0)
			continue;
		if (missed == NULL) {
			struct kernel_data data = accessed(fetch, virtual, physical);

			missed = missed_of(place, region, structure_of(&data));
		}
		add(missed, model, misses[model]);
	}
}

static void touch(struct place *place, bool fetch, enum region region, uint64_t virtual,
		  uint64_t physical, unsigned int size)
{
	cache_misses misses[MODELS];
	unsigned int fresh;

	/* Its line was touched in this operation, too: see next_operation(). */
	if (recent_hit(&recent[fetch], virtual, physical, size, page_shift(region)))
		return;
	if (recent_access(&recent[fetch], models, models_count, fetch, virtual, physical, size,
			  page_shift(region), misses) &&
	    any_open)
		add_all(place, fetch, region, virtual, physical, misses);
	if (!any_open)
		return;
	fresh = footprint_touch(&footprint, physical, size);
	for (unsigned int channel = 0; fresh != 0 && channel < CHANNELS; channel++)
		lines[channel] += open[channel] ? fresh : 0;
}

static void next_operation(void)
{
	footprint_next(&footprint);
	recent_forget(&recent[false]);
	recent_forget(&recent[true]);
}

static void on_block(unsigned int vcpu, void *data)
{
	const struct block *block = data;

	(void)vcpu;
	if (!armed)
		return;
	if (block->begins) {
		next_operation();
		for (unsigned int channel = 0; channel < CHANNELS; channel++)
			operations[channel] += open[channel];
	}
	for (size_t i = 0; i < block->count; i++)
		touch(block->lines[i].place, true, block->lines[i].region,
		      block->lines[i].virtual, block->lines[i].physical, block->lines[i].size);
}

static void on_access(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
	unsigned int size = 1u << qemu_plugin_mem_size_shift(info);
	const struct qemu_plugin_hwaddr *where;
	enum region region;
	uint64_t physical;

	(void)vcpu;
	if (!armed)
		return;
	region = region_of(address);
	if (region == DIRECT && direct_known && address - direct_offset < DIRECT_SURE) {
		touch(data, false, region, address, address - direct_offset, size);
		return;
	}
	if (region == KERNEL_IMAGE) {
		touch(data, false, region, address, address - IMAGE, size);
		return;
	}
	where = qemu_plugin_get_hwaddr(info, address);
	if (where == NULL || qemu_plugin_hwaddr_is_io(where))
		return;
	physical = qemu_plugin_hwaddr_phys_addr(where);
	if (region == DIRECT && physical < DIRECT_SURE) {
		direct_offset = address - physical;
		direct_known = true;
	}
	touch(data, false, region, address, physical, size);
}

/*
 * The interface tells where the host has an instruction, and accesses by the guest's physical
 * address.  The kernel's image begins at physical address 0, at IMAGE, without KASLR.
 */
static bool physical_of(const struct qemu_plugin_insn *insn, uint64_t address, uint64_t *physical)
{
	uintptr_t host = (uintptr_t)qemu_plugin_insn_haddr(insn);

	if (host == 0)
		return false;
	if (ram == 0 && address >= IMAGE && address < IMAGE_END)
		kernel_data_ram(ram = host - (uintptr_t)(address - IMAGE));
	*physical = host - ram;
	return ram != 0;
}

static bool begins_operation(uint64_t address)
{
	for (size_t i = 0; i < starts_count; i++)
		if (starts[i] == address)
			return true;
	return false;
}

void plugin_block(struct qemu_plugin_tb *tb)
{
	size_t count = qemu_plugin_tb_n_insns(tb);
	struct block *block = allocate(1, sizeof(*block) + count * sizeof(block->lines[0]));
	uint64_t before = UINT64_MAX;

	executed_add(tb);
	for (size_t i = 0; i < count; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t address = qemu_plugin_insn_vaddr(insn), physical;
		unsigned int size = (unsigned int)qemu_plugin_insn_size(insn);
		struct place *place = place_of(address);

		qemu_plugin_register_vcpu_mem_cb(insn, on_access, QEMU_PLUGIN_CB_NO_REGS,
						 QEMU_PLUGIN_MEM_RW, place);
		block->begins |= begins_operation(address);
		if (size == 0 || !physical_of(insn, address, &physical))
			continue;
		/* Once for each line that the block has not been on right before. */
		if ((physical + size - 1) >> models[0].line_shift != before)
			block->lines[block->count++] = (struct line){
				.place = place, .virtual = address, .physical = physical,
				.size = size, .region = region_of(address),
			};
		before = (physical + size - 1) >> models[0].line_shift;
	}
	if (block->count == 0 && !block->begins) {
		free(block);
		return;
	}
	qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS, block);
}

static bool read_line(const char *line)
{
	char name[32];
	int used = 0;

	if (starts_count < OPERATIONS_MOST &&
	    sscanf(line, "operation %" SCNx64, &starts[starts_count]) == 1) {
		starts_count++;
		return true;
	}
	if (kernel_data_line(line))
		return true;
	if (models_count == MODELS || sscanf(line, "model %31s %n", name, &used) != 1 ||
	    !hierarchy_init(&models[models_count], line + used))
		return false;
	memcpy(names[models_count++], name, sizeof(name));
	/* Lines of code are made once for all of them. */
	return models[models_count - 1].line_shift == models[0].line_shift;
}

static bool read_models(const char *path)
{
	FILE *file = fopen(path, "re");
	char line[512];
	bool good = true;

	if (file == NULL) {
		fprintf(stderr, "caches: cannot open %s: %s\n", path, strerror(errno));
		return false;
	}
	while (good && fgets(line, sizeof(line), file) != NULL) {
		good = read_line(line);
		if (!good)
			fprintf(stderr, "caches: %s: no model: %s", path, line);
	}
	fclose(file);
	return good;
}

bool plugin_option(const char *key, const char *value)
{
	return strcmp(key, "models") == 0 && read_models(value);
}

bool plugin_start(qemu_plugin_id_t id, const qemu_info_t *info)
{
	(void)id;
	(void)info;
	if (models_count == 0) {
		fprintf(stderr, "caches: wants %s\n", plugin_usage);
		return false;
	}
	for (unsigned int fetch = 0; fetch < 2; fetch++)
		recent_init(&recent[fetch], fetch != 0, models, models_count);
	return footprint_init(&footprint, models[0].line_shift);
}

static int by_address(const void *left, const void *right)
{
	const struct place *a = *(const struct place *const *)left;
	const struct place *b = *(const struct place *const *)right;

	return a->address < b->address ? -1 : a->address > b->address;
}

static void put_place(FILE *file, const struct place *place, unsigned int model,
		      unsigned int channel)
{
	for (size_t i = 0; i < place->count; i++) {
		const struct missed *missed = place->missed[i];
		const uint64_t *of = missed->of[model][channel];
		uint64_t all = 0;

		for (unsigned int event = 0; event < CACHE_EVENTS; event++)
			all |= of[event];
		if (all == 0)
			continue;
		fprintf(file, "%" PRIx64 " %s %s", place->address, region_names[missed->region],
			missed->structure->word);
		for (unsigned int event = 0; event < CACHE_EVENTS; event++)
			fprintf(file, " %" PRIu64, of[event]);
		fputc('\n', file);
	}
}

static void put(unsigned int channel, unsigned int line)
{
	struct place **sorted = allocate(places_count + 1, sizeof(*sorted));
	char *text = NULL;
	size_t size = 0, count = 0;
	FILE *memory = open_memstream(&text, &size);

	if (memory == NULL)
		abort();
	for (size_t i = 0; i < places_size; i++)
		if (places[i] != NULL)
			sorted[count++] = places[i];
	qsort(sorted, count, sizeof(struct place *), by_address);
	fprintf(memory, "put %u %u\n", line, channel);
	fprintf(memory, "executed %" PRIu64 "\noperations %" PRIu64 "\nlines %" PRIu64 "\n",
		instructions[channel], operations[channel], lines[channel]);
	for (unsigned int model = 0; model < models_count; model++) {
		fprintf(memory, "model %s\n", names[model]);
		for (size_t i = 0; i < count; i++)
			put_place(memory, sorted[i], model, channel);
	}
	fprintf(memory, "end\n");
	fclose(memory);
	out_write(text, size);
	free(text);
	free(sorted);
}

static void clear(unsigned int channel)
{
	for (size_t i = 0; i < places_size; i++)
		for (size_t j = 0; places[i] != NULL && j < places[i]->count; j++)
			for (unsigned int model = 0; model < models_count; model++)
				memset(places[i]->missed[j]->of[model][channel], 0,
				       sizeof(places[i]->missed[j]->of[model][channel]));
	instructions[channel] = operations[channel] = lines[channel] = 0;
}

static void opened(unsigned int channel, bool now)
{
	open[channel] = now;
	any_open = false;
	for (unsigned int i = 0; i < CHANNELS; i++)
		any_open |= open[i];
}

void plugin_mark(enum operation operation, unsigned int channel, unsigned int line)
{
	armed = true;
	switch (operation) {
	case CLEAR:
		clear(channel);
		break;
	case BEGIN:
		next_operation();
		instructions[channel] -= executed();
		opened(channel, true);
		break;
	case END:
		instructions[channel] += executed();
		opened(channel, false);
		break;
	case PUT:
		put(channel, line);
		break;
	case OPERATIONS:
		break;
	}
}
