// SPDX-License-Identifier: GPL-2.0-only
/*
 * Swap huge pages out, whole or after they were split, and in again; count what
 * the kernel did with them.
 *
 * "split" frees one page of each huge page first: a partly mapped huge page has
 * to be split before it goes out.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../common/workload.h"

#define HUGE_ROOT "/sys/kernel/mm/transparent_hugepage"
#define PMD_BYTES (UINT64_C(2) << 20)
#define PATH_BYTES 128

enum out { OUT_WHOLE, OUT_SPLIT };
static const char *const out_choices[] = { "whole", "split", NULL };

static struct {
	uint64_t size, folio, chunk, rounds, seed;
	struct content content;
	unsigned int out, order;
	bool allow_resident;
} options;

static const struct option_spec specs[] = {
	{ .name = "size", .type = OPTION_SIZE, .value = &options.size, .initial = "64M",
	  .min = PMD_BYTES, .max = SIZE_MAX_BYTES, .multiple = PMD_BYTES,
	  .help = "memory to swap" },
	{ .name = "folio", .type = OPTION_SIZE, .value = &options.folio, .initial = "2M",
	  .min = PAGE_BYTES, .max = PMD_BYTES,
	  .help = "size of its pages: 2M, an mTHP size such as 64K, or 4K for none" },
	{ .name = "out", .type = OPTION_CHOICE, .value = &options.out, .initial = "whole",
	  .choices = out_choices, .help = "whole, or split: free a page of each one first" },
	{ .name = "order", .type = OPTION_CHOICE, .value = &options.order, .initial = "random",
	  .choices = order_choices, .help = "order of the touches: sequential or random" },
	CONTENT_OPTION(&options.content, "compressible:30"),
	CHUNK_OPTION(&options.chunk, "bytes for each MADV_PAGEOUT call"),
	{ .name = "rounds", .type = OPTION_COUNT, .value = &options.rounds, .initial = "2",
	  .min = 1, .max = 1000, .help = "rounds, each with fresh memory" },
	SEED_OPTION(&options.seed, "of content and order"),
	ALLOW_RESIDENT_OPTION(&options.allow_resident,
			      "go on although pages stay in memory, and change no setting of "
			      "the system (for tests)"),
};

static const struct metric_spec metrics[] = {
	COST_METRICS("out", "of MADV_PAGEOUT for each small page's worth",
		     "the program for the same"),
	COST_METRICS("in", "of the touches for each small page's worth",
		     "the program for the same"),
	METRIC("pages_swapped_out", "pages", HIGHER,
	       "small pages out of memory, swap cache included, when the touches begin"),
	METRIC("huge_memory", "B", HIGHER,
	       "AnonHugePages after filling; counts pages of 2 MiB only"),
	METRIC("thp_swpout", "folios", HIGHER, "2 MiB pages that went out whole"),
	METRIC("thp_swpout_fallback", "folios", LOWER,
	       "2 MiB pages split because swap had no room for them whole"),
	METRIC("thp_split_page", "folios", LOWER, "huge pages that were split"),
	METRIC("thp_split_pmd", "folios", LOWER, "2 MiB mappings that were split"),
	METRIC("folio_alloc", "folios", HIGHER, "pages of the chosen size allocated"),
	METRIC("folio_swpout", "folios", HIGHER,
	       "pages of the chosen size that went out whole to a swap device"),
	METRIC("folio_zswpout", "folios", HIGHER,
	       "pages of the chosen size that went out whole to zswap"),
	METRIC("folio_swpout_fallback", "folios", LOWER,
	       "pages of the chosen size split because swap had no room for them whole"),
	METRIC("folio_swpin", "folios", HIGHER, "pages of the chosen size that came in whole"),
	METRIC("folio_split", "folios", LOWER, "pages of the chosen size that were split"),
};

#define VMSTAT(name) \
	{ .metric = name, .path = "/proc/vmstat", .line = name }

static struct counter system_counters[] = {
	VMSTAT("thp_swpout"), VMSTAT("thp_swpout_fallback"), VMSTAT("thp_split_page"),
	VMSTAT("thp_split_pmd"),
};

/* Of the chosen size alone, from sysfs; kernels have more and more of them from Linux 6.10 on. */
static const struct {
	const char *metric, *file;
} folio_files[] = {
	{ "folio_alloc", "anon_fault_alloc" },	    { "folio_swpout", "swpout" },
	{ "folio_zswpout", "zswpout" },		    { "folio_swpout_fallback", "swpout_fallback" },
	{ "folio_swpin", "swpin" },		    { "folio_split", "split" },
};

static struct counter folio_counters[COUNT_OF(folio_files)];
static char folio_paths[COUNT_OF(folio_files)][PATH_BYTES];

static struct {
	char *base;
	uint64_t pages, folio_pages;
} run;

static void size_path(char *path, uint64_t bytes, const char *file)
{
	snprintf(path, PATH_BYTES, HUGE_ROOT "/hugepages-%" PRIu64 "kB/%s", bytes / 1024, file);
}

/*
 * Let MADV_HUGEPAGE give the chosen size and no other.  Before Linux 6.8 there
 * are no files by size, and 2 MiB is all there is.
 */
static void choose_size(void)
{
	char path[PATH_BYTES];
	bool by_size = true;

	if (options.allow_resident || options.folio == PAGE_BYTES)
		return;
	for (uint64_t bytes = 2 * PAGE_BYTES; bytes <= PMD_BYTES; bytes *= 2) {
		size_path(path, bytes, "enabled");
		if (kernel_try_write(path, bytes == options.folio ? "madvise" : "never"))
			continue;
		/* Anonymous memory has no order 1. */
		if (bytes == options.folio)
			by_size = false;
	}
	if (by_size)
		return;
	if (options.folio != PMD_BYTES)
		die(STATUS_FAILED, "This kernel has no pages of --folio=%" PRIu64 " bytes; sizes "
		    "other than 2M came with Linux 6.8.", options.folio);
	kernel_write(HUGE_ROOT "/enabled", "madvise");
}

static void prepare(void)
{
	lock_program();
	run.pages = options.size / PAGE_BYTES;
	run.folio_pages = options.folio / PAGE_BYTES;
	choose_size();
	for (size_t i = 0; i < COUNT_OF(folio_files); i++) {
		char file[40];

		snprintf(file, sizeof(file), "stats/%s", folio_files[i].file);
		size_path(folio_paths[i], options.folio, file);
		folio_counters[i] = (struct counter){ .metric = folio_files[i].metric,
						      .path = folio_paths[i] };
	}
}

static uint64_t seed_of(unsigned int round)
{
	return options.seed + ((uint64_t)round << 32);
}

/* The page of each folio that was freed before the folio went out. */
static bool is_hole(uint64_t page)
{
	return options.out == OUT_SPLIT && run.folio_pages > 1 &&
	       page % run.folio_pages == run.folio_pages - 1;
}

static uint64_t kept_pages(void)
{
	bool holes = options.out == OUT_SPLIT && run.folio_pages > 1;

	return run.pages - (holes ? run.pages / run.folio_pages : 0);
}

static void fill(unsigned int round)
{
	run.base = memory_map(options.size, options.folio == PAGE_BYTES ? HUGEPAGES_NEVER :
									   HUGEPAGES_ALWAYS);
	for (uint64_t i = 0; i < run.pages; i++)
		content_fill(&options.content, seed_of(round), i, run.base + i * PAGE_BYTES);
	emit_metric("huge_memory", round, (double)meminfo_bytes("AnonHugePages"));
	for (uint64_t i = 0; i < run.pages; i++)
		if (is_hole(i))
			memory_forget(run.base + i * PAGE_BYTES, PAGE_BYTES);
}

/* A freed page counts as out for mincore, so it is taken off again. */
static uint64_t swapped_pages(void)
{
	return memory_swapped_pages(run.base, run.pages) - (run.pages - kept_pages());
}

static void push_out(unsigned int round)
{
	struct phase phase;
	uint64_t swapped;

	phase_begin(&phase, "out", round);
	memory_pageout(run.base, options.size, options.chunk);
	phase_end(&phase);
	emit_phase_cost(&phase, kept_pages());
	if (!options.allow_resident)
		memory_settle(run.base, run.pages, options.chunk);
	swapped = swapped_pages();
	emit_metric("pages_swapped_out", round, (double)swapped);
	if (!options.allow_resident)
		memory_require_swapped(swapped, kept_pages());
}

static void bring_in(unsigned int round)
{
	struct order order;
	struct phase phase;

	order_init(&order, run.pages, options.order == 1, options.seed);
	phase_begin(&phase, "in", round);
	for (uint64_t i = 0; i < run.pages; i++) {
		uint64_t page = order_at(&order, i);

		if (!is_hole(page))
			memory_touch(run.base, page, ACCESS_READ);
	}
	phase_end(&phase);
	emit_phase_cost(&phase, kept_pages());
}

static void verify(unsigned int round)
{
	uint64_t bad = 0;

	for (uint64_t i = 0; i < run.pages; i++)
		if (!is_hole(i))
			bad += content_verify(&options.content, seed_of(round), i,
					      run.base + i * PAGE_BYTES, 1);
	require_intact(round, kept_pages(), bad);
}

static void check_options(void)
{
	if (options.folio & (options.folio - 1))
		die(STATUS_USAGE, "--folio wants a power of two, not %" PRIu64 ".", options.folio);
}

int main(int argc, char **argv)
{
	workload_begin(argc, argv, TABLE(specs), TABLE(metrics), check_options);
	prepare();
	counters_begin(system_counters, COUNT_OF(system_counters));
	counters_begin(folio_counters, COUNT_OF(folio_counters));
	for (unsigned int round = 1; round <= options.rounds; round++) {
		fill(round);
		push_out(round);
		bring_in(round);
		verify(round);
		memory_unmap(run.base, options.size);
	}
	counters_emit(system_counters, COUNT_OF(system_counters));
	counters_emit(folio_counters, COUNT_OF(folio_counters));
	return workload_end();
}
