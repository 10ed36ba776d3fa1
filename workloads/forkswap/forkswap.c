// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes that share swapped-out pages: fork copies swap entries and counts
 * them, reading brings pages in for each of them, writing copies, and the last
 * one out frees the slot.
 *
 * This process is the owner: it fills the memory, pushes it out and forks the
 * sharers.  Its own "exit" is to unmap the memory, so that it can be first,
 * last or in between.
 */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "../common/workload.h"

#define PROCS_MAX 64

enum operation { OP_READ, OP_WRITE, OP_VERIFY, OP_CPU };
enum value { VALUE_BAD, VALUE_CPU_NS };
enum exit_order { EXIT_OWNER_FIRST, EXIT_OWNER_LAST, EXIT_REVERSE };
enum sharing { SHARING_NONE, SHARING_READ, SHARING_WRITE };

static const char *const exit_choices[] = { "owner-first", "owner-last", "reverse", NULL };
static const char *const sharing_choices[] = { "none", "read", "write", NULL };

static struct {
	uint64_t size, procs, chunk, seed;
	struct content content;
	unsigned int access, exit_order;
	bool allow_resident;
} options;

static const struct option_spec specs[] = {
	{ .name = "size", .type = OPTION_SIZE, .value = &options.size, .initial = "32M",
	  .min = PAGE_BYTES, .max = SIZE_MAX_BYTES, .multiple = PAGE_BYTES,
	  .help = "memory that all share" },
	{ .name = "procs", .type = OPTION_COUNT, .value = &options.procs, .initial = "3", .min = 1,
	  .max = PROCS_MAX, .help = "processes beside the owner" },
	{ .name = "access", .type = OPTION_CHOICE, .value = &options.access, .initial = "write",
	  .choices = sharing_choices,
	  .help = "none: leave it in swap; read: all read it; write: then each writes its own" },
	{ .name = "exit-order", .type = OPTION_CHOICE, .value = &options.exit_order,
	  .initial = "owner-first", .choices = exit_choices,
	  .help = "owner-first, owner-last, or reverse: last forked first, then the owner" },
	CONTENT_OPTION(&options.content, "compressible:30"),
	CHUNK_OPTION(&options.chunk, "bytes for each MADV_PAGEOUT call"),
	SEED_OPTION(&options.seed, "of the content"),
	ALLOW_RESIDENT_OPTION(&options.allow_resident,
			      "go on although pages stay in memory (for tests)"),
};

static const struct metric_spec metrics[] = {
	COST_METRICS("fork",
		     "of the forks for each swapped page of each sharer; sharers may start to "
		     "run in it", "the owner for the same"),
	COST_METRICS("read", "for each page that each sharer reads",
		     "the sharers and the owner for the same"),
	COST_METRICS("write", "for each page that each sharer writes, copying it",
		     "the sharers and the owner for the same"),
	COST_METRICS("exit", "until all are gone for each page of each process",
		     "the same, the processes' own end included"),
	METRIC("pages_swapped_out", "pages", HIGHER,
	       "pages out of memory, swap cache included, at the fork"),
};

static struct {
	char *base;
	uint64_t pages;
} run;

static struct child children[PROCS_MAX];

static void read_all(void)
{
	for (uint64_t i = 0; i < run.pages; i++)
		memory_touch(run.base, i, ACCESS_READ);
}

/* The last word of each page becomes the writer's own: so every page is copied. */
static uint64_t own_word(unsigned int number, uint64_t page)
{
	return ~(((uint64_t)number + 1) << 48 | page);
}

static uint64_t *last_word(uint64_t page)
{
	return (uint64_t *)(run.base + (page + 1) * PAGE_BYTES) - 1;
}

static void write_all(unsigned int number)
{
	for (uint64_t i = 0; i < run.pages; i++)
		*last_word(i) = own_word(number, i);
}

/* What this process must see: the common content, with its own last words if it wrote them. */
static uint64_t count_bad(unsigned int number)
{
	static uint64_t expected[PAGE_WORDS];
	uint64_t bad = 0;

	for (uint64_t i = 0; i < run.pages; i++) {
		bool wrong = false;

		content_fill(&options.content, options.seed, i, expected);
		if (options.access == SHARING_WRITE && number < PROCS_MAX)
			expected[PAGE_WORDS - 1] = own_word(number, i);
		for (size_t j = 0; j < PAGE_WORDS; j++)
			wrong |= ((uint64_t *)(run.base + i * PAGE_BYTES))[j] != expected[j];
		bad += wrong;
	}
	return bad;
}

static void child_operation(unsigned int number, unsigned int operation, uint64_t argument,
			    struct reply *reply)
{
	(void)argument;
	switch ((enum operation)operation) {
	case OP_READ:
		read_all();
		break;
	case OP_WRITE:
		write_all(number);
		break;
	case OP_VERIFY:
		reply->values[VALUE_BAD] = count_bad(number);
		break;
	case OP_CPU:
		reply->values[VALUE_CPU_NS] = cpu_ns();
		break;
	}
}

/* --- the owner --- */

static void fill_and_push(bool measured)
{
	struct filler filler;
	uint64_t swapped;

	run.base = memory_map(options.size, HUGEPAGES_NEVER);
	filler = filler_make(run.base, run.pages, options.chunk, &options.content, options.seed,
			     options.allow_resident);
	filler_fill(&filler, 0, run.pages);
	filler_settle(&filler, run.pages);
	swapped = memory_swapped_pages(run.base, run.pages);
	if (measured)
		emit_metric("pages_swapped_out", 0, (double)swapped);
	filler_require_swapped(&filler, swapped, run.pages);
}

/* Costs of all processes are for each page of each of them. */
static uint64_t shared_pages(void)
{
	return run.pages * options.procs;
}

static void fork_sharers(void)
{
	for (unsigned int i = 0; i < options.procs; i++)
		child_start_sharing(&children[i], i, child_operation, run.base, options.size);
}

/* One after another: then it is known who finds a page in swap and who in memory. */
static void in_turn(const char *name, enum operation operation)
{
	uint64_t spent = 0;
	struct phase phase;

	phase_begin(&phase, name, 0);
	for (unsigned int i = 0; i < options.procs; i++)
		spent += child_call(&children[i], operation, 0).cpu_ns;
	phase_stop(&phase);
	phase_finish(&phase, spent);
	emit_phase_cost(&phase, shared_pages());
}

static void verify(void)
{
	/* The owner wrote nothing after the fork: it must see none of the others' words. */
	uint64_t bad = count_bad(PROCS_MAX);

	for (unsigned int i = 0; i < options.procs; i++)
		bad += child_call(&children[i], OP_VERIFY, 0).values[VALUE_BAD];
	require_intact(0, run.pages * (options.procs + 1), bad);
}

static void leave(void)
{
	if (options.exit_order == EXIT_OWNER_FIRST)
		memory_unmap(run.base, options.size);
	for (unsigned int i = 0; i < options.procs; i++) {
		uint64_t last = options.procs - 1;

		child_stop(&children[options.exit_order == EXIT_REVERSE ? last - i : i]);
	}
	if (options.exit_order != EXIT_OWNER_FIRST)
		memory_unmap(run.base, options.size);
}

/* The whole life's CPU time of the children that are gone. */
static uint64_t gone_cpu_ns(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_CHILDREN, &usage) != 0)
		die(STATUS_FAILED, "getrusage failed: %s.", strerror(errno));
	return ((uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec) * 1000000000 +
	       ((uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec) * 1000;
}

/* A child cannot say what its own end cost: so its life less what it had used before. */
static void measured_exit(void)
{
	struct reply lived = children_call(children, options.procs, OP_CPU, 0);
	uint64_t before = gone_cpu_ns() + lived.values[VALUE_CPU_NS];
	struct phase phase;
	uint64_t after;

	phase_begin(&phase, "exit", 0);
	leave();
	phase_stop(&phase);
	after = gone_cpu_ns();
	phase_finish(&phase, after > before ? after - before : 0);
	emit_phase_cost(&phase, run.pages * (options.procs + 1));
}

static void measured_cycle(void)
{
	struct phase phase;

	fill_and_push(true);
	phase_begin(&phase, "fork", 0);
	fork_sharers();
	phase_end(&phase);
	emit_phase_cost(&phase, shared_pages());
	if (options.access != SHARING_NONE)
		in_turn("read", OP_READ);
	if (options.access == SHARING_WRITE)
		in_turn("write", OP_WRITE);
	if (options.access != SHARING_NONE)
		verify();
	measured_exit();
}

/* Where all stays in swap until the end, comparing takes another, unmeasured, cycle. */
static void verifying_cycle(void)
{
	fill_and_push(false);
	fork_sharers();
	verify();
	leave();
}

int main(int argc, char **argv)
{
	workload_begin(argc, argv, TABLE(specs), TABLE(metrics), NULL);
	lock_program();
	run.pages = options.size / PAGE_BYTES;
	measured_cycle();
	if (options.access == SHARING_NONE)
		verifying_cycle();
	return workload_end();
}
