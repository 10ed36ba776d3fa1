// SPDX-License-Identifier: GPL-2.0-only
#include "workload.h"

/* Memory that may be stuck before this gives up, lest it ends in an OOM kill. */
#define STUCK_BYTES (UINT64_C(32) << 20)

/* Push one chunk out; retry what stays, and stop before memory is full of it. */
static void push_chunk(struct filler *filler, uint64_t first, uint64_t pages)
{
	char *start = filler->base + first * PAGE_BYTES;
	uint64_t swapped;

	cost_begin(&filler->out);
	memory_pageout(start, pages * PAGE_BYTES, filler->chunk);
	cost_end(&filler->out);
	if (filler->allow_resident)
		return;
	swapped = memory_swapped_pages(start, pages);
	filler->stuck_bytes += (pages - swapped) * PAGE_BYTES;
	if (filler->stuck_bytes <= STUCK_BYTES)
		return;
	/* With asynchronous writes that is normal: wait for them. */
	memory_settle(filler->base, first + pages, filler->chunk);
	swapped = memory_swapped_pages(filler->base, first + pages);
	filler->stuck_bytes = (first + pages - swapped) * PAGE_BYTES;
	if (filler->stuck_bytes > STUCK_BYTES)
		memory_require_swapped(swapped, filler->pages);
}

void filler_fill(struct filler *filler, uint64_t first, uint64_t end)
{
	uint64_t chunk_pages = filler->chunk / PAGE_BYTES;

	for (uint64_t page = first; page < end; page += chunk_pages) {
		uint64_t pages = end - page < chunk_pages ? end - page : chunk_pages;

		for (uint64_t i = page; i < page + pages; i++)
			content_fill(filler->content, filler->seed, filler->first_index + i,
				     filler->base + i * PAGE_BYTES);
		push_chunk(filler, page, pages);
	}
}

struct filler filler_make(void *base, uint64_t pages, uint64_t chunk, const struct content *content,
			  uint64_t seed, bool allow_resident)
{
	return (struct filler){ .base = base, .pages = pages, .chunk = chunk, .content = content,
				.seed = seed, .allow_resident = allow_resident,
				.out = { .channel = COST_PART } };
}

uint64_t filler_settle(const struct filler *filler, uint64_t pages)
{
	return filler->allow_resident ? 0 : memory_settle(filler->base, pages, filler->chunk);
}

void filler_require_swapped(const struct filler *filler, uint64_t swapped, uint64_t pages)
{
	if (!filler->allow_resident)
		memory_require_swapped(swapped, pages);
}
