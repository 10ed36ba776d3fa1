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
	  .min = PAGE_BYTES, .max = SIZE_MAX_BYTES, .help = "memory to work on" },
	{ .name = "content", .type = OPTION_CONTENT, .value = &options.content,
	  .initial = "compressible:30", .help = "zero, same:XX, compressible:PERCENT or random" },
	{ .name = "rounds", .type = OPTION_COUNT, .value = &options.rounds, .initial = "1",
	  .unit = "", .min = 1, .max = 1000, .help = "measured rounds" },
	{ .name = "seed", .type = OPTION_COUNT, .value = &options.seed, .initial = "1",
	  .unit = "", .min = 0, .max = UINT32_MAX, .help = "of the content" },
};

static const struct metric_spec metrics[] = {
	COST_METRICS("fill"),
};

static struct {
	char *base;
	uint64_t pages;
} run;

static void measured_round(unsigned int round)
{
	struct phase phase;
	uint64_t bad;

	memory_forget(run.base, options.size);
	phase_begin(&phase, "fill", round);
	for (uint64_t i = 0; i < run.pages; i++)
		content_fill(&options.content, options.seed, i, run.base + i * PAGE_BYTES);
	phase_end(&phase);
	emit_phase_cost(&phase, run.pages);
	bad = content_verify(&options.content, options.seed, 0, run.base, run.pages);
	require_intact(round, run.pages, bad);
}

int main(int argc, char **argv)
{
	metrics_declare(metrics, COUNT_OF(metrics));
	options_parse_all(argc, argv, specs, COUNT_OF(specs));
	require_page_multiple("size", options.size);
	options_report(specs, COUNT_OF(specs));
	lock_program();
	run.pages = options.size / PAGE_BYTES;
	run.base = memory_map(options.size, HUGEPAGES_NEVER);
	for (unsigned int round = 1; round <= options.rounds; round++)
		measured_round(round);
	emit_done();
	return STATUS_OK;
}
