// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory that the kernel still holds after swapoff, when all it was for is gone.
 *
 * Each cycle fills memory, pushes it out, frees it, and turns swap off and on.  A
 * kernel that gives everything back is after many cycles where it was after the
 * first; what one cycle leaks shows as often as there are cycles.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/swap.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "../common/workload.h"

#define AREAS_MAX 8

static struct {
	uint64_t size, chunk, cycles, seed;
	bool allow_resident;
	struct content content;
} options;

static const struct option_spec specs[] = {
	{ .name = "size", .type = OPTION_SIZE, .value = &options.size, .initial = "64M",
	  .min = PAGE_BYTES, .max = SIZE_MAX_BYTES, .help = "memory pushed out in each cycle" },
	{ .name = "cycles", .type = OPTION_COUNT, .value = &options.cycles, .initial = "16",
	  .unit = "", .min = 1, .max = 10000, .help = "measured cycles, after one more" },
	{ .name = "content", .type = OPTION_CONTENT, .value = &options.content,
	  .initial = "compressible:30", .help = "zero, same:XX, compressible:PERCENT or random" },
	{ .name = "chunk", .type = OPTION_SIZE, .value = &options.chunk, .initial = "2M",
	  .min = PAGE_BYTES, .max = SIZE_MAX_BYTES, .help = "bytes in memory at a time" },
	{ .name = "seed", .type = OPTION_COUNT, .value = &options.seed, .initial = "1",
	  .unit = "", .min = 0, .max = UINT32_MAX, .help = "of the content" },
	{ .name = "allow-resident", .type = OPTION_FLAG, .value = &options.allow_resident,
	  .initial = "no",
	  .help = "go on although pages stay in memory, and leave the swap areas alone (for tests)" },
};

static const struct metric_spec metrics[] = {
	{ "kernel_bytes", "B" }, { "growth_bytes", "B/cycle" }, { "unnamed_bytes", "B" },
	{ "unnamed_growth_bytes", "B/cycle" }, { "swapoffs", "calls" },
};

static struct {
	struct swap_area areas[AREAS_MAX];
	size_t count;
	uint64_t swapoffs;
} run;

/* What the kernel holds: by its own name for it, and what has no name in meminfo. */
struct held {
	double named, unnamed;
};

static struct held read_held(void)
{
	double named = (double)meminfo_bytes("Slab") + (double)meminfo_bytes("VmallocUsed") +
		       (double)meminfo_bytes("Percpu");
	double known = named + (double)meminfo_bytes("MemFree") + (double)meminfo_bytes("Buffers") +
		       (double)meminfo_bytes("Cached") + (double)meminfo_bytes("SwapCached") +
		       (double)meminfo_bytes("AnonPages") + (double)meminfo_bytes("PageTables") +
		       (double)meminfo_bytes("KernelStack");
	struct sysinfo info;

	if (sysinfo(&info) != 0)
		die(STATUS_FAILED, "sysinfo failed: %s.", strerror(errno));
	return (struct held){ named, (double)info.totalram * info.mem_unit - known };
}

/* Without what it keeps only as long as nobody wants the memory. */
static struct held settled(void)
{
	if (!options.allow_resident) {
		sync();
		kernel_write("/proc/sys/vm/drop_caches", "3");
	}
	return read_held();
}

static void all_off(void)
{
	for (size_t i = 0; i < run.count && !options.allow_resident; i++) {
		if (swapoff(run.areas[i].path) != 0)
			die(STATUS_FAILED, "swapoff of '%s' failed: %s.", run.areas[i].path,
			    strerror(errno));
		run.swapoffs++;
	}
}

static void all_on(void)
{
	for (size_t i = 0; i < run.count && !options.allow_resident; i++)
		if (swapon(run.areas[i].path, 0) != 0)
			die(STATUS_FAILED, "swapon of '%s' failed: %s.", run.areas[i].path,
			    strerror(errno));
}

/* Ends with swap off. */
static void cycle(uint64_t number)
{
	struct filler filler = { .pages = options.size / PAGE_BYTES, .chunk = options.chunk,
				 .content = &options.content, .seed = options.seed,
				 .first_index = number * (options.size / PAGE_BYTES),
				 .allow_resident = options.allow_resident };

	filler.base = memory_map(options.size, HUGEPAGES_NEVER);
	filler_fill(&filler, 0, filler.pages);
	if (!options.allow_resident) {
		memory_settle(filler.base, filler.pages, options.chunk);
		memory_require_swapped(memory_swapped_pages(filler.base, filler.pages),
				       filler.pages);
	}
	memory_unmap(filler.base, options.size);
	all_off();
}

int main(int argc, char **argv)
{
	struct held before, after;
	struct phase phase;

	metrics_declare(metrics, COUNT_OF(metrics));
	options_parse_all(argc, argv, specs, COUNT_OF(specs));
	require_page_multiple("size", options.size);
	require_page_multiple("chunk", options.chunk);
	options_report(specs, COUNT_OF(specs));
	lock_program();
	run.count = swap_areas(run.areas, AREAS_MAX);
	if (run.count == 0 && !options.allow_resident)
		die(STATUS_FAILED, "There is no swap area.");
	/* What is allocated once, at first use, is no leak. */
	cycle(0);
	before = settled();
	phase_begin(&phase, "cycles", 0);
	for (uint64_t i = 1; i <= options.cycles; i++) {
		all_on();
		cycle(i);
	}
	phase_end(&phase);
	after = settled();
	emit_metric("kernel_bytes", 0, after.named, "B");
	emit_metric("growth_bytes", 0, (after.named - before.named) / (double)options.cycles,
		    "B/cycle");
	emit_metric("unnamed_bytes", 0, after.unnamed, "B");
	emit_metric("unnamed_growth_bytes", 0,
		    (after.unnamed - before.unnamed) / (double)options.cycles, "B/cycle");
	emit_metric("swapoffs", 0, (double)run.swapoffs, "calls");
	emit_done();
	return STATUS_OK;
}
