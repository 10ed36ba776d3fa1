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
	  .min = PAGE_BYTES, .max = SIZE_MAX_BYTES, .multiple = PAGE_BYTES,
	  .help = "memory pushed out in each cycle" },
	{ .name = "cycles", .type = OPTION_COUNT, .value = &options.cycles, .initial = "16",
	  .min = 1, .max = 10000, .help = "measured cycles, after one more" },
	CONTENT_OPTION(&options.content, "compressible:30"),
	CHUNK_OPTION(&options.chunk, "bytes in memory at a time"),
	SEED_OPTION(&options.seed, "of the content"),
	ALLOW_RESIDENT_OPTION(&options.allow_resident,
			      "go on although pages stay in memory, and leave the swap areas "
			      "alone (for tests)"),
};

static const struct metric_spec metrics[] = {
	METRIC("kernel_memory", "B", LOWER,
	       "Slab, VmallocUsed and Percpu of meminfo after the last swapoff"),
	METRIC("kernel_memory_growth", "B/cycle", LOWER,
	       "what each cycle added to that; about nothing in a kernel that leaks nothing"),
	METRIC("unnamed_memory", "B", LOWER,
	       "memory that no line of meminfo names, single pages taken by the kernel among it"),
	METRIC("unnamed_memory_growth", "B/cycle", LOWER,
	       "what each cycle added to that; per-CPU lists of free pages are in it, so it "
	       "scatters"),
	METRIC("swapoffs", "calls", HIGHER, "times that a swap area was turned off"),
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
	uint64_t pages = options.size / PAGE_BYTES;
	struct filler filler =
		filler_make(memory_map(options.size, HUGEPAGES_NEVER), pages, options.chunk,
			    &options.content, options.seed, options.allow_resident);

	filler.first_index = number * pages;
	filler_fill(&filler, 0, pages);
	filler_settle(&filler, pages);
	filler_require_swapped(&filler, memory_swapped_pages(filler.base, pages), pages);
	memory_unmap(filler.base, options.size);
	all_off();
}

int main(int argc, char **argv)
{
	struct held before, after;
	struct phase phase;

	workload_begin(argc, argv, TABLE(specs), TABLE(metrics), NULL);
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
	emit_metric("kernel_memory", 0, after.named);
	emit_metric("kernel_memory_growth", 0, (after.named - before.named) / (double)options.cycles);
	emit_metric("unnamed_memory", 0, after.unnamed);
	emit_metric("unnamed_memory_growth", 0,
		    (after.unnamed - before.unnamed) / (double)options.cycles);
	emit_metric("swapoffs", 0, (double)run.swapoffs);
	return workload_end();
}
