// SPDX-License-Identifier: GPL-2.0-only
/*
 * Use a part of the swap area, with or without holes, and time swapoff; then
 * touch everything and count the faults that are left to do.
 *
 * What comes in must fit in memory, so the part is given in per cent of the area.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/swap.h>

#include "../common/workload.h"

/* With holes, of two filled pages one is freed. */
#define HOLE_STRIDE 2

static struct {
	uint64_t used, bytes, chunk, seed;
	struct content content;
	bool fragment, allow_resident;
} options;

static const struct option_spec specs[] = {
	{ .name = "used", .type = OPTION_COUNT, .value = &options.used, .initial = "25",
	  .unit = "%", .max = 100, .help = "slots in use at swapoff, of the area" },
	{ .name = "bytes", .type = OPTION_SIZE, .value = &options.bytes, .initial = "0",
	  .max = SIZE_MAX_BYTES, .help = "so many bytes in use instead, 0: go by --used" },
	{ .name = "fragment", .type = OPTION_FLAG, .value = &options.fragment, .initial = "no",
	  .help = "use twice as much first, then free every second page" },
	{ .name = "content", .type = OPTION_CONTENT, .value = &options.content,
	  .initial = "compressible:20", .help = "zero, same:XX, compressible:PERCENT or random" },
	{ .name = "chunk", .type = OPTION_SIZE, .value = &options.chunk, .initial = "2M",
	  .min = PAGE_BYTES, .max = SIZE_MAX_BYTES, .help = "bytes in memory at a time" },
	{ .name = "seed", .type = OPTION_COUNT, .value = &options.seed, .initial = "1",
	  .unit = "", .min = 0, .max = UINT32_MAX, .help = "of the content" },
	{ .name = "allow-resident", .type = OPTION_FLAG, .value = &options.allow_resident,
	  .initial = "no", .help = "go on although pages stay in memory, and leave the swap "
				   "areas alone (for tests)" },
};

static const struct metric_spec metrics[] = {
	{ "swapoff_ns", "ns" }, { "swapoff_cpu_ns", "ns" }, COST_METRICS("after"),
	{ "swapoff_page_ns", "ns/page" }, { "minor_faults", "faults" },
	{ "major_faults", "faults" }, { "pages_swapped_out", "pages" }, { "slots", "pages" },
	{ "slots_used", "pages" },
};

static struct {
	char *base;
	uint64_t pages, kept, stride;
	struct swap_area area;
} run;

static void find_area(void)
{
	struct swap_area areas[8];
	size_t count = swap_areas(areas, COUNT_OF(areas));

	if (options.allow_resident)
		return;
	if (count != 1)
		die(STATUS_FAILED, "There are %zu active swap areas, but exactly one is wanted.",
		    count);
	run.area = areas[0];
}

static void choose_pages(void)
{
	uint64_t free_pages = run.area.slots - run.area.used;
	uint64_t wanted = options.bytes > 0 ? options.bytes / PAGE_BYTES :
					      run.area.slots * options.used / 100;

	run.stride = options.fragment ? HOLE_STRIDE : 1;
	run.kept = wanted;
	run.pages = wanted * run.stride;
	if (options.allow_resident)
		return;
	if (run.pages > free_pages)
		die(STATUS_USAGE, "--used and --fragment ask for %" PRIu64 " slots, but only %" PRIu64
		    " are free: lower --used.", run.pages, free_pages);
	if (run.kept * PAGE_BYTES > meminfo_bytes("MemAvailable") / 10 * 9)
		die(STATUS_USAGE, "swapoff would bring in %" PRIu64 " bytes, but only %" PRIu64
		    " are available: lower --used.", run.kept * PAGE_BYTES,
		    meminfo_bytes("MemAvailable"));
}

static bool is_kept(uint64_t page)
{
	return page % run.stride == run.stride - 1;
}

static void fill(void)
{
	struct filler filler = {
		.base = run.base,
		.pages = run.pages,
		.chunk = options.chunk,
		.content = &options.content,
		.seed = options.seed,
		.allow_resident = options.allow_resident,
	};
	uint64_t swapped;

	filler_fill(&filler, 0, run.pages);
	if (!options.allow_resident)
		memory_settle(run.base, run.pages, options.chunk);
	for (uint64_t i = 0; i < run.pages; i++)
		if (!is_kept(i))
			memory_forget(run.base + i * PAGE_BYTES, PAGE_BYTES);
	swapped = memory_swapped_every(run.base, run.pages, run.stride, run.stride - 1);
	emit_metric("pages_swapped_out", 0, (double)swapped, "pages");
	if (!options.allow_resident)
		memory_require_swapped(swapped, run.kept);
}

static void turn_off(void)
{
	struct phase phase;

	find_area();
	emit_metric("slots", 0, (double)run.area.slots, "pages");
	emit_metric("slots_used", 0, (double)run.area.used, "pages");
	phase_begin(&phase, "swapoff", 0);
	if (!options.allow_resident && swapoff(run.area.path) != 0)
		die(STATUS_FAILED, "swapoff of '%s' failed: %s.", run.area.path, strerror(errno));
	phase_end(&phase);
	emit_metric("swapoff_ns", 0, (double)phase_elapsed_ns(&phase), "ns");
	emit_metric("swapoff_cpu_ns", 0, (double)phase.cpu_ns, "ns");
	if (run.kept > 0)
		emit_metric("swapoff_page_ns", 0,
			    (double)phase_elapsed_ns(&phase) / (double)run.kept, "ns/page");
}

/* All pages are in memory now; a fault shows that one was not mapped back. */
static void touch_after(void)
{
	struct rusage before, after;
	struct phase phase;

	getrusage(RUSAGE_SELF, &before);
	phase_begin(&phase, "after", 0);
	for (uint64_t i = 0; i < run.pages; i++)
		if (is_kept(i))
			memory_touch(run.base, i, ACCESS_READ);
	phase_end(&phase);
	getrusage(RUSAGE_SELF, &after);
	if (run.kept > 0)
		emit_phase_cost(&phase, run.kept);
	emit_metric("minor_faults", 0, (double)(after.ru_minflt - before.ru_minflt), "faults");
	emit_metric("major_faults", 0, (double)(after.ru_majflt - before.ru_majflt), "faults");
}

static void verify(void)
{
	uint64_t bad = 0;

	for (uint64_t i = 0; i < run.pages; i++)
		if (is_kept(i))
			bad += content_verify(&options.content, options.seed, i,
					      run.base + i * PAGE_BYTES, 1);
	require_intact(0, run.kept, bad);
}

int main(int argc, char **argv)
{
	metrics_declare(metrics, COUNT_OF(metrics));
	options_parse_all(argc, argv, specs, COUNT_OF(specs));
	require_page_multiple("chunk", options.chunk);
	require_page_multiple("bytes", options.bytes);
	options_report(specs, COUNT_OF(specs));
	lock_program();
	find_area();
	choose_pages();
	if (run.pages > 0)
		run.base = memory_map(run.pages * PAGE_BYTES, HUGEPAGES_NEVER);
	fill();
	turn_off();
	touch_after();
	verify();
	emit_done();
	return STATUS_OK;
}
