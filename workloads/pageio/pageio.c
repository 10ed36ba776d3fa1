// SPDX-License-Identifier: GPL-2.0-only
/*
 * Push anonymous pages out, touch them again, and time both: the cost of one
 * page's way to swap and back, with nothing else going on.
 *
 * Every round starts in a fresh memcg, from fresh memory with new content, at an
 * aligned guest time: whether the kernel takes a page that comes back for one of
 * the working set depends on what the memcg went through before, and on when its
 * counters were summed.  No round finds pages that still own a swap slot from the
 * one before, and stale data of an earlier round is seen as corruption.
 */
#include <stdlib.h>

#include "../common/workload.h"

static struct {
	uint64_t size, chunk, rounds, histogram_rounds, seed;
	struct content content;
	unsigned int order, access, hugepages;
	bool allow_resident;
} options;

static const struct option_spec specs[] = {
	{ .name = "size", .type = OPTION_SIZE, .value = &options.size, .initial = "64M",
	  .min = PAGE_BYTES, .max = SIZE_MAX_BYTES, .multiple = PAGE_BYTES,
	  .help = "anonymous memory to swap" },
	CONTENT_OPTION(&options.content, "compressible:30"),
	CHUNK_OPTION(&options.chunk, "bytes for each MADV_PAGEOUT call"),
	{ .name = "order", .type = OPTION_CHOICE, .value = &options.order, .initial = "random",
	  .choices = order_choices, .help = "order of the touches: sequential or random" },
	{ .name = "access", .type = OPTION_CHOICE, .value = &options.access, .initial = "read",
	  .choices = access_choices, .help = "touch by read or write" },
	HUGEPAGES_OPTION(&options.hugepages, "never"),
	{ .name = "rounds", .type = OPTION_COUNT, .value = &options.rounds, .initial = "3",
	  .min = 1, .max = 1000, .help = "measured rounds" },
	{ .name = "histogram-rounds", .type = OPTION_COUNT, .value = &options.histogram_rounds,
	  .initial = "1", .max = 1000, .help = "further rounds that time every single touch" },
	SEED_OPTION(&options.seed, "of content and order"),
	ALLOW_RESIDENT_OPTION(&options.allow_resident,
			      "go on although pages stay in memory (for tests)"),
};

static const struct metric_spec metrics[] = {
	COST_METRICS("swapout", "of MADV_PAGEOUT for each page",
		     "the program in MADV_PAGEOUT for each page"),
	COST_METRICS("swapin", "of the touches for each page that was out",
		     "the program in the touches for each page that was out"),
	METRIC("pages_swapped_first", "pages", HIGHER,
	       "pages out of memory right after the timed pass; with asynchronous writes to a "
	       "disk most are still in the swap cache then"),
	METRIC("pages_swapped_out", "pages", HIGHER,
	       "pages out of memory, swap cache included, when the touches begin"),
	METRIC("pageout_repeats", "calls", LOWER,
	       "further MADV_PAGEOUT calls, untimed, that this took"),
	METRIC("clock_read", "ns", LOWER,
	       "cost of one clock reading, which every latency in the histogram contains once"),
};

static struct {
	char *base;
	uint64_t pages;
	uint32_t *order; /* locked; computed beforehand so that the loop stays bare */
	struct histogram histogram;
} run;

static void prepare(void)
{
	struct order order;

	lock_program();
	run.pages = options.size / PAGE_BYTES;
	if (run.pages > UINT32_MAX)
		die(STATUS_USAGE, "--size is too large: the access order holds 32-bit page numbers.");
	run.order = memory_map_locked(run.pages * sizeof(*run.order));
	order_init(&order, run.pages, options.order == 1, options.seed);
	for (uint64_t i = 0; i < run.pages; i++)
		run.order[i] = (uint32_t)order_at(&order, i);
	run.base = memory_map(options.size, options.hugepages);
	emit_metric("clock_read", 0, clock_read_cost_ns());
}

static uint64_t seed_of(unsigned int round)
{
	return options.seed + ((uint64_t)round << 32);
}

static void fill(unsigned int round)
{
	memory_forget(run.base, options.size);
	for (uint64_t i = 0; i < run.pages; i++)
		content_fill(&options.content, seed_of(round), i, run.base + i * PAGE_BYTES);
}

/* Returns the pages that are out when the touches begin. */
static uint64_t check_out(unsigned int round, bool report)
{
	uint64_t first = memory_swapped_pages(run.base, run.pages);
	uint64_t repeats = options.allow_resident ?
				   0 : memory_settle(run.base, run.pages, options.chunk);
	uint64_t swapped = memory_swapped_pages(run.base, run.pages);

	if (report) {
		emit_metric("pages_swapped_first", round, (double)first);
		emit_metric("pages_swapped_out", round, (double)swapped);
		emit_metric("pageout_repeats", round, (double)repeats);
	}
	if (!options.allow_resident)
		memory_require_swapped(swapped, run.pages);
	return swapped;
}

static void touch_all(void)
{
	for (uint64_t i = 0; i < run.pages; i++)
		memory_touch(run.base, run.order[i], options.access);
}

static void touch_all_timed(void)
{
	for (uint64_t i = 0; i < run.pages; i++) {
		uint64_t begin = now_ns();

		memory_touch(run.base, run.order[i], options.access);
		histogram_add(&run.histogram, now_ns() - begin);
	}
}

/*
 * A chunk goes out and comes back before anything is measured: the kernel's
 * caches of swap slots are set up then, and the first round no longer pays, or
 * saves, a batch of returned slots that the later ones do not.
 */
static void warm_up(void)
{
	uint64_t bytes = options.chunk < options.size ? options.chunk : options.size;

	for (uint64_t i = 0; i < bytes / PAGE_BYTES; i++)
		content_fill(&options.content, seed_of(0), i, run.base + i * PAGE_BYTES);
	memory_pageout(run.base, bytes, bytes);
	for (uint64_t i = 0; i < bytes / PAGE_BYTES; i++)
		memory_touch(run.base, i, options.access);
}

static void measured_round(unsigned int round)
{
	struct phase phase;
	uint64_t swapped;

	wait_for_alignment();
	group_fresh("round", round);
	fill(round);
	phase_begin(&phase, "out", round);
	memory_pageout(run.base, options.size, options.chunk);
	phase_end(&phase);
	/* Per page asked for: a page that waits for the disk has cost its time here, too. */
	emit_cost("swapout", round, &phase.cost, run.pages);
	swapped = check_out(round, true);
	phase_begin(&phase, "in", round);
	touch_all();
	phase_end(&phase);
	/* None is out only with --allow-resident. */
	emit_cost("swapin", round, &phase.cost, swapped > 0 ? swapped : run.pages);
	require_content(round, &options.content, seed_of(round), run.base, run.pages);
}

static void histogram_round(unsigned int round)
{
	struct phase phase;

	wait_for_alignment();
	group_fresh("round", round);
	fill(round);
	memory_pageout(run.base, options.size, options.chunk);
	check_out(round, false);
	phase_begin(&phase, "hist_in", round);
	touch_all_timed();
	phase_end(&phase);
	require_content(round, &options.content, seed_of(round), run.base, run.pages);
}

int main(int argc, char **argv)
{
	unsigned int rounds, all_rounds;

	workload_begin(argc, argv, TABLE(specs), TABLE(metrics), NULL);
	take_cpu(0);
	prepare();
	warm_up();
	rounds = (unsigned int)options.rounds;
	all_rounds = rounds + (unsigned int)options.histogram_rounds;
	for (unsigned int round = 1; round <= rounds; round++)
		measured_round(round);
	for (unsigned int round = rounds + 1; round <= all_rounds; round++)
		histogram_round(round);
	if (options.histogram_rounds > 0)
		emit_histogram(&run.histogram, "swapin", "hist_in");
	return workload_end();
}
