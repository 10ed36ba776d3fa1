/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A model of the caches and TLBs of one CPU: set-associative, least recently used goes first,
 * lines are allocated on reads and writes alike.  It has no prefetcher, and no other CPU.
 *
 * A miss in L1I or L1D looks in L2, a miss there in LLC; a miss in the ITLB or DTLB looks in STLB.
 * Caches go by physical addresses.  An entry of a TLB is of a virtual page at a physical one, so
 * a page that comes back elsewhere misses.
 */
#ifndef CACHEMODEL_H
#define CACHEMODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cache_event {
	MISS_L1I, MISS_L1D, MISS_L2, MISS_LLC, MISS_ITLB, MISS_DTLB, MISS_STLB, CACHE_EVENTS
};

/* ways entries in each of sets; an entry is a line of a cache or a page of a TLB. */
struct cache {
	uint64_t *tags; /* of a set side by side, the one used last in front */
	uint64_t sets;
	unsigned int ways;
};

struct hierarchy {
	struct cache caches[CACHE_EVENTS]; /* each by the event that it has */
	unsigned int line_shift;
};

/* What one access missed: 4 bits for each event, the lowest for the first. */
typedef uint32_t cache_misses;

static inline unsigned int misses_of(cache_misses misses, enum cache_event event)
{
	return misses >> (4 * (unsigned int)event) & 15;
}

/* False for sizes that do not make whole sets, or too little memory. */
bool cache_init(struct cache *cache, uint64_t entries, unsigned int ways);
void cache_free(struct cache *cache);
/* Whether tag, which belongs to the set of index, was there; now it is. */
bool cache_touch(struct cache *cache, uint64_t index, uint64_t tag);

/*
 * A line of text: line size in bytes, then size and ways for L1I, L1D, L2, LLC, ITLB, DTLB and
 * STLB, sizes in bytes for caches and in entries for TLBs.  False if it is something else.
 */
bool hierarchy_init(struct hierarchy *hierarchy, const char *text);
void hierarchy_free(struct hierarchy *hierarchy);

/*
 * size bytes, at most a page, at a virtual and a physical address.  page_shift is that of the
 * page they are on; bytes beyond its end are taken for the same page's.
 */
cache_misses hierarchy_access(struct hierarchy *hierarchy, bool fetch, uint64_t virtual,
			      uint64_t physical, unsigned int size, unsigned int page_shift);
/*
 * What of one kind of accesses, fetches or others, is in front of its set in every one of some
 * hierarchies: to touch that again changes nothing and misses nothing.
 */
#define RECENT_LINES 64u

struct recent {
	uint64_t page, frame; /* the last one, by its virtual and its physical number */
	uint64_t lines[RECENT_LINES]; /* of each set of lines the last one */
	unsigned int mask; /* of a line's number: which set */
	unsigned int line_shift;
};

/* All hierarchies have one size of lines. */
void recent_init(struct recent *recent, bool fetch, const struct hierarchy *hierarchies,
		 unsigned int count);
/* Nothing is known to be in front: what is touched next is looked up everywhere. */
void recent_forget(struct recent *recent);

/* Whether an access is one of those; for most it is, so this has to be fast. */
static inline bool recent_hit(const struct recent *recent, uint64_t virtual, uint64_t physical,
			      unsigned int size, unsigned int page_shift)
{
	uint64_t first = physical >> recent->line_shift;

	/* The second of two lines may push the first one back. */
	return recent->lines[first & recent->mask] == first &&
	       (physical + size - 1) >> recent->line_shift == first &&
	       virtual >> page_shift == recent->page && physical >> page_shift == recent->frame;
}

/*
 * The same as hierarchy_access() for each hierarchy, which has no other accesses of this kind.
 * False if none of them misses anything; then misses is not written.
 */
bool recent_access(struct recent *recent, struct hierarchy *hierarchies, unsigned int count,
		   bool fetch, uint64_t virtual, uint64_t physical, unsigned int size,
		   unsigned int page_shift, cache_misses *misses);

/*
 * Which lines were touched in an epoch: for counting those of one operation.  There is one for
 * the life of a process.
 */
struct footprint {
	uint32_t **pages; /* by physical page number: the epoch of each line, 0 for none */
	uint32_t epoch;
	unsigned int line_shift;
};

bool footprint_init(struct footprint *footprint, unsigned int line_shift);
void footprint_next(struct footprint *footprint); /* an operation begins */
/* How many lines of these bytes are new in this epoch. */
unsigned int footprint_touch(struct footprint *footprint, uint64_t physical, unsigned int size);

#endif
