// SPDX-License-Identifier: GPL-2.0-only
#include "cachemodel.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALL_PAGE_SHIFT 12
#define MOST_ENTRIES (UINT64_C(1) << 26)
#define MOST_WAYS 1024u
#define PHYSICAL_BITS 36 /* 64 GiB; guests have less */

static bool cache_init(struct cache *cache, bool of_pages, uint64_t entries, unsigned int ways)
{
	if (entries == 0 || ways == 0 || ways > MOST_WAYS || entries > MOST_ENTRIES ||
	    entries % ways != 0)
		return false;
	cache->sets = (uint32_t)(entries / ways);
	cache->ways = ways;
	if (of_pages)
		cache->pages = calloc(entries, sizeof(*cache->pages));
	else
		cache->lines = calloc(entries, sizeof(*cache->lines));
	return cache->pages != NULL || cache->lines != NULL;
}

static size_t first_way(const struct cache *cache, uint64_t index)
{
	/* Not all have a power of two: a slice for each core, and any number of cores. */
	uint64_t set = (cache->sets & (cache->sets - 1)) == 0 ? index & (cache->sets - 1) :
								index % cache->sets;

	return set * cache->ways;
}

/* Put a tag in front of its set: whether it was in it. */
#define TOUCH(name, word)                                               \
	static inline bool name(word *set, unsigned int ways, word tag) \
	{                                                               \
		word before = set[0];                                   \
                                                                        \
		if (before == tag)                                      \
			return true;                                    \
		set[0] = tag;                                           \
		for (unsigned int i = 1; i < ways; i++) {               \
			word here = set[i];                             \
                                                                        \
			set[i] = before;                                \
			if (here == tag)                                \
				return true;                            \
			before = here;                                  \
		}                                                       \
		return false;                                           \
	}

TOUCH(touch_lines, uint32_t)
TOUCH(touch_pages, uint64_t)

static inline bool has_line(struct cache *cache, uint32_t line)
{
	return touch_lines(cache->lines + first_way(cache, line), cache->ways, line + 1);
}

static inline bool has_page(struct cache *cache, uint64_t page, uint64_t tag)
{
	return touch_pages(cache->pages + first_way(cache, page), cache->ways, tag + 1);
}

static bool power_shift(uint64_t bytes, unsigned int *shift)
{
	for (*shift = 4; *shift <= SMALL_PAGE_SHIFT; ++*shift)
		if (bytes == UINT64_C(1) << *shift)
			return true;
	return false;
}

bool hierarchy_init(struct hierarchy *hierarchy, const char *text)
{
	uint64_t line, size;
	unsigned int ways;
	int used;

	memset(hierarchy, 0, sizeof(*hierarchy));
	if (sscanf(text, "%" SCNu64 "%n", &line, &used) != 1 ||
	    !power_shift(line, &hierarchy->line_shift))
		return false;
	for (unsigned int event = 0; event < CACHE_EVENTS; event++) {
		text += used;
		if (sscanf(text, "%" SCNu64 " %u%n", &size, &ways, &used) != 2)
			return false;
		if (event < MISS_ITLB) {
			if (size % line != 0)
				return false;
			size /= line;
		}
		if (!cache_init(&hierarchy->caches[event], event >= MISS_ITLB, size, ways))
			return false;
	}
	return text[used + (int)strspn(text + used, " \n")] == '\0';
}

void hierarchy_free(struct hierarchy *hierarchy)
{
	for (unsigned int event = 0; event < CACHE_EVENTS; event++) {
		free(hierarchy->caches[event].lines);
		free(hierarchy->caches[event].pages);
	}
}

#define ONE(event) ((cache_misses)1 << (4 * (unsigned int)(event)))

static cache_misses touch_page(struct hierarchy *hierarchy, bool fetch, uint64_t page,
			       uint64_t tag)
{
	enum cache_event first = fetch ? MISS_ITLB : MISS_DTLB;

	if (has_page(&hierarchy->caches[first], page, tag))
		return 0;
	if (has_page(&hierarchy->caches[MISS_STLB], page, tag))
		return ONE(first);
	return ONE(first) + ONE(MISS_STLB);
}

static cache_misses touch_line(struct hierarchy *hierarchy, bool fetch, uint32_t line)
{
	enum cache_event first = fetch ? MISS_L1I : MISS_L1D;

	if (has_line(&hierarchy->caches[first], line))
		return 0;
	if (has_line(&hierarchy->caches[MISS_L2], line))
		return ONE(first);
	if (has_line(&hierarchy->caches[MISS_LLC], line))
		return ONE(first) + ONE(MISS_L2);
	return ONE(first) + ONE(MISS_L2) + ONE(MISS_LLC);
}

cache_misses hierarchy_access(struct hierarchy *hierarchy, bool fetch, const struct access *access)
{
	cache_misses misses = touch_page(hierarchy, fetch, access->page, access->tag);

	for (uint32_t line = access->first; line <= access->last; line++)
		misses += touch_line(hierarchy, fetch, line);
	return misses;
}

void recent_init(struct recent *recent, bool fetch, const struct hierarchy *hierarchies,
		 unsigned int count)
{
	uint64_t sets = RECENT_LINES;

	/* Lines that differ here have to be in different sets everywhere. */
	for (unsigned int i = 0; i < count; i++)
		while (hierarchies[i].caches[fetch ? MISS_L1I : MISS_L1D].sets % sets != 0)
			sets /= 2;
	recent->mask = (uint32_t)sets - 1;
	recent_forget(recent);
}

void recent_forget(struct recent *recent)
{
	recent->tag = UINT64_MAX;
	memset(recent->lines, 0xff, sizeof(recent->lines));
}

bool recent_access(struct recent *recent, struct hierarchy *hierarchies, unsigned int count,
		   bool fetch, const struct access *access, cache_misses *misses)
{
	/* The second of two lines may push the first one back. */
	bool same_line = access->first == access->last && recent_line(recent, access->first);
	bool same_page = recent->tag == access->tag;
	cache_misses any = 0;

	for (unsigned int i = 0; i < count; i++) {
		misses[i] = same_page ? 0 : touch_page(&hierarchies[i], fetch, access->page,
						       access->tag);
		for (uint32_t line = access->first; !same_line && line <= access->last; line++)
			misses[i] += touch_line(&hierarchies[i], fetch, line);
		any |= misses[i];
	}
	recent->tag = access->tag;
	for (uint32_t line = access->first; line <= access->last; line++)
		recent->lines[line & recent->mask] = line;
	return any != 0;
}

bool footprint_init(struct footprint *footprint, unsigned int line_shift)
{
	footprint->line_shift = line_shift;
	footprint->epoch = 1;
	footprint->pages = calloc(UINT64_C(1) << (PHYSICAL_BITS - SMALL_PAGE_SHIFT),
				  sizeof(*footprint->pages));
	return footprint->pages != NULL;
}

void footprint_next(struct footprint *footprint)
{
	footprint->epoch++;
}

unsigned int footprint_touch(struct footprint *footprint, uint32_t first, uint32_t last)
{
	unsigned int lines = 1u << (SMALL_PAGE_SHIFT - footprint->line_shift), fresh = 0;

	for (uint32_t line = first; line <= last; line++) {
		uint32_t page = line / lines;

		if (page >> (PHYSICAL_BITS - SMALL_PAGE_SHIFT) != 0)
			continue;
		if (footprint->pages[page] == NULL) {
			footprint->pages[page] = calloc(lines, sizeof(**footprint->pages));
			if (footprint->pages[page] == NULL)
				abort();
		}
		fresh += footprint->pages[page][line % lines] != footprint->epoch;
		footprint->pages[page][line % lines] = footprint->epoch;
	}
	return fresh;
}
