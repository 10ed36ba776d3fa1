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
	uint64_t size, pool, steps, probes, chunk, seed;
	struct content content;
	bool shrinker, allow_resident;
} options;

static const struct option_spec specs[] = {
	{ .name = "size", .type = OPTION_SIZE, .value = &options.size, .initial = "64M",
	  .min = 64 * PAGE_BYTES, .max = SIZE_MAX_BYTES, .help = "memory to swap out" },
	{ .name = "content", .type = OPTION_CONTENT, .value = &options.content,
	  .initial = "compressible:60", .help = "zero, same:XX, compressible:PERCENT or random" },
	{ .name = "pool", .type = OPTION_COUNT, .value = &options.pool, .initial = "1",
	  .unit = "%", .min = 1, .max = 100, .help = "max_pool_percent, of the guest's memory" },
	{ .name = "shrinker", .type = OPTION_FLAG, .value = &options.shrinker, .initial = "yes",
	  .help = "shrinker_enabled: write back early, too (Linux 6.8 and later)" },
	{ .name = "steps", .type = OPTION_COUNT, .value = &options.steps, .initial = "8",
	  .unit = "", .min = 1, .max = 64, .help = "equal steps, with faults after each" },
	{ .name = "probes", .type = OPTION_COUNT, .value = &options.probes, .initial = "64",
	  .unit = "pages", .min = 1, .max = 65536, .help = "pages touched after each step" },
	{ .name = "chunk", .type = OPTION_SIZE, .value = &options.chunk, .initial = "2M",
	  .min = PAGE_BYTES, .max = SIZE_MAX_BYTES, .help = "bytes in memory at a time" },
	{ .name = "seed", .type = OPTION_COUNT, .value = &options.seed, .initial = "1",
	  .unit = "", .min = 0, .max = UINT32_MAX, .help = "of the content and of the probes" },
	{ .name = "allow-resident", .type = OPTION_FLAG, .value = &options.allow_resident,
	  .initial = "no", .help = "go on although pages stay in memory, and leave zswap alone "
				   "(for tests)" },
};

static const struct metric_spec metrics[] = {
	COST_METRICS("swapout"), COST_METRICS("probe"), COST_METRICS("in"),
	{ "pages_swapped_out", "pages" }, { "written_back_pages", "pages" },
	{ "written_back_events", "pages" }, { "pool_limit_hits", "events" },
	{ "compress_poor", "pages" }, { "clock_read_ns", "ns" },
};

static struct counter counters[] = {
	{ .metric = "written_back_pages", .unit = "pages", .path = DEBUG "/written_back_pages" },
	{ .metric = "written_back_events", .unit = "pages", .path = "/proc/vmstat",
	  .line = "zswpwb" },
	{ .metric = "pool_limit_hits", .unit = "events", .path = DEBUG "/pool_limit_hit" },
	{ .metric = "compress_poor", .unit = "pages", .path = DEBUG "/reject_compress_poor" },
};

static struct {
	char *base;
	uint64_t pages, probed;
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
	run.filler = (struct filler){
		.base = run.base,
		.pages = run.pages,
		.chunk = options.chunk,
		.content = &options.content,
		.seed = options.seed,
		.allow_resident = options.allow_resident,
	};
	emit_metric("clock_read_ns", 0, clock_read_cost_ns(), "ns");
}

/*
 * Pages spread over all that is out, each timed and sent out again at once, so
 * that they do not gather in memory.  Which of them zswap still has and which
 * only the disk is what the histogram shows.
 */
static void probe(unsigned int step, uint64_t filled)
{
	struct phase phase;
	struct order order;

	order_init(&order, filled, true, options.seed + step);
	phase_begin(&phase, "probe", step);
	for (uint64_t i = 0; i < options.probes && i < filled; i++) {
		uint64_t page = order_at(&order, i);
		uint64_t begin = now_ns();
		uint64_t got = memory_touch(run.base, page, ACCESS_READ);

		histogram_add(&run.histogram, now_ns() - begin);
		if (got != content_tag(&options.content, options.seed, page))
			die(STATUS_CORRUPT, "Page %" PRIu64 " is not what was written.", page);
		memory_pageout(run.base + page * PAGE_BYTES, PAGE_BYTES, PAGE_BYTES);
		run.probed++;
	}
	phase_end(&phase);
	emit_phase_cost(&phase, options.probes < filled ? options.probes : filled);
}

static void fill_and_probe(void)
{
	struct phase phase;
	uint64_t end = 0;
	double pages = (double)run.pages;

	for (unsigned int step = 1; step <= options.steps; step++) {
		uint64_t first = end;

		end = run.pages * step / options.steps;
		phase_begin(&phase, "fill", step);
		filler_fill(&run.filler, first, end);
		phase_end(&phase);
		probe(step, end);
	}
	emit_metric("swapout_ns", 0, (double)run.filler.out_ns / pages, "ns/page");
	emit_metric("swapout_cpu_ns", 0, (double)run.filler.out_cpu_ns / pages, "ns/page");
	emit_histogram(&run.histogram, "fault", "probe");
}

static void check_out(void)
{
	uint64_t swapped;

	if (!options.allow_resident)
		memory_settle(run.base, run.pages, options.chunk);
	swapped = memory_swapped_pages(run.base, run.pages);
	emit_metric("pages_swapped_out", 0, (double)swapped, "pages");
	if (!options.allow_resident)
		memory_require_swapped(swapped, run.pages);
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

static void verify(void)
{
	uint64_t bad = content_verify(&options.content, options.seed, 0, run.base, run.pages);

	require_intact(0, run.pages, bad);
}

int main(int argc, char **argv)
{
	metrics_declare(metrics, COUNT_OF(metrics));
	options_parse_all(argc, argv, specs, COUNT_OF(specs));
	require_page_multiple("size", options.size);
	require_page_multiple("chunk", options.chunk);
	options_report(specs, COUNT_OF(specs));
	prepare();
	counters_begin(counters, COUNT_OF(counters));
	fill_and_probe();
	check_out();
	counters_emit(counters, COUNT_OF(counters));
	bring_in();
	verify();
	emit_done();
	return STATUS_OK;
}
