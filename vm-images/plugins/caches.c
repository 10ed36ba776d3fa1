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
const bool plugin_from_first_mark = false;

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

/* What a block fetches, and by which instruction. */
struct fetch {
	struct access access;
	struct place *place;
	enum region region;
};

struct block {
	bool begins;
	size_t count;
	struct fetch fetches[];
};

#define SLOTS 256u
#define PAGE_SHIFT 12
#define NO_PAGE UINT64_MAX
/* No access of the guest has more bytes, so what is not as close to a line's end is in it. */
#define ACCESS_MOST 16u

/*
 * A page of 4 KiB that was accessed, and where it is.  The CPU itself may keep that in a TLB until
 * it is told to flush it, so a slot lasts as long.
 */
struct slot {
	uint64_t number;
	uint64_t distance; /* from its virtual to its physical address */
	uint64_t page, tag; /* as in struct access */
	enum region region;
	bool passing; /* it is in the list of those */
};

static struct hierarchy models[MODELS];
static char names[MODELS][32];
static unsigned int models_count;
static struct recent fetched, touched; /* what is in front, of fetches and of other accesses */
static struct slot slots[SLOTS];
static unsigned int passing[SLOTS]; /* those that do not outlive a flush */
static size_t passing_count;
static unsigned int line_shift;
static uint64_t line_end; /* bytes of a line before this can begin no access that crosses its end */
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
static bool inside_operation; /* lines of code and data are counted by operation */
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

static struct place *place_of(uint64_t address)
{
	size_t i;

	if (address < USER_END)
		address = 0;
	if (places_count * 2 >= places_size) {
		size_t size = places_size == 0 ? FIRST_SIZE : places_size * 2;
		struct place **bigger = zeroed(size, sizeof(*bigger));

		for (i = 0; i < places_size; i++)
			if (places[i] != NULL)
				bigger[place_index(bigger, size, places[i]->address)] = places[i];
		free(places);
		places = bigger;
		places_size = size;
	}
	i = place_index(places, places_size, address);
	if (places[i] == NULL) {
		places[i] = zeroed(1, sizeof(*places[i]));
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
		struct structure **bigger = zeroed(size, sizeof(*bigger));

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
		structures[i] = zeroed(1, sizeof(*structures[i]));
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
		found = zeroed(1, sizeof(*found));
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
static struct kernel_data accessed(bool fetch, enum region region, uint64_t virtual,
				   uint64_t physical)
{
	if (fetch && region != USER)
		return (struct kernel_data){ .kind = DATA_CODE };
	return kernel_data_at(virtual, physical);
}

static void add_all(struct place *place, struct kernel_data data, enum region region,
		    const cache_misses misses[MODELS])
{
	struct missed *missed = missed_of(place, region, structure_of(&data));

	for (unsigned int model = 0; model < models_count; model++)
		if (misses[model] != 0)
			add(missed, model, misses[model]);
}

/* What is not in front.  The virtual address tells what data it is; a fetch needs none. */
__attribute__((noinline)) static void touch(bool fetch, struct place *place, enum region region,
					    const struct access *access, uint64_t virtual,
					    uint64_t physical)
{
	struct recent *recent = fetch ? &fetched : &touched;
	/* Then it was touched in this operation, too: see next_operation(). */
	bool same_line = access->first == access->last && recent_line(recent, access->first);
	cache_misses misses[MODELS];
	bool any = recent_access(recent, models, models_count, fetch, access, misses);
	unsigned int fresh;

	if (!any_open)
		return;
	if (any)
		add_all(place, accessed(fetch, region, virtual, physical), region, misses);
	if (same_line)
		return;
	if (!inside_operation)
		return;
	fresh = footprint_touch(&footprint, access->first, access->last);
	for (unsigned int channel = 0; fresh != 0 && channel < CHANNELS; channel++)
		lines[channel] += open[channel] ? fresh : 0;
}

static void next_operation(void)
{
	footprint_next(&footprint);
	recent_forget(&fetched);
	recent_forget(&touched);
}

__attribute__((noinline)) static void begin_operation(void)
{
	if (!armed)
		return;
	next_operation();
	inside_operation = true;
	for (unsigned int channel = 0; channel < CHANNELS; channel++)
		operations[channel] += open[channel];
}

static void on_block(unsigned int vcpu, void *data)
{
	const struct block *block = data;

	(void)vcpu;
	if (block->begins)
		begin_operation();
	for (size_t i = 0; i < block->count; i++) {
		const struct fetch *fetch = &block->fetches[i];

		if (recent_hit(&fetched, fetch->access.tag, fetch->access.first) &&
		    fetch->access.last == fetch->access.first)
			continue;
		if (armed)
			touch(true, fetch->place, fetch->region, &fetch->access, 0, 0);
	}
}

/* Where an address is; false if it is no memory. */
static bool translate(qemu_plugin_meminfo_t info, uint64_t address, enum region region,
		      uint64_t *physical)
{
	const struct qemu_plugin_hwaddr *where;

	*physical = address - (region == DIRECT ? direct_offset : IMAGE);
	if (region == KERNEL_IMAGE ||
	    (region == DIRECT && direct_known && *physical < DIRECT_SURE))
		return true;
	where = qemu_plugin_get_hwaddr(info, address);
	if (where == NULL || qemu_plugin_hwaddr_is_io(where))
		return false;
	*physical = qemu_plugin_hwaddr_phys_addr(where);
	if (region == DIRECT && *physical < DIRECT_SURE) {
		direct_offset = address - *physical;
		direct_known = true;
	}
	return true;
}

static bool find_page(struct slot *slot, qemu_plugin_meminfo_t info, uint64_t address)
{
	enum region region = region_of(address);
	unsigned int shift = page_shift(region);
	uint64_t physical;

	if (!translate(info, address, region, &physical))
		return false;
	/* The kernel moves nothing of what it maps by large pages. */
	if (shift == PAGE_SHIFT && !slot->passing)
		passing[passing_count++] = (unsigned int)(slot - slots);
	*slot = (struct slot){ .number = address >> PAGE_SHIFT, .distance = physical - address,
			       .page = address >> shift, .tag = page_tag(address, physical, shift),
			       .region = region,
			       .passing = slot->passing || shift == PAGE_SHIFT };
	return true;
}

__attribute__((noinline)) static void on_other_access(struct slot *slot, qemu_plugin_meminfo_t info,
						      uint64_t address, struct place *place)
{
	unsigned int size = 1;
	uint64_t physical;
	struct access access;

	if (!armed || (slot->number != address >> PAGE_SHIFT && !find_page(slot, info, address)))
		return;
	physical = address + slot->distance;
	if ((address & ((UINT64_C(1) << line_shift) - 1)) >= line_end)
		size = 1u << qemu_plugin_mem_size_shift(info);
	access = (struct access){ .page = slot->page, .tag = slot->tag,
				  .first = (uint32_t)(physical >> line_shift),
				  .last = (uint32_t)((physical + size - 1) >> line_shift) };
	if (access.first == access.last && recent_hit(&touched, access.tag, access.first))
		return;
	touch(false, place, slot->region, &access, address, physical);
}

/* Most accesses are to what is in front, and that is told fastest. */
static void on_access(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
	struct slot *slot = &slots[address >> PAGE_SHIFT & (SLOTS - 1)];

	(void)vcpu;
	if (slot->number != address >> PAGE_SHIFT ||
	    (address & ((UINT64_C(1) << line_shift) - 1)) >= line_end ||
	    !recent_hit(&touched, slot->tag, (uint32_t)((address + slot->distance) >> line_shift)))
		on_other_access(slot, info, address, data);
}

static void on_flush(unsigned int vcpu, void *data)
{
	(void)vcpu;
	(void)data;
	while (passing_count > 0) {
		struct slot *slot = &slots[passing[--passing_count]];

		slot->number = NO_PAGE;
		slot->passing = false;
	}
}

/* Whether an instruction makes the CPU forget where pages are: a load of a control register,
 * invlpg, invpcid. */
static bool flushes(const struct qemu_plugin_insn *insn)
{
	unsigned char bytes[INSN_MOST];
	size_t size = insn_bytes(insn, bytes, sizeof(bytes)), at = 0;

	while (at < size && (bytes[at] == 0x66 || (bytes[at] & 0xf0) == 0x40))
		at++;
	if (at + 2 >= size || bytes[at] != 0x0f)
		return false;
	return bytes[at + 1] == 0x22 ||
	       (bytes[at + 1] == 0x01 && bytes[at + 2] >> 6 != 3 && (bytes[at + 2] >> 3 & 7) == 7) ||
	       (bytes[at + 1] == 0x38 && bytes[at + 2] == 0x82);
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

void plugin_block(struct qemu_plugin_tb *tb, size_t insns)
{
	struct block *block = zeroed(1, sizeof(*block) + insns * sizeof(block->fetches[0]));
	uint32_t before = UINT32_MAX;

	executed_add(tb, insns);
	for (size_t i = 0; i < insns; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t address = qemu_plugin_insn_vaddr(insn), physical;
		unsigned int size = (unsigned int)qemu_plugin_insn_size(insn);
		struct place *place = place_of(address);
		enum region region = region_of(address);
		struct access access;

		qemu_plugin_register_vcpu_mem_cb(insn, on_access, QEMU_PLUGIN_CB_NO_REGS,
						 QEMU_PLUGIN_MEM_RW, place);
		if (region != USER && flushes(insn))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_flush,
							       QEMU_PLUGIN_CB_NO_REGS, NULL);
		block->begins |= begins_operation(address);
		if (size == 0 || !physical_of(insn, address, &physical))
			continue;
		access = access_made(address, physical, size, page_shift(region), line_shift);
		/* Once for each line that the block has not been on right before. */
		if (access.last != before)
			block->fetches[block->count++] = (struct fetch){
				.access = access, .place = place, .region = region,
			};
		before = access.last;
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
	for (unsigned int i = 0; i < SLOTS; i++)
		slots[i].number = NO_PAGE;
	line_shift = models[0].line_shift;
	line_end = (UINT64_C(1) << line_shift) + 1 - ACCESS_MOST;
	recent_init(&fetched, true, models, models_count);
	recent_init(&touched, false, models, models_count);
	return footprint_init(&footprint, line_shift);
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
	struct place **sorted = zeroed(places_count + 1, sizeof(*sorted));
	char *text = NULL;
	size_t size = 0, count = 0;
	FILE *memory = open_memstream(&text, &size);

	if (memory == NULL)
		abort();
	for (size_t i = 0; i < places_size; i++)
		if (places[i] != NULL && places[i]->count != 0)
			sorted[count++] = places[i];
	if (count != 0)
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
		/* What comes before the first operation belongs to none. */
		next_operation();
		inside_operation = false;
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
