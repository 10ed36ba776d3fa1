// SPDX-License-Identifier: GPL-2.0-only
/*
 * Use a part of the swap area, with or without holes, and time swapoff; then
 * touch everything and count the faults that are left to do.
 *
 * What comes in must fit in memory, so the part is given in per cent of the area.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/swap.h>
#include <unistd.h>

#include "../common/workload.h"

/* With holes, of two filled pages one is freed. */
#define HOLE_STRIDE 2

static struct {
	uint64_t used, bytes, chunk, seed;
	struct content content;
	bool fragment, hibernate, allow_resident;
} options;

static const struct option_spec specs[] = {
	{ .name = "used", .type = OPTION_COUNT, .value = &options.used, .initial = "25",
	  .unit = "%", .max = 100, .help = "slots in use at swapoff, of the area" },
	{ .name = "bytes", .type = OPTION_SIZE, .value = &options.bytes, .initial = "0",
	  .max = SIZE_MAX_BYTES, .multiple = PAGE_BYTES,
	  .help = "so many bytes in use instead, 0: go by --used" },
	{ .name = "fragment", .type = OPTION_FLAG, .value = &options.fragment, .initial = "no",
	  .help = "use twice as much first, then free every second page" },
	{ .name = "hibernate", .type = OPTION_FLAG, .value = &options.hibernate, .initial = "no",
	  .help = "hibernate and resume before swapoff: a back-end with hibernation=yes" },
	CONTENT_OPTION(&options.content, "compressible:20"),
	CHUNK_OPTION(&options.chunk, "bytes in memory at a time"),
	SEED_OPTION(&options.seed, "of the content"),
	ALLOW_RESIDENT_OPTION(&options.allow_resident,
			      "go on although pages stay in memory, and leave the swap areas "
			      "alone (for tests)"),
};

static const struct metric_spec metrics[] = {
	METRIC("swapoff", "ns", LOWER, "elapsed time of swapoff"),
	METRIC("swapoff_cpu", "ns", LOWER, "CPU time of the program in swapoff"),
	BUSY_METRIC("swapoff", "ns", "in swapoff"),
	COST_METRICS("after", "of the touches afterwards for each page",
		     "the program for the same"),
	METRIC("swapoff_per_page", "ns/page", LOWER,
	       "elapsed time of swapoff for each page that was out; not with used=0"),
	METRIC("minor_faults", "faults", LOWER, "minor faults of the touches"),
	METRIC("major_faults", "faults", LOWER, "major faults of the touches"),
	METRIC("pages_swapped_out", "pages", HIGHER,
	       "pages out of memory, swap cache included, before swapoff"),
	METRIC("slots", "pages", HIGHER, "usable slots of the area"),
	METRIC("slots_used", "pages", HIGHER,
	       "slots in use before swapoff, by /proc/swaps; virtual entries do not show there"),
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
	struct filler filler = filler_make(run.base, run.pages, options.chunk, &options.content,
					   options.seed, options.allow_resident);
	uint64_t swapped;

	filler_fill(&filler, 0, run.pages);
	filler_settle(&filler, run.pages);
	for (uint64_t i = 0; i < run.pages; i++)
		if (!is_kept(i))
			memory_forget(run.base + i * PAGE_BYTES, PAGE_BYTES);
	swapped = memory_swapped_every(run.base, run.pages, run.stride, run.stride - 1);
	emit_metric("pages_swapped_out", 0, (double)swapped);
	filler_require_swapped(&filler, swapped, run.kept);
}

/* Returns once the image was written, read again and resumed from. */
static void hibernate(void)
{
	static const char path[] = "/sys/power/state";
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		die(STATUS_USAGE, "'%s' cannot be opened (%s): hibernate=yes needs a back-end with "
		    "hibernation=yes.", path, strerror(errno));
	if (write(fd, "disk", 4) != 4)
		die(STATUS_FAILED, "The kernel did not hibernate: %s.", strerror(errno));
	close(fd);
}

static void turn_off(void)
{
	struct phase phase;

	find_area();
	emit_metric("slots", 0, (double)run.area.slots);
	emit_metric("slots_used", 0, (double)run.area.used);
	phase_begin(&phase, "swapoff", 0);
	if (!options.allow_resident && swapoff(run.area.path) != 0)
		die(STATUS_FAILED, "swapoff of '%s' failed: %s.", run.area.path, strerror(errno));
	phase_end(&phase);
	emit_phase_cost(&phase, 1);
	if (run.kept > 0)
		emit_metric("swapoff_per_page", 0,
			    (double)phase_elapsed_ns(&phase) / (double)run.kept);
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
	emit_metric("minor_faults", 0, (double)(after.ru_minflt - before.ru_minflt));
	emit_metric("major_faults", 0, (double)(after.ru_majflt - before.ru_majflt));
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
	workload_begin(argc, argv, TABLE(specs), TABLE(metrics), NULL);
	take_cpu(0);
	lock_program();
	find_area();
	choose_pages();
	if (run.pages > 0)
		run.base = memory_map(run.pages * PAGE_BYTES, HUGEPAGES_NEVER);
	fill();
	if (options.hibernate)
		hibernate();
	turn_off();
	touch_after();
	verify();
	return workload_end();
}
