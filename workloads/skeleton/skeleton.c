// SPDX-License-Identifier: GPL-2.0-only
/*
 * Say in a few lines what this does to swap, and what it leaves out.
 */

#include "../common/workload.h"

static struct {
	uint64_t size, rounds, seed;
	struct content content;
} options;

static const struct option_spec specs[] = {
	{ .name = "size", .type = OPTION_SIZE, .value = &options.size, .initial = "64M",
	  .min = PAGE_BYTES, .max = SIZE_MAX_BYTES, .multiple = PAGE_BYTES,
	  .help = "memory to work on" },
	CONTENT_OPTION(&options.content, "compressible:30"),
	{ .name = "rounds", .type = OPTION_COUNT, .value = &options.rounds, .initial = "1",
	  .min = 1, .max = 1000, .help = "measured rounds" },
	SEED_OPTION(&options.seed, "of the content"),
};

static const struct metric_spec metrics[] = {
	COST_METRICS("fill", "to write a page, making the content included",
		     "the program for the same"),
};

static struct {
	char *base;
	uint64_t pages;
} run;

static void measured_round(unsigned int round)
{
	struct phase phase;

	memory_forget(run.base, options.size);
	phase_begin(&phase, "fill", round);
	for (uint64_t i = 0; i < run.pages; i++)
		content_fill(&options.content, options.seed, i, run.base + i * PAGE_BYTES);
	phase_end(&phase);
	emit_phase_cost(&phase, run.pages);
	require_content(round, &options.content, options.seed, run.base, run.pages);
}

int main(int argc, char **argv)
{
	workload_begin(argc, argv, TABLE(specs), TABLE(metrics), NULL);
	lock_program();
	run.pages = options.size / PAGE_BYTES;
	run.base = memory_map(options.size, HUGEPAGES_NEVER);
	for (unsigned int round = 1; round <= options.rounds; round++)
		measured_round(round);
	return workload_end();
}
