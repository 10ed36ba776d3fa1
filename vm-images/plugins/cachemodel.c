// SPDX-License-Identifier: GPL-2.0-only
#include "cachemodel.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_TAG UINT64_MAX
#define SMALL_PAGE_SHIFT 12
#define MOST_ENTRIES (UINT64_C(1) << 26)
#define MOST_WAYS 1024u
#define PHYSICAL_BITS 36 /* 64 GiB; guests have less */

bool cache_init(struct cache *cache, uint64_t entries, unsigned int ways)
{
	if (entries == 0 || ways == 0 || ways > MOST_WAYS || entries > MOST_ENTRIES ||
	    entries % ways != 0)
		return false;
	cache->sets = entries / ways;
	cache->ways = ways;
	cache->tags = malloc(entries * sizeof(*cache->tags));
	if (cache->tags == NULL)
		return false;
	for (uint64_t i = 0; i < entries; i++)
		cache->tags[i] = NO_TAG;
	return true;
}

void cache_free(struct cache *cache)
{
	free(cache->tags);
	cache->tags = NULL;
}

bool cache_touch(struct cache *cache, uint64_t index, uint64_t tag)
{
	/* Not all have a power of two: a slice for each core, and any number of cores. */
	uint64_t set = (cache->sets & (cache->sets - 1)) == 0 ? index & (cache->sets - 1) :
								index % cache->sets;
	uint64_t *tags = cache->tags + set * cache->ways;
	unsigned int i = 0;

	if (tags[0] == tag)
		return true;
	while (i < cache->ways - 1 && tags[i] != tag)
		i++;
	bool hit = tags[i] == tag;

	memmove(tags + 1, tags, i * sizeof(*tags));
	tags[0] = tag;
	return hit;
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
		if (!cache_init(&hierarchy->caches[event], size, ways))
			return false;
	}
	return text[used + (int)strspn(text + used, " \n")] == '\0';
}

void hierarchy_free(struct hierarchy *hierarchy)
{
	for (unsigned int event = 0; event < CACHE_EVENTS; event++)
		cache_free(&hierarchy->caches[event]);
}

#define ONE(event) ((cache_misses)1 << (4 * (unsigned int)(event)))

static cache_misses touch_page(struct hierarchy *hierarchy, bool fetch, uint64_t virtual,
			       uint64_t physical, unsigned int page_shift)
{
	enum cache_event first = fetch ? MISS_ITLB : MISS_DTLB;
	uint64_t page = virtual >> page_shift;
	/*
	 * The page's number, and where it is: 36 and 28 bits.  Only addresses of more than 48
	 * bits could be taken for each other, and those only if they are one page.
	 */
	uint64_t tag = page << 28 ^ physical >> page_shift;

	if (cache_touch(&hierarchy->caches[first], page, tag))
		return 0;
	if (cache_touch(&hierarchy->caches[MISS_STLB], page, tag))
		return ONE(first);
	return ONE(first) + ONE(MISS_STLB);
}

static cache_misses touch_line(struct hierarchy *hierarchy, bool fetch, uint64_t line)
{
	enum cache_event first = fetch ? MISS_L1I : MISS_L1D;

	if (cache_touch(&hierarchy->caches[first], line, line))
		return 0;
	if (cache_touch(&hierarchy->caches[MISS_L2], line, line))
		return ONE(first);
	if (cache_touch(&hierarchy->caches[MISS_LLC], line, line))
		return ONE(first) + ONE(MISS_L2);
	return ONE(first) + ONE(MISS_L2) + ONE(MISS_LLC);
}

cache_misses hierarchy_access(struct hierarchy *hierarchy, bool fetch, uint64_t virtual,
			      uint64_t physical, unsigned int size, unsigned int page_shift)
{
	uint64_t line = physical >> hierarchy->line_shift;
	uint64_t last = (physical + size - 1) >> hierarchy->line_shift;
	cache_misses misses = touch_page(hierarchy, fetch, virtual, physical, page_shift);

	for (; line <= last; line++)
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
	recent->mask = (unsigned int)sets - 1;
	recent->line_shift = hierarchies[0].line_shift;
	recent_forget(recent);
}

void recent_forget(struct recent *recent)
{
	recent->page = recent->frame = UINT64_MAX;
	memset(recent->lines, 0xff, sizeof(recent->lines));
}

bool recent_access(struct recent *recent, struct hierarchy *hierarchies, unsigned int count,
		   bool fetch, uint64_t virtual, uint64_t physical, unsigned int size,
		   unsigned int page_shift, cache_misses *misses)
{
	unsigned int line_shift = hierarchies[0].line_shift;
	uint64_t page = virtual >> page_shift, frame = physical >> page_shift;
	uint64_t first = physical >> line_shift, last = (physical + size - 1) >> line_shift;
	bool same_page = page == recent->page && frame == recent->frame;
	/* The second of two lines may push the first one back. */
	bool same_line = first == last && recent->lines[first & recent->mask] == first;
	cache_misses any = 0;

	if (recent_hit(recent, virtual, physical, size, page_shift))
		return false;
	for (unsigned int i = 0; i < count; i++) {
		misses[i] = same_page ? 0 : touch_page(&hierarchies[i], fetch, virtual, physical,
						       page_shift);
		for (uint64_t line = first; !same_line && line <= last; line++)
			misses[i] += touch_line(&hierarchies[i], fetch, line);
		any |= misses[i];
	}
	recent->page = page;
	recent->frame = frame;
	for (uint64_t line = first; line <= last; line++)
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

unsigned int footprint_touch(struct footprint *footprint, uint64_t physical, unsigned int size)
{
	unsigned int lines = 1u << (SMALL_PAGE_SHIFT - footprint->line_shift), fresh = 0;
	uint64_t last = (physical + size - 1) >> footprint->line_shift;

	for (uint64_t line = physical >> footprint->line_shift; line <= last; line++) {
		uint64_t page = line / lines;

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
