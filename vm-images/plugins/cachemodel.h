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

/*
 * ways entries in each of sets, side by side, the one used last in front.  A line is known by its
 * number, a page by page_tag().  0 is none: what is kept is one more.
 */
struct cache {
	uint32_t *lines; /* of a cache */
	uint64_t *pages; /* of a TLB */
	uint32_t sets;
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

/*
 * A line of text: line size in bytes, then size and ways for L1I, L1D, L2, LLC, ITLB, DTLB and
 * STLB, sizes in bytes for caches and in entries for TLBs.  False if it is something else.
 */
bool hierarchy_init(struct hierarchy *hierarchy, const char *text);
void hierarchy_free(struct hierarchy *hierarchy);

/*
 * One access: the number of the virtual page, page_tag() of it, and its first and its last line by
 * their numbers.  Physical addresses are below 256 GiB.
 */
struct access {
	uint64_t page, tag;
	uint32_t first, last;
};

/*
 * A page by its number and by where it is: 36 and 28 bits.  Only addresses of more than 48 bits
 * could be taken for each other, and those only if they are one page.
 */
static inline uint64_t page_tag(uint64_t virtual, uint64_t physical, unsigned int page_shift)
{
	return virtual >> page_shift << 28 ^ physical >> page_shift;
}

/*
 * size bytes, at most a page, at a virtual and a physical address.  page_shift is that of the
 * page they are on; bytes beyond its end are taken for the same page's.
 */
static inline struct access access_made(uint64_t virtual, uint64_t physical, unsigned int size,
					unsigned int page_shift, unsigned int line_shift)
{
	return (struct access){ .page = virtual >> page_shift,
				.tag = page_tag(virtual, physical, page_shift),
				.first = (uint32_t)(physical >> line_shift),
				.last = (uint32_t)((physical + size - 1) >> line_shift) };
}

cache_misses hierarchy_access(struct hierarchy *hierarchy, bool fetch, const struct access *access);

/*
 * What of one kind of accesses, fetches or others, is in front of its set in every one of some
 * hierarchies: to touch that again changes nothing and misses nothing.
 */
#define RECENT_LINES 64u

struct recent {
	uint64_t tag; /* of the last page */
	uint32_t lines[RECENT_LINES]; /* of each set of lines the last one */
	uint32_t mask; /* of a line's number: which set */
};

/* All hierarchies have one size of lines. */
void recent_init(struct recent *recent, bool fetch, const struct hierarchy *hierarchies,
		 unsigned int count);
/* Nothing is known to be in front: what is touched next is looked up everywhere. */
void recent_forget(struct recent *recent);

static inline bool recent_line(const struct recent *recent, uint32_t line)
{
	return recent->lines[line & recent->mask] == line;
}

/* Whether a page and a line of it are both in front; for most it is so, so this has to be fast. */
static inline bool recent_hit(const struct recent *recent, uint64_t tag, uint32_t line)
{
	return recent_line(recent, line) && recent->tag == tag;
}

/*
 * The same as hierarchy_access() for each hierarchy, which has no other accesses of this kind.
 * False if none of them misses anything.
 */
bool recent_access(struct recent *recent, struct hierarchy *hierarchies, unsigned int count,
		   bool fetch, const struct access *access, cache_misses *misses);

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
/* How many of the lines from the first to the last are new in this epoch. */
unsigned int footprint_touch(struct footprint *footprint, uint32_t first, uint32_t last);

#endif
