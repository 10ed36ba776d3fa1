// SPDX-License-Identifier: GPL-2.0-only
/*
 * Put more into zswap than its pool may hold, so that it writes pages back to
 * the swap file, and look at what a fault costs meanwhile.
 *
 * Only this process's own CPU time is in its figures; the write-back itself is
 * done by a worker of the kernel and shows in the sampler's counts of kthreads.
 */
#include <inttypes.h>
#include <stdio.h>

#include "../common/workload.h"

#define PARAMETERS "/sys/module/zswap/parameters"
#define DEBUG "/sys/kernel/debug/zswap"

static struct {
	uint64_t size, pool, steps, touches, chunk, seed;
	struct content content;
	bool shrinker, allow_resident;
} options;

static const struct option_spec specs[] = {
	{ .name = "size", .type = OPTION_SIZE, .value = &options.size, .initial = "64M",
	  .min = 64 * PAGE_BYTES, .max = SIZE_MAX_BYTES, .multiple = PAGE_BYTES,
	  .help = "memory to swap out" },
	CONTENT_OPTION(&options.content, "compressible:60"),
	{ .name = "pool", .type = OPTION_COUNT, .value = &options.pool, .initial = "1",
	  .unit = "%", .min = 1, .max = 100, .help = "max_pool_percent, of the guest's memory" },
	{ .name = "shrinker", .type = OPTION_FLAG, .value = &options.shrinker, .initial = "yes",
	  .help = "shrinker_enabled: write back early, too (Linux 6.8 and later)" },
	{ .name = "steps", .type = OPTION_COUNT, .value = &options.steps, .initial = "8", .min = 1,
	  .max = 64, .help = "equal steps, with faults after each" },
	{ .name = "touches", .type = OPTION_COUNT, .value = &options.touches, .initial = "64",
	  .unit = "pages", .min = 1, .max = 65536, .help = "pages touched after each step" },
	CHUNK_OPTION(&options.chunk, "bytes in memory at a time"),
	SEED_OPTION(&options.seed, "of the content and of the touches"),
	ALLOW_RESIDENT_OPTION(&options.allow_resident,
			      "go on although pages stay in memory, and leave zswap alone (for "
			      "tests)"),
};

static const struct metric_spec metrics[] = {
	COST_METRICS("swapout", "in MADV_PAGEOUT alone, for each page",
		     "the program in MADV_PAGEOUT alone, for each page"),
	COST_METRICS("touch",
		     "to bring one page in and send it out again, while pages are written back",
		     "the program for the same"),
	COST_METRICS("in", "of the touches afterwards for each page, from zswap or disk",
		     "the program for the same"),
	METRIC("pages_swapped_out", "pages", HIGHER,
	       "pages out of memory, swap cache included, at the end"),
	METRIC("written_back_pages", "pages", LOWER,
	       "pages that zswap wrote back, by its own count in debugfs"),
	METRIC("written_back_events", "pages", LOWER,
	       "zswpwb of /proc/vmstat, where the kernel has it"),
	METRIC("pool_limit_hits", "events", LOWER, "times that the pool was found full"),
	METRIC("compress_poor", "pages", LOWER,
	       "pages that did not compress well enough to be kept"),
	METRIC("clock_read", "ns", LOWER,
	       "cost of one clock reading, which every latency in the histogram contains once"),
};

static struct counter counters[] = {
	{ .metric = "written_back_pages", .path = DEBUG "/written_back_pages" },
	{ .metric = "written_back_events", .path = "/proc/vmstat", .line = "zswpwb" },
	{ .metric = "pool_limit_hits", .path = DEBUG "/pool_limit_hit" },
	{ .metric = "compress_poor", .path = DEBUG "/reject_compress_poor" },
};

static struct {
	char *base;
	uint64_t pages, touched;
	struct filler filler;
	struct histogram histogram;
} run;

static bool zswap_is_on(void)
{
	FILE *file = fopen(PARAMETERS "/enabled", "re");
	int letter = file == NULL ? EOF : fgetc(file);

	if (file != NULL)
		fclose(file);
	return letter == 'Y';
}

static void set_up_zswap(void)
{
	char text[8];

	if (options.allow_resident)
		return;
	if (!zswap_is_on())
		die(STATUS_FAILED, "zswap is not on; this workload needs the zswap back-end.");
	snprintf(text, sizeof(text), "%" PRIu64, options.pool);
	kernel_write(PARAMETERS "/max_pool_percent", text);
	/* Before Linux 6.8 there is no shrinker: then the pool's limit alone drives it. */
	if (!kernel_try_write(PARAMETERS "/shrinker_enabled", options.shrinker ? "Y" : "N"))
		fprintf(stderr, "This kernel's zswap has no shrinker.\n");
}

static void prepare(void)
{
	lock_program();
	set_up_zswap();
	run.pages = options.size / PAGE_BYTES;
	run.base = memory_map(options.size, HUGEPAGES_NEVER);
	run.filler = filler_make(run.base, run.pages, options.chunk, &options.content,
				 options.seed, options.allow_resident);
	emit_metric("clock_read", 0, clock_read_cost_ns());
}

/*
 * Pages spread over all that is out, each timed and sent out again at once, so
 * that they do not gather in memory.  Which of them zswap still has and which
 * only the disk is what the histogram shows.
 */
static void touch(unsigned int step, uint64_t filled)
{
	struct phase phase;
	struct order order;

	order_init(&order, filled, true, options.seed + step);
	phase_begin(&phase, "touch", step);
	for (uint64_t i = 0; i < options.touches && i < filled; i++) {
		uint64_t page = order_at(&order, i);
		uint64_t begin = now_ns();
		uint64_t got = memory_touch(run.base, page, ACCESS_READ);

		histogram_add(&run.histogram, now_ns() - begin);
		if (got != content_tag(&options.content, options.seed, page))
			die(STATUS_CORRUPT, "Page %" PRIu64 " is not what was written.", page);
		memory_pageout(run.base + page * PAGE_BYTES, PAGE_BYTES, PAGE_BYTES);
		run.touched++;
	}
	phase_end(&phase);
	emit_phase_cost(&phase, options.touches < filled ? options.touches : filled);
}

static void fill_and_touch(void)
{
	struct phase phase;
	uint64_t end = 0;

	for (unsigned int step = 1; step <= options.steps; step++) {
		uint64_t first = end;

		end = run.pages * step / options.steps;
		phase_begin(&phase, "fill", step);
		filler_fill(&run.filler, first, end);
		phase_end(&phase);
		touch(step, end);
	}
	emit_cost("swapout", 0, &run.filler.out, run.pages);
	emit_histogram(&run.histogram, "fault", "touch");
}

static void check_out(void)
{
	uint64_t swapped;

	filler_settle(&run.filler, run.pages);
	swapped = memory_swapped_pages(run.base, run.pages);
	emit_metric("pages_swapped_out", 0, (double)swapped);
	filler_require_swapped(&run.filler, swapped, run.pages);
}

static void bring_in(void)
{
	struct phase phase;
	struct order order;

	order_init(&order, run.pages, true, options.seed);
	phase_begin(&phase, "in", 0);
	for (uint64_t i = 0; i < run.pages; i++)
		memory_touch(run.base, order_at(&order, i), ACCESS_READ);
	phase_end(&phase);
	emit_phase_cost(&phase, run.pages);
}

int main(int argc, char **argv)
{
	workload_begin(argc, argv, TABLE(specs), TABLE(metrics), NULL);
	take_cpu(0);
	prepare();
	counters_begin(counters, COUNT_OF(counters));
	fill_and_touch();
	check_out();
	counters_emit(counters, COUNT_OF(counters));
	bring_in();
	require_content(0, &options.content, options.seed, run.base, run.pages);
	return workload_end();
}
