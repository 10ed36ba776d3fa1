// SPDX-License-Identifier: GPL-2.0-only
/*
 * Go over a working set that is larger than memory, and say for each kind of
 * access how long it took: in memory, minor fault, major fault.
 *
 * The kind is the kernel's own: the process's count of minor and major faults is
 * read before and after each access.  All pages were written before and are only
 * read now, so a minor fault is always a page found ready in the swap cache.  A
 * major fault was read from the back-end, or found in the swap cache while it was
 * still being read there: the kernel counts a fault that had to wait as major.
 * Why a page was in the swap cache - readahead, or its write-out had not finished -
 * the process cannot see; the system's swap_ra_hit over the measured passes says how
 * many were readahead's.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "../common/workload.h"

enum kind { KIND_HIT, KIND_MINOR, KIND_MAJOR, KINDS };

static const char *const kind_names[KINDS] = { "hit", "minor", "major" };

static struct {
	uint64_t size, passes, histogram_passes, hot, seed;
	struct content content;
	unsigned int order;
} options;

static const struct option_spec specs[] = {
	{ .name = "size", .type = OPTION_SIZE, .value = &options.size, .initial = "128M",
	  .min = 16 * PAGE_BYTES, .max = SIZE_MAX_BYTES, .multiple = PAGE_BYTES,
	  .help = "working set" },
	CONTENT_OPTION(&options.content, "compressible:20"),
	{ .name = "order", .type = OPTION_CHOICE, .value = &options.order, .initial = "random",
	  .choices = order_choices, .help = "order of the accesses: sequential or random" },
	{ .name = "hot", .type = OPTION_COUNT, .value = &options.hot, .initial = "25", .unit = "%",
	  .max = 100,
	  .help = "each other access goes to a page of this first part of the set, 0: none does" },
	{ .name = "passes", .type = OPTION_COUNT, .value = &options.passes, .initial = "2",
	  .min = 1, .max = 1000, .help = "measured passes over all pages" },
	{ .name = "histogram-passes", .type = OPTION_COUNT, .value = &options.histogram_passes,
	  .initial = "1", .max = 1000, .help = "further passes that time every single access" },
	SEED_OPTION(&options.seed, "of content and order"),
};

static const struct metric_spec metrics[] = {
	COST_METRICS("fill", "to write all pages the first time, making the content included",
		     "the program for the same"),
	COST_METRICS("access", "of a pass for each access, to memory or not",
		     "the program for the same"),
	METRIC("hit_accesses", "accesses", HIGHER,
	       "accesses of the timed passes that took no fault"),
	METRIC("minor_accesses", "accesses", LOWER,
	       "accesses that took a minor fault: found ready in the swap cache"),
	METRIC("major_accesses", "accesses", LOWER,
	       "accesses that took a major fault: read from the back-end, or waited for readahead"),
	METRIC("major_faults", "faults", LOWER, "major faults of a measured pass"),
	METRIC("minor_faults", "faults", LOWER, "minor faults of a measured pass"),
	METRIC("clock_read", "ns", LOWER,
	       "cost of one clock reading, which every latency in the histograms contains once"),
	METRIC("readahead_hits", "pages", HIGHER,
	       "swap_ra_hit of the system over the measured passes"),
	METRIC("readahead_pages", "pages", LOWER,
	       "swap_ra of the system over the measured passes"),
	METRIC("refaults", "pages", LOWER,
	       "workingset_refault_anon of the system over the measured passes"),
};

static struct counter counters[] = {
	{ .metric = "readahead_hits", .path = "/proc/vmstat", .line = "swap_ra_hit" },
	{ .metric = "readahead_pages", .path = "/proc/vmstat", .line = "swap_ra" },
	{ .metric = "refaults", .path = "/proc/vmstat", .line = "workingset_refault_anon" },
};

static struct {
	char *base;
	uint64_t pages, hot_pages;
	struct order order, hot_order;
	struct histogram histograms[KINDS];
	uint64_t kinds[KINDS];
} run;

struct faults {
	uint64_t minor, major;
};

static struct faults read_faults(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) != 0)
		die(STATUS_FAILED, "getrusage failed: %s.", strerror(errno));
	return (struct faults){ (uint64_t)usage.ru_minflt, (uint64_t)usage.ru_majflt };
}

/* A page that came back as another one is seen right here; all its bytes by require_content(). */
static void access_page(uint64_t page)
{
	uint64_t tag = content_tag(&options.content, options.seed, page);
	uint64_t got = memory_touch(run.base, page, ACCESS_READ);

	if (__builtin_expect(got != tag, 0))
		die(STATUS_CORRUPT, "Page %" PRIu64 " begins with 0x%016" PRIx64
		    " in place of 0x%016" PRIx64 ".", page, got, tag);
}

static void access_timed(uint64_t page)
{
	struct faults before = read_faults(), after;
	uint64_t begin = now_ns(), end;
	enum kind kind;

	access_page(page);
	end = now_ns();
	after = read_faults();
	kind = after.major > before.major ? KIND_MAJOR :
	       after.minor > before.minor ? KIND_MINOR : KIND_HIT;
	histogram_add(&run.histograms[kind], end - begin);
	run.kinds[kind]++;
}

/* The hot page that goes with an access: random, too, and other ones in each pass. */
static uint64_t hot_page(unsigned int round, uint64_t at)
{
	return order_at(&run.hot_order, (at + round * UINT64_C(7919)) % run.hot_pages);
}

static uint64_t pass(unsigned int round, void (*access)(uint64_t page))
{
	for (uint64_t i = 0; i < run.pages; i++) {
		access(order_at(&run.order, i));
		if (run.hot_pages > 0)
			access(hot_page(round, i));
	}
	return run.hot_pages > 0 ? 2 * run.pages : run.pages;
}

static void measured_pass(unsigned int round)
{
	struct faults before = read_faults(), after;
	struct phase phase;
	uint64_t accesses;

	phase_begin(&phase, "access", round);
	accesses = pass(round, access_page);
	phase_end(&phase);
	after = read_faults();
	emit_phase_cost(&phase, accesses);
	emit_metric("minor_faults", round, (double)(after.minor - before.minor));
	emit_metric("major_faults", round, (double)(after.major - before.major));
}

static void histogram_pass(unsigned int round)
{
	struct phase phase;

	phase_begin(&phase, "hist_access", round);
	pass(round, access_timed);
	phase_end(&phase);
}

static void emit_kinds(void)
{
	emit_metric("hit_accesses", 0, (double)run.kinds[KIND_HIT]);
	emit_metric("minor_accesses", 0, (double)run.kinds[KIND_MINOR]);
	emit_metric("major_accesses", 0, (double)run.kinds[KIND_MAJOR]);
	for (size_t i = 0; i < KINDS; i++)
		if (run.kinds[i] > 0)
			emit_histogram(&run.histograms[i], kind_names[i], "access");
}

static void fill(void)
{
	struct phase phase;

	phase_begin(&phase, "fill", 0);
	for (uint64_t i = 0; i < run.pages; i++)
		content_fill(&options.content, options.seed, i, run.base + i * PAGE_BYTES);
	phase_end(&phase);
	emit_phase_cost(&phase, run.pages);
}

int main(int argc, char **argv)
{
	unsigned int passes, all;

	workload_begin(argc, argv, TABLE(specs), TABLE(metrics), NULL);
	take_cpu(0);
	lock_program();
	run.pages = options.size / PAGE_BYTES;
	run.hot_pages = run.pages * options.hot / 100;
	run.base = memory_map(options.size, HUGEPAGES_NEVER);
	order_init(&run.order, run.pages, options.order == 1, options.seed);
	order_init(&run.hot_order, run.hot_pages, true, options.seed + 1);
	emit_metric("clock_read", 0, clock_read_cost_ns());
	fill();
	counters_begin(counters, COUNT_OF(counters));
	passes = (unsigned int)options.passes;
	all = passes + (unsigned int)options.histogram_passes;
	for (unsigned int round = 1; round <= passes; round++)
		measured_pass(round);
	counters_emit(counters, COUNT_OF(counters));
	for (unsigned int round = passes + 1; round <= all; round++)
		histogram_pass(round);
	if (options.histogram_passes > 0)
		emit_kinds();
	require_content(0, &options.content, options.seed, run.base, run.pages);
	return workload_end();
}
