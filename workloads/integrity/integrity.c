// SPDX-License-Identifier: GPL-2.0-only
/*
 * All ways of a page through swap, mixed by chance from a seed: written, pushed
 * out, read, freed, shared by fork and copied, huge and small, under memcgs that
 * are made and removed, with swapoff in the middle.  Nothing is timed; every byte
 * is compared, over and over.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/workload.h"

#define PROCS_MAX 16
#define PATH_BYTES 192
#define RANGE_MAX 512 /* pages that one step works on */
#define HUGE_PAGES 512

enum operation { OP_MAP, OP_STEPS, OP_VERIFY };
enum value { VALUE_CHECKED, VALUE_BAD };
enum step { STEP_WRITE, STEP_OUT, STEP_CHECK, STEP_DROP, STEP_FORK, STEP_HUGE, STEPS };

static struct {
	uint64_t size, procs, cycles, steps, seed;
	struct content content;
	char groups[OPTION_TEXT_BYTES];
	bool swapoff, allow_resident;
} options;

static const struct option_spec specs[] = {
	{ .name = "size", .type = OPTION_SIZE, .value = &options.size, .initial = "16M",
	  .min = UINT64_C(4) << 20, .max = SIZE_MAX_BYTES, .multiple = HUGE_PAGES * PAGE_BYTES,
	  .help = "memory of each process" },
	{ .name = "procs", .type = OPTION_COUNT, .value = &options.procs, .initial = "2", .min = 1,
	  .max = PROCS_MAX, .help = "processes, each in a memcg of its own" },
	{ .name = "cycles", .type = OPTION_COUNT, .value = &options.cycles, .initial = "4",
	  .min = 1, .max = 100000, .help = "memcgs that each process goes through" },
	{ .name = "steps", .type = OPTION_COUNT, .value = &options.steps, .initial = "60",
	  .min = 1, .max = 1000000, .help = "steps in each of them" },
	CONTENT_OPTION(&options.content, "compressible:30"),
	{ .name = "groups", .type = OPTION_TEXT, .value = options.groups,
	  .initial = "/sys/fs/cgroup", .help = "where the memcgs are made" },
	{ .name = "swapoff", .type = OPTION_FLAG, .value = &options.swapoff, .initial = "yes",
	  .help = "turn swap off and on in each cycle while the processes run" },
	SEED_OPTION(&options.seed, "of content and steps"),
	ALLOW_RESIDENT_OPTION(&options.allow_resident,
			      "make no memcg and leave swap alone (for tests)"),
};

static const struct metric_spec metrics[] = {
	METRIC("pages_verified", "pages", HIGHER, "pages compared in all"),
	METRIC("swapoffs", "calls", HIGHER, "times that a swap area was turned off and on again"),
	METRIC("swapoffs_refused", "calls", LOWER, "times that swapoff found too little memory"),
};

/* --- a process --- */

static struct {
	unsigned int number;
	char *base;
	uint64_t pages, random;
	uint32_t *generations; /* of each page's content; 0: never written, all zeroes */
	uint32_t latest;
} mine;

static uint64_t next_random(uint64_t below)
{
	mine.random ^= mine.random << 13;
	mine.random ^= mine.random >> 7;
	mine.random ^= mine.random << 17;
	return (mine.random >> 11) % below;
}

static uint64_t seed_of(uint32_t generation)
{
	return options.seed + ((uint64_t)mine.number << 56) + ((uint64_t)generation << 24);
}

static void map(unsigned int number)
{
	mine.number = number;
	mine.pages = options.size / PAGE_BYTES;
	mine.random = (options.seed + number + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
	mine.generations = memory_map_locked(mine.pages * sizeof(*mine.generations));
	mine.base = memory_map(options.size, HUGEPAGES_NEVER);
}

static void write_range(uint64_t first, uint64_t pages)
{
	mine.latest++;
	for (uint64_t i = first; i < first + pages; i++) {
		content_fill(&options.content, seed_of(mine.latest), i,
			     mine.base + i * PAGE_BYTES);
		mine.generations[i] = mine.latest;
	}
}

static uint64_t check_page(uint64_t page)
{
	static const uint64_t zeroes[PAGE_WORDS];
	const char *at = mine.base + page * PAGE_BYTES;

	if (mine.generations[page] != 0)
		return content_verify(&options.content, seed_of(mine.generations[page]), page,
				      at, 1);
	return memcmp(at, zeroes, PAGE_BYTES) != 0;
}

static uint64_t check_range(uint64_t first, uint64_t pages)
{
	uint64_t bad = 0;

	for (uint64_t i = first; i < first + pages; i++)
		bad += check_page(i);
	return bad;
}

static void push_out(uint64_t first, uint64_t pages)
{
	memory_pageout(mine.base + first * PAGE_BYTES, pages * PAGE_BYTES, pages * PAGE_BYTES);
}

static void drop(uint64_t first, uint64_t pages)
{
	memory_forget(mine.base + first * PAGE_BYTES, pages * PAGE_BYTES);
	memset(&mine.generations[first], 0, pages * sizeof(*mine.generations));
}

/* The child of the child: sees the same, writes its own, and sends that through swap. */
static _Noreturn void run_forked(uint64_t first, uint64_t pages)
{
	uint64_t bad = check_range(first, pages / 2);

	push_out(first, pages);
	mine.latest += 1u << 20;
	write_range(first, pages);
	push_out(first, pages);
	bad += check_range(first, pages);
	_exit(bad > 0 ? STATUS_CORRUPT : STATUS_OK);
}

/* The generations are private to each process: the child's own do not reach the parent. */
static uint64_t fork_step(uint64_t first, uint64_t pages)
{
	pid_t pid = fork();
	uint64_t bad;
	int status;

	if (pid < 0)
		die(STATUS_FAILED, "Cannot fork: %s.", strerror(errno));
	if (pid == 0)
		run_forked(first, pages);
	bad = check_range(first, pages);
	push_out(first, pages);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die(STATUS_FAILED, "waitpid failed: %s.", strerror(errno));
	if (WIFSIGNALED(status))
		die(STATUS_FAILED, "A forked process was killed by signal %d.", WTERMSIG(status));
	if (WEXITSTATUS(status) == STATUS_CORRUPT)
		bad++;
	else if (WEXITSTATUS(status) != STATUS_OK)
		die(STATUS_FAILED, "A forked process ended with status %d.", WEXITSTATUS(status));
	return bad + check_range(first, pages);
}

/* A huge page if the kernel has one to give; half of it goes out, which splits it. */
static uint64_t huge_step(uint64_t near)
{
	uint64_t first = near / HUGE_PAGES * HUGE_PAGES;
	char *at = mine.base + first * PAGE_BYTES;
	uint64_t bad;

	if (first + HUGE_PAGES > mine.pages)
		return 0;
	drop(first, HUGE_PAGES);
	/* EINVAL: no huge pages in this kernel; then it is one more write. */
	if (madvise(at, HUGE_PAGES * PAGE_BYTES, MADV_HUGEPAGE) != 0 && errno != EINVAL)
		die(STATUS_FAILED, "MADV_HUGEPAGE failed: %s.", strerror(errno));
	write_range(first, HUGE_PAGES);
	push_out(first, next_random(2) == 0 ? HUGE_PAGES : HUGE_PAGES / 2);
	bad = check_range(first + HUGE_PAGES / 4, HUGE_PAGES / 2);
	if (madvise(at, HUGE_PAGES * PAGE_BYTES, MADV_NOHUGEPAGE) != 0 && errno != EINVAL)
		die(STATUS_FAILED, "MADV_NOHUGEPAGE failed: %s.", strerror(errno));
	return bad;
}

static void one_step(struct reply *reply)
{
	uint64_t pages = 1 + next_random(RANGE_MAX);
	uint64_t first = next_random(mine.pages - pages);

	switch ((enum step)next_random(STEPS)) {
	case STEP_WRITE:
		write_range(first, pages);
		break;
	case STEP_OUT:
		push_out(first, pages);
		break;
	case STEP_CHECK:
		reply->values[VALUE_BAD] += check_range(first, pages);
		reply->values[VALUE_CHECKED] += pages;
		break;
	case STEP_DROP:
		drop(first, pages);
		break;
	case STEP_FORK:
		reply->values[VALUE_BAD] += fork_step(first, pages);
		reply->values[VALUE_CHECKED] += 2 * pages;
		break;
	case STEP_HUGE:
		reply->values[VALUE_BAD] += huge_step(first);
		break;
	case STEPS:
		break;
	}
}

static void child_operation(unsigned int number, unsigned int operation, uint64_t argument,
			    struct reply *reply)
{
	(void)argument;
	switch ((enum operation)operation) {
	case OP_MAP:
		map(number);
		break;
	case OP_STEPS:
		for (uint64_t i = 0; i < options.steps; i++)
			one_step(reply);
		break;
	case OP_VERIFY:
		reply->values[VALUE_BAD] = check_range(0, mine.pages);
		reply->values[VALUE_CHECKED] = mine.pages;
		break;
	}
}

/* --- the parent: memcgs, swapoff, and the count of what was compared --- */

static struct child children[PROCS_MAX];
static uint64_t verified, swapoffs, swapoffs_refused;

static void group_path(char *path, uint64_t cycle, uint64_t number, const char *file)
{
	snprintf(path, PATH_BYTES, "%s/integrity-%" PRIu64 "-%" PRIu64 "%s%s", options.groups,
		 cycle, number, file[0] != '\0' ? "/" : "", file);
}

/* memory.high, not memory.max: reclaim that cannot keep up must slow us down, not kill. */
static void group_limit(uint64_t cycle, uint64_t number, bool limited)
{
	char path[PATH_BYTES], text[24] = "max";

	if (limited)
		snprintf(text, sizeof(text), "%" PRIu64, options.size / 2);
	group_path(path, cycle, number, "memory.high");
	kernel_write(path, text);
}

static void group_make(uint64_t cycle, uint64_t number)
{
	char path[PATH_BYTES], pid[16];

	group_path(path, cycle, number, "");
	if (mkdir(path, 0755) != 0)
		die(STATUS_FAILED, "Cannot make the memcg %s: %s.", path, strerror(errno));
	group_limit(cycle, number, true);
	group_path(path, cycle, number, "cgroup.procs");
	snprintf(pid, sizeof(pid), "%d", children[number].pid);
	kernel_write(path, pid);
}

/* Its process has moved on, but the pages and swap entries that it charged are still there. */
static void group_remove(uint64_t cycle, uint64_t number)
{
	char path[PATH_BYTES];

	group_path(path, cycle, number, "");
	if (rmdir(path) != 0)
		die(STATUS_FAILED, "Cannot remove the memcg %s: %s.", path, strerror(errno));
}

static void next_groups(uint64_t cycle)
{
	if (options.allow_resident)
		return;
	for (uint64_t i = 0; i < options.procs; i++) {
		group_make(cycle, i);
		if (cycle > 0)
			group_remove(cycle - 1, i);
	}
}

/* Without swap the limits could not be kept, and would only throttle; so they are lifted. */
static void swap_off_and_on(uint64_t cycle)
{
	struct swap_area areas[8];
	size_t count = swap_areas(areas, COUNT_OF(areas));

	if (options.allow_resident || !options.swapoff)
		return;
	for (uint64_t i = 0; i < options.procs; i++)
		group_limit(cycle, i, false);
	for (size_t i = 0; i < count; i++) {
		if (swapoff(areas[i].path) != 0) {
			if (errno != ENOMEM)
				die(STATUS_FAILED, "swapoff of '%s' failed: %s.", areas[i].path,
				    strerror(errno));
			swapoffs_refused++;
			continue;
		}
		swapoffs++;
		if (swapon(areas[i].path, 0) != 0)
			die(STATUS_FAILED, "swapon of '%s' failed: %s.", areas[i].path,
			    strerror(errno));
	}
	for (uint64_t i = 0; i < options.procs; i++)
		group_limit(cycle, i, true);
}

static void require_good(struct reply sum)
{
	verified += sum.values[VALUE_CHECKED];
	if (sum.values[VALUE_BAD] == 0)
		return;
	emit_verify(0, verified, sum.values[VALUE_BAD]);
	die(STATUS_CORRUPT, "%" PRIu64 " pages are corrupt.", sum.values[VALUE_BAD]);
}

static void run_cycle(uint64_t cycle)
{
	struct reply sum = { .values = { 0 } };
	char text[MARK_BYTES];

	next_groups(cycle);
	for (uint64_t i = 0; i < options.procs; i++)
		child_send(&children[i], OP_STEPS, 0);
	swap_off_and_on(cycle);
	for (uint64_t i = 0; i < options.procs; i++) {
		struct reply reply = child_receive(&children[i]);

		sum.values[VALUE_CHECKED] += reply.values[VALUE_CHECKED];
		sum.values[VALUE_BAD] += reply.values[VALUE_BAD];
	}
	require_good(sum);
	snprintf(text, sizeof(text), "cycle:%" PRIu64, cycle + 1);
	mark(text);
}

int main(int argc, char **argv)
{
	workload_begin(argc, argv, TABLE(specs), TABLE(metrics), NULL);
	lock_program();
	for (unsigned int i = 0; i < options.procs; i++)
		child_start(&children[i], i, child_operation);
	children_call(children, options.procs, OP_MAP, 0);
	for (uint64_t cycle = 0; cycle < options.cycles; cycle++)
		run_cycle(cycle);
	require_good(children_call(children, options.procs, OP_VERIFY, 0));
	emit_verify(0, verified, 0);
	for (unsigned int i = 0; i < options.procs; i++) {
		child_stop(&children[i]);
		if (!options.allow_resident)
			group_remove(options.cycles - 1, i);
	}
	emit_metric("pages_verified", 0, (double)verified);
	emit_metric("swapoffs", 0, (double)swapoffs);
	emit_metric("swapoffs_refused", 0, (double)swapoffs_refused);
	return workload_end();
}
