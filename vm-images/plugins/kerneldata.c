// SPDX-License-Identifier: GPL-2.0-only
/* See kerneldata.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kerneldata.h"

#define IMAGE UINT64_C(0xffffffff80000000)
#define SURE (UINT64_C(2) << 30)
#define USER_END (UINT64_C(1) << 63)
#define PAGE_SHIFT 12
#define PAGE_BYTES (UINT64_C(1) << PAGE_SHIFT)
#define TABLE_ADDRESS UINT64_C(0x000ffffffffff000)
#define PRESENT UINT64_C(1)
#define LARGE UINT64_C(0x80)
#define ENTRY_AREA UINT64_C(0xfffffe0000000000)
#define ENTRY_AREA_END UINT64_C(0xfffffe8000000000)

/* struct page */
#define PAGE_STRUCT 64u
#define PAGE_FLAGS 0u
#define PAGE_HEAD 8u
#define PAGE_MAPPING 24u
#define PAGE_TYPE 48u
#define PAGE_MEMCG 56u
#define FLAG_BITS UINT64_C(0xffffff) /* node, zone and section lie above */
#define MAPPING_BITS UINT64_C(3)
#define MAPPING_ANON UINT64_C(1)
#define MAPPING_MOVABLE UINT64_C(2)
#define MEMCG_BITS UINT64_C(3)
#define MEMCG_KMEM UINT64_C(2)

/* struct vmap_area and, from VM_CALLER on, struct vm_struct */
#define VMAP_START 0u
#define VMAP_END 8u
#define VMAP_NODE 16u
#define NODE_RIGHT 8u
#define NODE_LEFT 16u
#define VMAP_VM 56u
#define VM_ADDRESS 8u
#define VM_CALLER 48u
#define VM_CALLER_LAST 72u

#define CACHES_LEAST 10u
#define CACHES_MOST 4096u
#define DEPTH_MOST 64u
#define VMAP_NODE_MOST 8192u /* bytes of a struct vmap_node that are looked at */
#define TRANSLATIONS 512u
#define TRIES 16u /* of learning: a list may be changing */

enum symbol {
	SLAB_CACHES, KMEM_CACHE, TOP_TABLE, MAX_PFN, TEXT, ETEXT, END,
	PERCPU_BASE, PERCPU_UNIT, PERCPU_START, PERCPU_END,
	VMAP_NODES, VMAP_ROOT, ZSMALLOC_MOPS, PAGES_BASE, DIRECT_BASE, VMALLOC_BASE,
	SYMBOLS
};

static const char *const symbol_names[] = {
	"slab_caches", "kmem_cache", "init_top_pgt", "max_pfn", "_text", "_etext", "_end",
	"pcpu_base_addr", "pcpu_unit_size", "__per_cpu_start", "__per_cpu_end",
	"vmap_nodes", "vmap_area_root", "zsmalloc_mops", "vmemmap_base", "page_offset_base",
	"vmalloc_base",
};

static const char *const kind_words[] = {
	"unknown", "untyped", "user", "code", "image", "percpu", "percpu-more", "struct-page",
	"slab", "kmalloc", "vmalloc", "zsmalloc", "table", "anon", "file", "charged", "kernel",
	"boot", "free", "entry",
};

static uint64_t symbols[SYMBOLS];
static bool has[SYMBOLS];
static uint64_t *data_places;
static size_t data_count, data_size;

static uintptr_t ram;
static unsigned int tries;
static bool known;
static uint64_t limit; /* physical addresses that may be read */
static uint64_t direct, vmalloc, pages, pages_end;
static unsigned int levels;
/* struct kmem_cache and struct slab, learned */
static uint64_t caches_cache, cache_list, slab_word, cache_size;
static uint64_t reserved; /* the flag PG_reserved, 0 if not known */
static enum { TYPES_UNKNOWN, TYPES_BITS, TYPES_NUMBERS } types;
static uint64_t vmap_root; /* where the root of the tree of vmap areas is, 0 if not known */
static uint64_t translated[TRANSLATIONS][2]; /* of struct pages, by 2 MiB */

bool kernel_data_line(const char *line)
{
	char name[32];
	uint64_t address;

	if (sscanf(line, "data %" SCNx64, &address) == 1) {
		if (data_count == data_size) {
			data_size = data_size * 2 + 1024;
			data_places = realloc(data_places, data_size * sizeof(*data_places));
			if (data_places == NULL)
				abort();
		}
		data_places[data_count++] = address;
		return true;
	}
	if (sscanf(line, "symbol %31s %" SCNx64, name, &address) != 2)
		return false;
	for (unsigned int i = 0; i < SYMBOLS; i++)
		if (strcmp(name, symbol_names[i]) == 0) {
			symbols[i] = address;
			has[i] = true;
		}
	return true;
}

void kernel_data_ram(uintptr_t host)
{
	ram = host;
}

/* --- the guest's memory; false where there is none that is known --- */

static bool physical_read(uint64_t physical, void *to, size_t size)
{
	if (physical >= limit || limit - physical < size)
		return false;
	memcpy(to, (const void *)(ram + (uintptr_t)physical), size);
	return true;
}

static bool walk(uint64_t virtual, uint64_t *physical)
{
	uint64_t table = symbols[TOP_TABLE] - IMAGE, entry;

	for (unsigned int level = levels; level-- > 0;) {
		unsigned int shift = PAGE_SHIFT + 9 * level;

		if (!physical_read(table + ((virtual >> shift) & 511) * 8, &entry, 8) ||
		    (entry & PRESENT) == 0)
			return false;
		if (level == 0 || (level < 3 && (entry & LARGE) != 0)) {
			uint64_t inside = (UINT64_C(1) << shift) - 1;

			*physical = (entry & TABLE_ADDRESS & ~inside) | (virtual & inside);
			return true;
		}
		table = entry & TABLE_ADDRESS;
	}
	return false;
}

static bool translate(uint64_t virtual, uint64_t *physical)
{
	if (virtual >= IMAGE && virtual < IMAGE + SURE / 4) {
		*physical = virtual - IMAGE;
		return true;
	}
	if (virtual >= direct && virtual - direct < SURE) {
		*physical = virtual - direct;
		return true;
	}
	return walk(virtual, physical);
}

static bool read_bytes(uint64_t virtual, void *to, size_t size)
{
	uint64_t physical;

	return translate(virtual, &physical) && physical_read(physical, to, size);
}

static bool read_word(uint64_t virtual, uint64_t *word)
{
	return (virtual & 7) == 0 && read_bytes(virtual, word, sizeof(*word));
}

/* A text of the kernel's, cut off at its size. */
static bool read_text(uint64_t virtual, char *text, size_t size)
{
	for (size_t i = 0; i + 1 < size; i++) {
		if (!read_bytes(virtual + i, &text[i], 1))
			return false;
		if (text[i] == '\0')
			return i > 0;
	}
	text[size - 1] = '\0';
	return true;
}

/* --- struct page --- */

/* Struct pages stay where they are, so where they are is kept. */
static bool page_read(uint64_t page, unsigned int offset, void *to, size_t size)
{
	uint64_t virtual = page + offset, *slot = translated[virtual >> 21 & (TRANSLATIONS - 1)];
	uint64_t physical;

	if (slot[0] != (virtual >> 21) + 1) {
		if (!walk(virtual & ~UINT64_C(0x1fffff), &physical) ||
		    !walk(virtual | UINT64_C(0x1fffff), &slot[1]) ||
		    slot[1] - physical != UINT64_C(0x1fffff))
			return walk(virtual, &physical) && physical_read(physical, to, size);
		slot[0] = (virtual >> 21) + 1;
		slot[1] = physical;
	}
	return physical_read(slot[1] + (virtual & UINT64_C(0x1fffff)), to, size);
}

static bool page_word(uint64_t page, unsigned int offset, uint64_t *word)
{
	return page_read(page, offset, word, sizeof(*word));
}

/* The page, or the first one of the compound page that it is in. */
static bool page_head(uint64_t physical, uint64_t *page)
{
	uint64_t head;

	*page = pages + (physical >> PAGE_SHIFT) * PAGE_STRUCT;
	if (!page_word(*page, PAGE_HEAD, &head))
		return false;
	if ((head & 1) == 0)
		return true;
	head--;
	/* A pointer, or since 7.0 a mask. */
	if (head >= pages && head - pages < (limit >> PAGE_SHIFT) * PAGE_STRUCT)
		*page = head;
	else
		*page &= head;
	return *page >= pages;
}

static uint64_t page_physical(uint64_t page)
{
	return (page - pages) / PAGE_STRUCT << PAGE_SHIFT;
}

/* --- slab --- */

/* The pointer that the page of an object has, if that is one to a slab cache. */
static bool slab_cache(uint64_t page, uint64_t *cache)
{
	uint64_t its_page, its_cache;

	return page_word(page, (unsigned int)slab_word, cache) && *cache >= direct &&
	       *cache - direct < limit && page_head(*cache - direct, &its_page) &&
	       page_word(its_page, (unsigned int)slab_word, &its_cache) &&
	       its_cache == caches_cache;
}

static bool cache_name(uint64_t cache, char *name, size_t size)
{
	uint64_t text;

	return read_word(cache + cache_list - 8, &text) && read_text(text, name, size);
}

/* Where struct kmem_cache has its list and struct slab its cache: by the cache of caches. */
static bool learn_slab(void)
{
	uint64_t node, text, page, word, count = 0;
	char name[16];

	cache_list = slab_word = 0;
	if (!read_word(symbols[KMEM_CACHE], &caches_cache) ||
	    !read_word(symbols[SLAB_CACHES], &node))
		return false;
	for (; node != symbols[SLAB_CACHES]; count++) {
		if (count == CACHES_MOST || !read_word(node - 8, &text) ||
		    !read_text(text, name, sizeof(name)))
			return false;
		if (strcmp(name, "kmem_cache") == 0)
			cache_list = node - caches_cache;
		if (!read_word(node, &node))
			return false;
	}
	if (count < CACHES_LEAST || cache_list == 0 || cache_list >= PAGE_BYTES ||
	    caches_cache < direct || !page_head(caches_cache - direct, &page))
		return false;
	for (unsigned int offset = PAGE_STRUCT - 8; offset > 0; offset -= 8)
		if (page_word(page, offset, &word) && word == caches_cache)
			slab_word = offset;
	return slab_word != 0;
}

/* Whether one word of four bytes of each cache called kmalloc-N is N. */
static bool is_size(uint64_t offset)
{
	uint64_t node, found = 0;
	char name[32];

	if (!read_word(symbols[SLAB_CACHES], &node))
		return false;
	while (node != symbols[SLAB_CACHES]) {
		uint64_t cache = node - cache_list;
		uint32_t size;
		unsigned int wanted;
		char after;

		if (!cache_name(cache, name, sizeof(name)) ||
		    !read_bytes(cache + offset, &size, sizeof(size)) || !read_word(node, &node))
			return false;
		if (sscanf(name, "kmalloc-%u%c", &wanted, &after) != 1)
			continue;
		if (size != wanted)
			return false;
		found++;
	}
	return found >= 3;
}

static bool all_caches_fit(void)
{
	uint64_t node, page, cache;
	char name[16];

	if (!read_word(symbols[SLAB_CACHES], &node))
		return false;
	while (node != symbols[SLAB_CACHES]) {
		uint64_t mine = node - cache_list;

		if (mine < direct || !page_head(mine - direct, &page) ||
		    !slab_cache(page, &cache) || cache != caches_cache ||
		    !cache_name(mine, name, sizeof(name)) || !read_word(node, &node))
			return false;
	}
	return true;
}

/* What marks types of pages: from the page of the cache of caches, which is one of slab. */
static void learn_types(void)
{
	uint64_t page, text, flags, others;
	uint32_t type;

	if (!page_head(caches_cache - direct, &page) ||
	    !page_read(page, PAGE_TYPE, &type, sizeof(type)) ||
	    !page_word(page, PAGE_FLAGS, &others))
		return;
	types = type >> 24 == 0xf5 ? TYPES_NUMBERS :
		type >> 28 == 0xf || type == 0 ? TYPES_BITS : TYPES_UNKNOWN;
	/* The kernel's code is reserved and nothing else. */
	text = pages + ((symbols[TEXT] - IMAGE) >> PAGE_SHIFT) * PAGE_STRUCT;
	if (!page_word(text, PAGE_FLAGS, &flags))
		return;
	flags &= FLAG_BITS;
	for (uint64_t more = 1; more < 16; more++) {
		uint64_t same;

		if (!page_word(text + more * PAGE_STRUCT, PAGE_FLAGS, &same) ||
		    (same & FLAG_BITS) != flags)
			return;
	}
	if (flags != 0 && (flags & (flags - 1)) == 0 && (others & flags) == 0)
		reserved = flags;
}

static uint64_t base_of(enum symbol symbol, uint64_t usual)
{
	uint64_t base;

	return has[symbol] && read_word(symbols[symbol], &base) ? base : usual;
}

static bool learn(void)
{
	uint64_t most;

	for (enum symbol i = SLAB_CACHES; i <= END; i++)
		if (!has[i])
			return false;
	limit = symbols[END] - IMAGE;
	if (ram == 0 || !read_word(symbols[MAX_PFN], &most))
		return false;
	direct = base_of(DIRECT_BASE, UINT64_C(0xffff888000000000));
	pages = base_of(PAGES_BASE, UINT64_C(0xffffea0000000000));
	vmalloc = base_of(VMALLOC_BASE, UINT64_C(0xffffc90000000000));
	levels = direct >> 52 == 0xff1 ? 5 : 4;
	pages_end = pages + most * PAGE_STRUCT;
	limit = most << PAGE_SHIFT < SURE ? most << PAGE_SHIFT : SURE;
	if (!learn_slab() || !all_caches_fit())
		return false;
	cache_size = 0;
	for (uint64_t offset = 0; cache_size == 0 && offset < cache_list; offset += 4)
		if (is_size(offset))
			cache_size = offset;
	learn_types();
	return true;
}

static bool is_known(void)
{
	if (!known && tries < TRIES) {
		tries++;
		known = learn();
	}
	return known;
}

bool kernel_data_read(uint64_t virtual, void *to, size_t size)
{
	return is_known() && read_bytes(virtual, to, size);
}

/* --- vmalloc --- */

/* Whether a pointer is one to the node of an area in the tree. */
static bool is_area(uint64_t node)
{
	uint64_t page, cache, begin, end;
	char name[16];

	return node >= direct && node - direct < limit && page_head(node - direct, &page) &&
	       slab_cache(page, &cache) && cache_name(cache, name, sizeof(name)) &&
	       strcmp(name, "vmap_area") == 0 &&
	       read_word(node - VMAP_NODE + VMAP_START, &begin) &&
	       read_word(node - VMAP_NODE + VMAP_END, &end) && begin < end && begin >= vmalloc;
}

/* Since 6.9 a structure of its own has the tree, after much else; the first one is in use. */
static void learn_vmap(void)
{
	uint64_t place, node;

	if (has[VMAP_ROOT]) {
		vmap_root = symbols[VMAP_ROOT];
		return;
	}
	if (!has[VMAP_NODES] || !read_word(symbols[VMAP_NODES], &place))
		return;
	for (uint64_t end = place + VMAP_NODE_MOST; place < end; place += 8)
		if (read_word(place, &node) && is_area(node)) {
			vmap_root = place;
			return;
		}
}

/* The area that an address is in: who made it, and where it begins.  The tree may be changing. */
static bool area_of(uint64_t virtual, uint64_t *caller, uint64_t *begin)
{
	uint64_t node, end, vm, address;

	if (vmap_root == 0)
		learn_vmap();
	if (vmap_root == 0 || !read_word(vmap_root, &node))
		return false;
	for (unsigned int depth = 0; node != 0 && depth < DEPTH_MOST; depth++) {
		uint64_t area = node - VMAP_NODE;

		if (!read_word(area + VMAP_START, begin) || !read_word(area + VMAP_END, &end))
			return false;
		if (virtual >= *begin && virtual < end) {
			if (!read_word(area + VMAP_VM, &vm) ||
			    !read_word(vm + VM_ADDRESS, &address) || address != *begin)
				return false;
			for (unsigned int at = VM_CALLER; at <= VM_CALLER_LAST; at += 8)
				if (read_word(vm + at, caller) && *caller >= symbols[TEXT] &&
				    *caller < symbols[ETEXT])
					return true;
			return false;
		}
		if (!read_word(node + (virtual < *begin ? NODE_LEFT : NODE_RIGHT), &node))
			return false;
	}
	return false;
}

/* --- all of it --- */

static struct kernel_data symbol_at(enum data_kind kind, uint64_t address)
{
	size_t low = 0, high = data_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (data_places[middle] <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return (struct kernel_data){ .kind = DATA_UNKNOWN };
	return (struct kernel_data){ .kind = kind, .value = data_places[low - 1],
				     .offset = address - data_places[low - 1] };
}

static bool is_table(uint32_t type)
{
	return types == TYPES_NUMBERS ? type >> 24 == 0xf2 :
	       types == TYPES_BITS && type >> 28 == 0xf && (type & 0x200) == 0;
}

static bool is_free(uint32_t type)
{
	return types == TYPES_NUMBERS ? type >> 24 == 0xf0 :
	       types == TYPES_BITS && type >> 28 == 0xf && (type & 0x80) == 0;
}

static enum data_kind by_owner(uint64_t mapping, uint64_t memcg)
{
	if ((mapping & MAPPING_BITS) == MAPPING_MOVABLE)
		return has[ZSMALLOC_MOPS] && mapping - MAPPING_MOVABLE == symbols[ZSMALLOC_MOPS] ?
			       DATA_ZSMALLOC :
			       DATA_UNTYPED;
	if ((mapping & MAPPING_ANON) != 0)
		return DATA_ANON;
	if (mapping >= direct)
		return DATA_FILE;
	if ((memcg & MEMCG_KMEM) != 0)
		return DATA_KERNEL;
	return memcg >= USER_END && (memcg & MEMCG_BITS) == 0 ? DATA_CHARGED : DATA_UNTYPED;
}

static enum data_kind by_page(uint64_t page)
{
	uint64_t flags, mapping, memcg;
	uint32_t type;

	if (!page_word(page, PAGE_FLAGS, &flags) || !page_word(page, PAGE_MAPPING, &mapping) ||
	    !page_word(page, PAGE_MEMCG, &memcg) ||
	    !page_read(page, PAGE_TYPE, &type, sizeof(type)))
		return DATA_UNKNOWN;
	if ((flags & reserved) != 0)
		return DATA_BOOT;
	if (types == TYPES_NUMBERS && type >> 24 == 0xf6)
		return DATA_ZSMALLOC;
	if (types == TYPES_NUMBERS && type >> 24 == 0xf8)
		return DATA_KMALLOC;
	if (is_table(type))
		return DATA_TABLE;
	return is_free(type) ? DATA_FREE : by_owner(mapping, memcg);
}

static struct kernel_data in_slab(uint64_t cache, uint64_t distance)
{
	struct kernel_data data = { .kind = DATA_SLAB, .value = cache };
	uint32_t size = 0;

	if (!read_word(cache + cache_list - 8, &data.serial))
		return (struct kernel_data){ .kind = DATA_UNKNOWN };
	if (cache_size != 0 && read_bytes(cache + cache_size, &size, sizeof(size)) && size != 0)
		data.offset = distance % size;
	return data;
}

static struct kernel_data by_physical(uint64_t physical)
{
	struct kernel_data data = { .kind = DATA_UNKNOWN };
	uint64_t page, cache;

	if (physical >= limit || !page_head(physical, &page))
		return data;
	if (slab_cache(page, &cache))
		return in_slab(cache, physical - page_physical(page));
	data.kind = by_page(page);
	/* The image's own pages, but for those that were given back. */
	if (data.kind == DATA_BOOT && physical >= symbols[TEXT] - IMAGE &&
	    physical < symbols[END] - IMAGE)
		return symbol_at(DATA_IMAGE, IMAGE + physical);
	return data;
}

/*
 * The first chunk: the static part, and behind it what is allocated.  It is reserved; the rest of
 * its unit was given back, and is pages like others.
 */
static bool in_percpu(uint64_t virtual, uint64_t physical, struct kernel_data *data)
{
	uint64_t base;
	uint32_t unit;

	if (!has[PERCPU_BASE] || !has[PERCPU_UNIT] || !has[PERCPU_START] || !has[PERCPU_END] ||
	    !read_word(symbols[PERCPU_BASE], &base) || virtual < base ||
	    !read_bytes(symbols[PERCPU_UNIT], &unit, sizeof(unit)) || virtual - base >= unit)
		return false;
	if (virtual - base < symbols[PERCPU_END] - symbols[PERCPU_START]) {
		*data = symbol_at(DATA_PERCPU, symbols[PERCPU_START] + (virtual - base));
		return true;
	}
	*data = (struct kernel_data){ .kind = DATA_PERCPU_MORE };
	return by_physical(physical).kind == DATA_BOOT;
}

struct kernel_data kernel_data_at(uint64_t virtual, uint64_t physical)
{
	struct kernel_data data = { .kind = DATA_UNKNOWN };
	uint64_t begin;

	if (virtual < USER_END)
		return (struct kernel_data){ .kind = DATA_USER };
	if (virtual >= IMAGE)
		return symbol_at(DATA_IMAGE, virtual);
	if (!is_known() || in_percpu(virtual, physical, &data))
		return data;
	data.kind = DATA_UNKNOWN;
	if (virtual < vmalloc)
		return by_physical(physical);
	if (virtual >= pages) {
		if (virtual < pages_end)
			data = (struct kernel_data){ .kind = DATA_STRUCT_PAGE,
						     .offset = (virtual - pages) % PAGE_STRUCT };
		else if (virtual >= ENTRY_AREA && virtual < ENTRY_AREA_END)
			data.kind = DATA_ENTRY;
		return data;
	}
	data.kind = DATA_VMALLOC;
	if (area_of(virtual, &data.value, &begin))
		data.offset = virtual - begin;
	else
		data.value = 0;
	return data;
}

struct kernel_data kernel_data_of(uint64_t virtual)
{
	uint64_t physical = UINT64_MAX;

	if (is_known() && !translate(virtual, &physical))
		physical = UINT64_MAX;
	return kernel_data_at(virtual, physical);
}

void kernel_data_word(const struct kernel_data *data, char word[DATA_WORD])
{
	char name[DATA_WORD - 8];

	switch (data->kind) {
	case DATA_IMAGE:
	case DATA_PERCPU:
	case DATA_VMALLOC:
		snprintf(word, DATA_WORD, "%s:%" PRIx64, kind_words[data->kind], data->value);
		break;
	case DATA_SLAB:
		/* What the guest has for a name becomes one word. */
		if (!read_text(data->serial, name, sizeof(name)))
			strcpy(name, "?");
		for (char *at = name; *at != '\0'; at++)
			if (*at <= ' ' || *at > '~')
				*at = '_';
		snprintf(word, DATA_WORD, "%s:%s", kind_words[data->kind], name);
		break;
	default:
		snprintf(word, DATA_WORD, "%s", kind_words[data->kind]);
	}
}
