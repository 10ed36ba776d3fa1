// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fill swap, free a scattered part of it, fill that part again, and so on: what
 * a long-lived machine does to clusters of slots.  At the end of each round, and
 * when all is freed, a mark lets the sampler see what metadata is left behind.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "../common/workload.h"

#define PROCS_MAX 64
/* RCU-deferred frees and workers get this long before a mark; an idle guest jumps over it. */
#define SETTLE_NS 100000000L

enum operation { OP_MAP, OP_REFILL, OP_FREE, OP_SETTLE, OP_VERIFY, OP_UNMAP };
enum value { VALUE_PAGES, VALUE_BAD };

static struct {
	uint64_t size, procs, rounds, free, run, chunk, seed;
	struct content content;
	bool allow_resident;
} options;

static const struct option_spec specs[] = {
	{ .name = "size", .type = OPTION_SIZE, .value = &options.size, .initial = "64M",
	  .min = PAGE_BYTES, .max = SIZE_MAX_BYTES, .help = "memory of all processes together" },
	{ .name = "procs", .type = OPTION_COUNT, .value = &options.procs, .initial = "3", .min = 1,
	  .max = PROCS_MAX, .help = "processes" },
	{ .name = "rounds", .type = OPTION_COUNT, .value = &options.rounds, .initial = "4",
	  .min = 1, .max = 1000, .help = "rounds of freeing and filling again" },
	{ .name = "free", .type = OPTION_COUNT, .value = &options.free, .initial = "50",
	  .unit = "%", .min = 1, .max = 99, .help = "part of the pages freed in each round" },
	{ .name = "run", .type = OPTION_COUNT, .value = &options.run, .initial = "1",
	  .unit = "pages", .min = 1, .max = 4096, .help = "neighbours that are freed together" },
	CONTENT_OPTION(&options.content, "compressible:30"),
	CHUNK_OPTION(&options.chunk, "bytes for each MADV_PAGEOUT call"),
	SEED_OPTION(&options.seed, "of the content and of what is freed"),
	ALLOW_RESIDENT_OPTION(&options.allow_resident,
			      "go on although pages stay in memory (for tests)"),
};

static const struct metric_spec metrics[] = {
	COST_METRICS("fill", "to make the content of a page and push it out, the first time",
		     "all processes for the same"),
	COST_METRICS("free", "to free a single page that is in swap, by MADV_DONTNEED",
		     "all processes for the same"),
	COST_METRICS("refill", "to make the content of a freed page anew and push it out",
		     "all processes for the same"),
	COST_METRICS("unmap", "to unmap everything, nearly all of it in swap, for each page",
		     "all processes for the same"),
	METRIC("pages_swapped_out", "pages", HIGHER,
	       "pages out of memory, swap cache included, at the end of the round"),
	METRIC("slots_used", "pages", LOWER, "slots in use then, by /proc/swaps"),
	METRIC("slots_used_after", "pages", LOWER, "slots in use when all memory is freed"),
};

/* --- a process --- */

static struct {
	char *base;
	uint64_t pages, first;
} mine;

static uint64_t mix(uint64_t value)
{
	value *= UINT64_C(0x9e3779b97f4a7c15);
	value ^= value >> 32;
	value *= UINT64_C(0xd6e8feb86659fd93);
	return value ^ value >> 29;
}

/* Whether this page is freed in this round; round 0 is the first filling of all. */
static bool is_freed(uint64_t page, uint64_t round)
{
	uint64_t group = (mine.first + page) / options.run;

	return round == 0 || mix(mix(options.seed + round) + group) % 100 < options.free;
}

/* The content's seed tells in which round the page was filled last. */
static uint64_t seed_of(uint64_t page, uint64_t round)
{
	while (!is_freed(page, round))
		round--;
	return options.seed + (round << 32);
}

static void refill(uint64_t round, struct reply *reply)
{
	uint64_t chunk_pages = options.chunk / PAGE_BYTES;

	for (uint64_t first = 0; first < mine.pages; first += chunk_pages) {
		uint64_t left = mine.pages - first;
		uint64_t pages = left < chunk_pages ? left : chunk_pages;

		for (uint64_t i = first; i < first + pages; i++) {
			if (!is_freed(i, round))
				continue;
			content_fill(&options.content, options.seed + (round << 32),
				     mine.first + i, mine.base + i * PAGE_BYTES);
			reply->values[VALUE_PAGES]++;
		}
		memory_pageout(mine.base + first * PAGE_BYTES, pages * PAGE_BYTES, options.chunk);
	}
}

static void free_pages(uint64_t round, struct reply *reply)
{
	for (uint64_t i = 0; i < mine.pages; i++) {
		if (!is_freed(i, round))
			continue;
		memory_forget(mine.base + i * PAGE_BYTES, PAGE_BYTES);
		reply->values[VALUE_PAGES]++;
	}
}

static void settle(struct reply *reply)
{
	if (!options.allow_resident)
		memory_settle(mine.base, mine.pages, options.chunk);
	reply->values[VALUE_PAGES] = memory_swapped_pages(mine.base, mine.pages);
}

static void verify(uint64_t round, struct reply *reply)
{
	for (uint64_t i = 0; i < mine.pages; i++)
		reply->values[VALUE_BAD] +=
			content_verify(&options.content, seed_of(i, round), mine.first + i,
				       mine.base + i * PAGE_BYTES, 1);
	reply->values[VALUE_PAGES] = mine.pages;
}

static void child_operation(unsigned int number, unsigned int operation, uint64_t round,
			    struct reply *reply)
{
	switch ((enum operation)operation) {
	case OP_MAP:
		take_cpu(number);
		mine.pages = options.size / PAGE_BYTES / options.procs;
		mine.first = mine.pages * number;
		mine.base = memory_map(mine.pages * PAGE_BYTES, HUGEPAGES_NEVER);
		break;
	case OP_REFILL:
		refill(round, reply);
		break;
	case OP_FREE:
		free_pages(round, reply);
		break;
	case OP_SETTLE:
		settle(reply);
		break;
	case OP_VERIFY:
		verify(round, reply);
		break;
	case OP_UNMAP:
		memory_unmap(mine.base, mine.pages * PAGE_BYTES);
		reply->values[VALUE_PAGES] = mine.pages;
		break;
	}
}

/* --- the parent --- */

static struct child children[PROCS_MAX];

static void measured(const char *name, enum operation operation, unsigned int round)
{
	struct phase phase;
	struct reply sum;

	phase_begin(&phase, name, round);
	sum = children_call(children, options.procs, operation, round);
	phase_stop(&phase);
	phase_finish(&phase, sum.cpu_ns);
	if (sum.values[VALUE_PAGES] > 0)
		emit_phase_cost(&phase, sum.values[VALUE_PAGES]);
}

static double used_slots(void)
{
	struct swap_area areas[8];
	size_t count = swap_areas(areas, COUNT_OF(areas));
	uint64_t used = 0;

	for (size_t i = 0; i < count; i++)
		used += areas[i].used;
	return (double)used;
}

static void mark_state(const char *name, unsigned int round)
{
	const struct timespec time = { .tv_nsec = SETTLE_NS };
	char text[MARK_BYTES];

	if (!options.allow_resident)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
	snprintf(text, sizeof(text), round > 0 ? "%s:%u" : "%s", name, round);
	mark(text);
}

static uint64_t all_pages(void)
{
	return pages_of_all(options.size, options.procs);
}

static void check_out(unsigned int round)
{
	uint64_t swapped =
		children_call(children, options.procs, OP_SETTLE, 0).values[VALUE_PAGES];

	if (!options.allow_resident)
		memory_require_swapped(swapped, all_pages());
	mark_state("churned", round);
	emit_metric("pages_swapped_out", round, (double)swapped);
	emit_metric("slots_used", round, used_slots());
}

static void verify_all(unsigned int round)
{
	struct reply sum = children_call(children, options.procs, OP_VERIFY, round);

	require_intact(0, sum.values[VALUE_PAGES], sum.values[VALUE_BAD]);
}

static void churn(void)
{
	children_call(children, options.procs, OP_MAP, 0);
	measured("fill", OP_REFILL, 0);
	for (unsigned int round = 1; round <= options.rounds; round++) {
		measured("free", OP_FREE, round);
		measured("refill", OP_REFILL, round);
		check_out(round);
	}
	verify_all((unsigned int)options.rounds);
	/* Comparing brought the pages in, where memory allows; freeing is to find them out. */
	children_call(children, options.procs, OP_SETTLE, 0);
	measured("unmap", OP_UNMAP, 0);
	mark_state("emptied", 0);
	emit_metric("slots_used_after", 0, used_slots());
}

static void check_options(void)
{
	all_pages();
}

int main(int argc, char **argv)
{
	workload_begin(argc, argv, TABLE(specs), TABLE(metrics), check_options);
	lock_program();
	for (unsigned int i = 0; i < options.procs; i++)
		child_start(&children[i], i, child_operation);
	churn();
	for (unsigned int i = 0; i < options.procs; i++)
		child_stop(&children[i]);
	return workload_end();
}
