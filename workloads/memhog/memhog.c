// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fill more memory than there is with one byte value, read it, and free it: what
 * people run as "memhog" to fill swap.  Pages of one value are a case of their
 * own: zswap and zram store no data for them, and zero pages need not even a slot.
 */
#include <stdlib.h>

#include "../common/workload.h"

static struct {
	uint64_t size, rounds, seed;
	struct content content;
	unsigned int hugepages;
} options;

static const struct option_spec specs[] = {
	{ .name = "size", .type = OPTION_SIZE, .value = &options.size, .initial = "64M",
	  .min = PAGE_BYTES, .max = SIZE_MAX_BYTES, .multiple = PAGE_BYTES,
	  .help = "memory to fill" },
	CONTENT_OPTION(&options.content, "same:ff"),
	{ .name = "rounds", .type = OPTION_COUNT, .value = &options.rounds, .initial = "1",
	  .min = 1, .max = 1000, .help = "fill, read and free so often" },
	HUGEPAGES_OPTION(&options.hugepages, "never"),
	SEED_OPTION(&options.seed, "of content that has one"),
};

static const struct metric_spec metrics[] = {
	COST_METRICS("fill", "to write a page, making the content and pushing others out included",
		     "the program for the same"),
	COST_METRICS("read", "to read a page, in memory or not", "the program for the same"),
	COST_METRICS("free", "to unmap a page, in memory or not", "the program for the same"),
};

static struct {
	char *base;
	uint64_t pages;
} run;

static uint64_t seed_of(unsigned int round)
{
	return options.seed + ((uint64_t)round << 32);
}

static void fill(unsigned int round)
{
	for (uint64_t i = 0; i < run.pages; i++)
		content_fill(&options.content, seed_of(round), i, run.base + i * PAGE_BYTES);
}

static void read_first_words(void)
{
	for (uint64_t i = 0; i < run.pages; i++)
		memory_touch(run.base, i, ACCESS_READ);
}

static void one_round(unsigned int round)
{
	struct phase phase;

	run.base = memory_map(options.size, options.hugepages);
	phase_begin(&phase, "fill", round);
	fill(round);
	phase_end(&phase);
	emit_phase_cost(&phase, run.pages);
	phase_begin(&phase, "read", round);
	read_first_words();
	phase_end(&phase);
	emit_phase_cost(&phase, run.pages);
	require_content(round, &options.content, seed_of(round), run.base, run.pages);
	phase_begin(&phase, "free", round);
	memory_unmap(run.base, options.size);
	phase_end(&phase);
	emit_phase_cost(&phase, run.pages);
}

int main(int argc, char **argv)
{
	workload_begin(argc, argv, TABLE(specs), TABLE(metrics), NULL);
	take_cpu(0);
	lock_program();
	run.pages = options.size / PAGE_BYTES;
	for (unsigned int round = 1; round <= options.rounds; round++)
		one_round(round);
	return workload_end();
}
