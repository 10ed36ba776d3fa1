// SPDX-License-Identifier: GPL-2.0-only
/*
 * Set up a swap area, fill it in steps, make holes, empty it and take it down,
 * with a mark at each state: the snapshots from which bytes are fitted against
 * slots and entries.  Nothing is timed but swapon and swapoff.
 *
 * The parent owns the swap area and the marks; a child owns the memory, so that
 * "exited" shows what is left when the last page has gone with its process.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <time.h>
#include <unistd.h>

#include "../common/workload.h"

#define SETTLE_NS 200000000L
#define HEADER_UUID_BYTES 16
/* Holes: first every second page goes, then all but one of each cluster's worth. */
#define HOLE_STRIDE 2
#define SPARSE_STRIDE 512
#define HOLE_KEPT 1

enum operation { OP_MAP, OP_FILL, OP_COUNT, OP_THIN, OP_VERIFY };
enum value { VALUE_SWAPPED, VALUE_REPEATS, VALUE_CHECKED, VALUE_BAD };

static struct {
	char area[OPTION_TEXT_BYTES], zram[OPTION_TEXT_BYTES], compressor[OPTION_TEXT_BYTES];
	uint64_t zram_size, bytes, steps, chunk, verify_pages, seed;
	struct content content;
	bool alone, fragment, allow_resident;
} options;

static const struct option_spec specs[] = {
	{ .name = "area", .type = OPTION_TEXT, .value = options.area, .initial = "",
	  .help = "swap file or device, with a swap header and not yet in use" },
	{ .name = "zram", .type = OPTION_TEXT, .value = options.zram, .initial = "",
	  .help = "zram device to set up instead, e.g. zram0" },
	{ .name = "zram-size", .type = OPTION_SIZE, .value = &options.zram_size, .initial = "1G",
	  .min = 16 * PAGE_BYTES, .max = SIZE_MAX_BYTES, .multiple = PAGE_BYTES,
	  .help = "disksize of the zram device" },
	{ .name = "compressor", .type = OPTION_TEXT, .value = options.compressor, .initial = "lz4",
	  .help = "comp_algorithm of the zram device" },
	{ .name = "alone", .type = OPTION_FLAG, .value = &options.alone, .initial = "no",
	  .help = "set up no area: a kernel may keep pages in zswap without one" },
	{ .name = "bytes", .type = OPTION_SIZE, .value = &options.bytes, .initial = "256M",
	  .min = PAGE_BYTES, .max = SIZE_MAX_BYTES, .multiple = PAGE_BYTES,
	  .help = "memory to swap out in all" },
	{ .name = "steps", .type = OPTION_COUNT, .value = &options.steps, .initial = "4", .min = 1,
	  .max = 100, .help = "equal steps, each with a mark" },
	CONTENT_OPTION(&options.content, "compressible:10"),
	CHUNK_OPTION(&options.chunk, "bytes in memory at a time"),
	{ .name = "fragment", .type = OPTION_FLAG, .value = &options.fragment, .initial = "yes",
	  .help = "free every second page and mark that; then all but each 512th, too" },
	{ .name = "verify-pages", .type = OPTION_COUNT, .value = &options.verify_pages,
	  .initial = "4096", .unit = "pages", .max = UINT32_MAX,
	  .help = "compare so many of the pages left, evenly spread, before the memory is "
		  "freed; 0: none" },
	SEED_OPTION(&options.seed, "of the content"),
	ALLOW_RESIDENT_OPTION(&options.allow_resident,
			      "go on although pages stay in memory, even without an area (for "
			      "tests)"),
};

static const struct metric_spec metrics[] = {
	METRIC("slots", "pages", HIGHER,
	       "usable slots of the area by /proc/swaps, 0 without one; the kernel's arrays "
	       "have one more, for the header"),
	METRIC("swapon", "ns", LOWER, "elapsed time of swapon"),
	METRIC("swapped_pages", "pages", HIGHER,
	       "pages out of memory, swap cache included, at the mark of this step (round)"),
	METRIC("slots_used", "pages", HIGHER,
	       "slots in use by /proc/swaps right after that mark; virtual entries do not show "
	       "there"),
	METRIC("fragmented_pages", "pages", HIGHER,
	       "pages out of memory after every second one was freed"),
	METRIC("sparse_pages", "pages", HIGHER,
	       "pages out of memory after all but each 512th were freed"),
	METRIC("pageout_repeats", "calls", LOWER,
	       "further MADV_PAGEOUT calls that it took to get all pages out"),
	METRIC("swapoff", "ns", LOWER, "elapsed time of swapoff of the empty area"),
};

static char area_path[OPTION_TEXT_BYTES + 8];

/* --- the child: memory in swap --- */

static struct filler filler;

static void child_map(void)
{
	filler = filler_make(memory_map(options.bytes, HUGEPAGES_NEVER), options.bytes / PAGE_BYTES,
			     options.chunk, &options.content, options.seed,
			     options.allow_resident);
	/*
	 * Page tables are no cost of swap: have all of them before the first
	 * snapshot, with the zero page in them.  EINVAL: older than Linux 5.14,
	 * then they grow with each step.
	 */
	if (madvise(filler.base, options.bytes, MADV_POPULATE_READ) != 0 && errno != EINVAL)
		die(STATUS_FAILED, "Cannot build page tables: %s.", strerror(errno));
}

static uint64_t step_end(uint64_t step)
{
	return filler.pages * step / options.steps;
}

static void child_fill(uint64_t step, struct reply *reply)
{
	uint64_t end = step_end(step);

	filler_fill(&filler, step_end(step - 1), end);
	reply->values[VALUE_REPEATS] = filler_settle(&filler, end);
	reply->values[VALUE_SWAPPED] = memory_swapped_pages(filler.base, end);
}

/* Keep one page of each @stride. */
static void child_thin(uint64_t stride, struct reply *reply)
{
	for (uint64_t page = 0; page < filler.pages; page++)
		if (page % stride != HOLE_KEPT)
			memory_forget(filler.base + page * PAGE_BYTES, PAGE_BYTES);
	reply->values[VALUE_SWAPPED] =
		memory_swapped_every(filler.base, filler.pages, stride, HOLE_KEPT);
}

/* Each page is dropped once it was compared: so memory may be small. */
static void child_verify(struct reply *reply)
{
	uint64_t stride = options.fragment ? SPARSE_STRIDE : 1;
	uint64_t offset = options.fragment ? HOLE_KEPT : 0;
	uint64_t kept = (filler.pages - offset + stride - 1) / stride;
	uint64_t wanted = options.verify_pages < kept ? options.verify_pages : kept;

	for (uint64_t i = 0; i < wanted; i++) {
		uint64_t page = kept * i / wanted * stride + offset;
		char *at = filler.base + page * PAGE_BYTES;

		reply->values[VALUE_BAD] +=
			content_verify(&options.content, options.seed, page, at, 1);
		memory_forget(at, PAGE_BYTES);
	}
	reply->values[VALUE_CHECKED] = wanted;
}

static void child_operation(unsigned int number, unsigned int operation, uint64_t argument,
			    struct reply *reply)
{
	(void)number;
	switch ((enum operation)operation) {
	case OP_MAP:
		child_map();
		break;
	case OP_FILL:
		child_fill(argument, reply);
		break;
	case OP_COUNT:
		reply->values[VALUE_SWAPPED] = memory_swapped_pages(filler.base, filler.pages);
		break;
	case OP_THIN:
		child_thin(argument, reply);
		break;
	case OP_VERIFY:
		child_verify(reply);
		break;
	}
}

/* --- the parent: the swap area and the marks --- */

#define SLABS "/sys/kernel/slab"

/* Have each slab cache give its free objects back.  Aliases of a cache are links. */
static void shrink_slabs(void)
{
	char path[sizeof(SLABS) + NAME_MAX + sizeof("/shrink")];
	DIR *slabs = opendir(SLABS);
	const struct dirent *entry;

	while (slabs != NULL && (entry = readdir(slabs)) != NULL) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), SLABS "/%s/shrink", entry->d_name);
		kernel_try_write(path, "1");
	}
	if (slabs != NULL)
		closedir(slabs);
}

/*
 * Bring the kernel to a state that two boots share before it is looked at:
 * - sync: no write of the file system is under way with its own allocations;
 * - drop_caches=1: every CPU's batches of pages on their way to or from the LRU
 *   are drained, and the page cache is the same (empty) each time.  Not 2: that
 *   calls the shrinkers of zswap, zsmalloc and THP, so it would change what is
 *   to be counted;
 * - sleep: radix-tree and xarray nodes, slab objects and vmalloc areas are freed
 *   after an RCU grace period or by a worker.  membarrier() would not wait for
 *   one on a single CPU.  On an idle CPU 200 ms are dozens of grace periods, and
 *   under the instruction clock they take no host time;
 * - shrink: /proc/slabinfo takes free objects on the lists of a CPU for active
 *   ones, up to all that were freed last.  No object goes, only free ones do.
 *   What opening those files leaves is freed in another sleep.
 */
static void settle_kernel(void)
{
	const struct timespec time = { .tv_nsec = SETTLE_NS };

	/* A test on somebody's machine must not slow that down. */
	if (options.allow_resident)
		return;
	sync();
	kernel_write("/proc/sys/vm/drop_caches", "1");
	clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
	shrink_slabs();
	clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

static void mark_state(const char *name)
{
	settle_kernel();
	mark(name);
}

static void mark_pages(const char *name, uint64_t pages)
{
	char text[MARK_BYTES];

	snprintf(text, sizeof(text), "%s:%" PRIu64, name, pages);
	mark_state(text);
}

/* Linux's swap header, version 1: what mkswap writes (include/linux/swap.h, union swap_header). */
static void write_header(const char *path, uint64_t bytes)
{
	static union {
		char bytes[PAGE_BYTES];
		struct {
			char boot[1024];
			uint32_t version, last_page, bad_pages;
			unsigned char uuid[HEADER_UUID_BYTES], label[16];
		} info;
	} header;
	static const char magic[] = "SWAPSPACE2";
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	header.info.version = 1;
	header.info.last_page = (uint32_t)(bytes / PAGE_BYTES - 1);
	memcpy(header.bytes + PAGE_BYTES - (sizeof(magic) - 1), magic, sizeof(magic) - 1);
	if (fd < 0)
		die(STATUS_FAILED, "Cannot open %s: %s.", path, strerror(errno));
	if (pwrite(fd, header.bytes, PAGE_BYTES, 0) != PAGE_BYTES || fsync(fd) != 0)
		die(STATUS_FAILED, "Cannot write a swap header to %s: %s.", path, strerror(errno));
	close(fd);
}

static void zram_set(const char *file, const char *text)
{
	char path[OPTION_TEXT_BYTES + 32];

	snprintf(path, sizeof(path), "/sys/block/%s/%s", options.zram, file);
	if (!kernel_try_write(path, text))
		die(STATUS_FAILED, "Cannot write '%s' to %s (%s); the device must be there and not "
		    "set up.", text, path, strerror(errno));
}

static void zram_set_up(void)
{
	char size[24];

	snprintf(size, sizeof(size), "%" PRIu64, options.zram_size);
	zram_set("comp_algorithm", options.compressor);
	zram_set("disksize", size);
	write_header(area_path, options.zram_size);
}

/* The line of our area: a kernel may name it by another path, so it is the one that is new. */
static struct swap_area our_area(void)
{
	struct swap_area areas[8];
	size_t count = swap_areas(areas, COUNT_OF(areas));

	if (count != 1)
		die(STATUS_FAILED, "There are %zu active swap areas where only %s should be: "
		    "set the guest up with hold=yes.", count, area_path);
	return areas[0];
}

static bool has_area(void)
{
	return area_path[0] != '\0';
}

static void area_on(void)
{
	uint64_t begin;

	if (!has_area()) {
		emit_metric("slots", 0, 0);
		return;
	}
	if (options.zram[0] != '\0')
		zram_set_up();
	begin = now_ns();
	if (swapon(area_path, 0) != 0)
		die(STATUS_FAILED, "swapon of %s failed (%s); it wants a swap header (mkswap) and "
		    "must not be in use.", area_path, strerror(errno));
	emit_metric("swapon", 0, (double)(now_ns() - begin));
	emit_metric("slots", 0, (double)our_area().slots);
}

static void area_off(void)
{
	uint64_t begin = now_ns();

	if (!has_area())
		return;
	if (swapoff(area_path) != 0)
		die(STATUS_FAILED, "swapoff of %s failed: %s.", area_path, strerror(errno));
	emit_metric("swapoff", 0, (double)(now_ns() - begin));
	if (options.zram[0] != '\0')
		zram_set("reset", "1");
}

static void emit_used(unsigned int step)
{
	if (has_area())
		emit_metric("slots_used", step, (double)our_area().used);
}

static void fill_steps(struct child *child)
{
	uint64_t pages = options.bytes / PAGE_BYTES, repeats = 0;
	struct reply reply = { .values = { 0 } };

	mark_pages("filled", 0);
	for (unsigned int step = 1; step <= options.steps; step++) {
		reply = child_call(child, OP_FILL, step);
		repeats += reply.values[VALUE_REPEATS];
		if (!options.allow_resident)
			memory_require_swapped(reply.values[VALUE_SWAPPED],
					       pages * step / options.steps);
		emit_metric("swapped_pages", step, (double)reply.values[VALUE_SWAPPED]);
		mark_pages("filled", reply.values[VALUE_SWAPPED]);
		emit_used(step);
	}
	emit_metric("pageout_repeats", 0, (double)repeats);
	/* What was out at the last mark must have been out all the while. */
	if (child_call(child, OP_COUNT, 0).values[VALUE_SWAPPED] < reply.values[VALUE_SWAPPED])
		die(STATUS_FAILED, "Pages came back to memory while a snapshot was taken.");
}

static void fragment(struct child *child)
{
	uint64_t left = child_call(child, OP_THIN, HOLE_STRIDE).values[VALUE_SWAPPED];

	emit_metric("fragmented_pages", 0, (double)left);
	mark_pages("fragmented", left);
	left = child_call(child, OP_THIN, SPARSE_STRIDE).values[VALUE_SWAPPED];
	emit_metric("sparse_pages", 0, (double)left);
	mark_pages("sparse", left);
}

/* After the last state that needs pages out: comparing brings them in. */
static void verify(struct child *child)
{
	struct reply reply = child_call(child, OP_VERIFY, 0);

	require_intact(0, reply.values[VALUE_CHECKED], reply.values[VALUE_BAD]);
}

static void check_options(void)
{
	if (options.bytes / PAGE_BYTES < options.steps)
		die(STATUS_USAGE, "There are fewer pages (%" PRIu64 ") than --steps.",
		    options.bytes / PAGE_BYTES);
	if (options.area[0] != '\0' && options.zram[0] != '\0')
		die(STATUS_USAGE, "--area and --zram name two swap areas; give one of them.");
	if (options.zram[0] != '\0')
		snprintf(area_path, sizeof(area_path), "/dev/%s", options.zram);
	else
		memcpy(area_path, options.area, sizeof(options.area));
	if (has_area() && options.alone)
		die(STATUS_USAGE, "--alone=yes is for no swap area; leave --area and --zram out.");
	if (!has_area() && !options.alone && !options.allow_resident)
		die(STATUS_USAGE, "--area=PATH or --zram=NAME must say what to swap to.");
	if (has_area() && access(area_path, F_OK) != 0)
		die(STATUS_USAGE, "There is no %s to swap to.", area_path);
}

int main(int argc, char **argv)
{
	struct child child;

	workload_begin(argc, argv, TABLE(specs), TABLE(metrics), check_options);
	lock_program();
	/*
	 * The first look at each file allocates what stays: inodes, dentries and
	 * pages of slab caches, in the middle of that sample.
	 */
	mark_state("warm-up");
	mark_state("before");
	area_on();
	mark_state("swapon");
	child_start(&child, 0, child_operation);
	child_call(&child, OP_MAP, 0);
	fill_steps(&child);
	if (options.fragment)
		fragment(&child);
	if (options.verify_pages > 0)
		verify(&child);
	child_stop(&child);
	mark_state("exited");
	area_off();
	mark_state("swapoff");
	return workload_end();
}
