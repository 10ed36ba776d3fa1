/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every workload program shares: options, JSON lines, marks, clocks,
 * page content and its verification, access order, histograms, swap-out,
 * child processes.
 *
 * Nothing here allocates from the heap: a workload under memory pressure must
 * not be disturbed by its own bookkeeping being swapped out.
 */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_BYTES 4096u
#define PAGE_WORDS (PAGE_BYTES / sizeof(uint64_t))
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define TABLE(array) (array), COUNT_OF(array) /* for two parameters: a table and its length */

/* Exit statuses, the same for all programs. */
enum status { STATUS_OK = 0, STATUS_FAILED = 1, STATUS_USAGE = 2, STATUS_CORRUPT = 3 };

/* --- output.c: one JSON object a line on stdout, one sentence on stderr --- */

/* Print "<program>: <sentence>" on stderr and exit. */
_Noreturn void die(enum status status, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A round of 0 means that the value belongs to no round: no "round" key. */
struct cost;
struct phase;
void emit_param_number(const char *name, uint64_t value, const char *unit);
void emit_param_text(const char *name, const char *value);
void emit_metric(const char *name, unsigned int round, double value);
void emit_phase(const struct phase *phase);
void emit_verify(unsigned int round, uint64_t pages, uint64_t bad);
void require_intact(unsigned int round, uint64_t pages, uint64_t bad); /* and end if any is bad */
void emit_done(void);

/*
 * The metrics "<name>", "<name>_cpu" and "<name>_busy": elapsed time, CPU time of a program and
 * all instructions of the guest for each of count units of work, such as pages.
 */
void emit_cost(const char *name, unsigned int round, const struct cost *cost, uint64_t count);
/* The last of these under a name of its own. */
void emit_counted(const char *name, unsigned int round, const struct cost *cost, uint64_t count);
/*
 * The metrics "slowest" and "fairness" of count processes that did the same work, each in its
 * elapsed time; nothing for one process.
 */
void emit_processes(unsigned int round, const uint64_t *elapsed_ns, size_t count);

/* --- describe.c: what a program can be told and what it emits --- */

enum better { LOWER, HIGHER };

/*
 * Every metric that the program may emit; emitting any other one is an error.
 * A name carries no unit: under the instruction clock a time counts instructions.
 */
struct metric_spec {
	const char *name, *unit;
	const char *insn_unit; /* under the instruction clock; NULL: as unit, with "ns" as "insn" */
	enum better better;
	const char *help;
};

#define METRIC(metric, in, which, text) \
	{ .name = metric, .unit = in, .better = which, .help = text }
#define RATE_METRIC(metric, in, in_insn, which, text) \
	{ .name = metric, .unit = in, .insn_unit = in_insn, .better = which, .help = text }
/* Counted by QEMU, so only under the instruction clock and where the back-end waits. */
#define BUSY_METRIC(metric, in, what) \
	METRIC(metric "_busy", in, LOWER, \
	       "instructions of all tasks, interrupts and softirqs " what)
/* The metrics of emit_cost for pages: "elapsed time <what>", "CPU time of <whose>". */
#define COST_METRICS(metric, what, whose) \
	METRIC(metric, "ns/page", LOWER, "elapsed time " what), \
	METRIC(metric "_cpu", "ns/page", LOWER, "CPU time of " whose), \
	BUSY_METRIC(metric, "ns/page", what)

/* The metrics of emit_processes: "elapsed time of the slowest process <what>". */
#define PROCESS_METRICS(what) \
	METRIC("slowest", "ns", LOWER, "elapsed time of the slowest process " what), \
	METRIC("fairness", "%", HIGHER, \
	       "Jain's index of the throughput x of n processes, (sum x)^2 / (n sum x^2): 100 % if " \
	       "all are equally fast, 100/n if only one runs (R. Jain et al., DEC-TR-301, 1984)")

void metrics_declare(const struct metric_spec *specs, size_t count);
const char *metric_unit(const char *name); /* dies for one that is not declared */

struct option_spec;
/* Print the tables of options and metrics as JSON, which the harness keeps, and exit. */
_Noreturn void describe(const struct option_spec *specs, size_t count);

/* --- options.c: every option is --name=value, with its default as text --- */

#define CONTENT_TEXT_BYTES 32

enum content_kind { CONTENT_ZERO, CONTENT_SAME, CONTENT_MIXED };

struct content {
	enum content_kind kind;
	uint64_t same_word;        /* CONTENT_SAME: every word of the page */
	unsigned int random_words; /* CONTENT_MIXED: words that are not zero */
	char text[CONTENT_TEXT_BYTES];
};

enum option_type {
	OPTION_SIZE,    /* uint64_t, bytes: 64M */
	OPTION_COUNT,   /* uint64_t */
	OPTION_FLAG,    /* bool: yes or no; the bare name means yes */
	OPTION_CHOICE,  /* unsigned int, an index into choices */
	OPTION_CONTENT, /* struct content */
	OPTION_TEXT,    /* char[OPTION_TEXT_BYTES]: a path or a name, may be empty */
};

#define OPTION_TEXT_BYTES 128

struct option_spec {
	const char *name;
	enum option_type type;
	void *value;
	const char *initial; /* the default, as the user would write it */
	const char *unit;    /* counts only; NULL if there is none */
	uint64_t min, max;   /* sizes and counts, both inclusive */
	uint64_t multiple;   /* sizes: a whole number of so many bytes; 0: any */
	const char *const *choices; /* OPTION_CHOICE: NULL-terminated */
	const char *help;
};

#define SIZE_MAX_BYTES (UINT64_C(1) << 42)

/* Options that many programs have. */
#define CONTENT_OPTION(target, text) \
	{ .name = "content", .type = OPTION_CONTENT, .value = target, .initial = text, \
	  .help = "page content: zero, same:<hex byte>, compressible:<percent of random bytes> " \
		  "or random" }
#define CHUNK_OPTION(target, text) \
	{ .name = "chunk", .type = OPTION_SIZE, .value = target, .initial = "2M", \
	  .min = PAGE_BYTES, .max = SIZE_MAX_BYTES, .multiple = PAGE_BYTES, .help = text }
#define HUGEPAGES_OPTION(target, text) \
	{ .name = "hugepages", .type = OPTION_CHOICE, .value = target, .initial = text, \
	  .choices = hugepages_choices, .help = "never, always (MADV_HUGEPAGE) or system" }
#define SEED_OPTION(target, text) \
	{ .name = "seed", .type = OPTION_COUNT, .value = target, .initial = "1", \
	  .max = UINT32_MAX, .help = "seed " text }
#define ALLOW_RESIDENT_OPTION(target, text) \
	{ .name = "allow-resident", .type = OPTION_FLAG, .value = target, .initial = "no", \
	  .help = text }

#define OPTIONS_MAX 24

/*
 * Read argv into the values of specs; returns the index of the first argument
 * that is no option.  --help prints the table and exits, --describe does so in
 * JSON; a mistake ends the program with STATUS_USAGE and one sentence.
 */
int options_parse(int argc, char **argv, const struct option_spec *specs, size_t count);

const char *option_unit(const struct option_spec *spec); /* "" if there is none */

/* Emit a "param" line for every option, defaults included. */
void options_report(const struct option_spec *specs, size_t count);

/*
 * What every program does first: declare its metrics, read its options and emit
 * them.  check, unless NULL, looks at what no single option shows.
 */
void workload_begin(int argc, char **argv, const struct option_spec *specs, size_t specs_count,
		    const struct metric_spec *metrics, size_t metrics_count, void (*check)(void));
/* And last: main() returns it. */
int workload_end(void);

/* "4096", "64M", "1G" -> bytes; false if it is no such thing or too large. */
bool parse_size(const char *text, uint64_t *bytes);

/* --- clock.c --- */

uint64_t now_ns(void); /* CLOCK_MONOTONIC */
uint64_t cpu_ns(void); /* CLOCK_PROCESS_CPUTIME_ID: exact, not tick-sampled */

/* CPU time of a process or kernel thread, exact as well; 0 if it is gone. */
uint64_t thread_cpu_ns(int pid);

/* Sleep until now_ns() says so, whatever signals come. */
void sleep_until(uint64_t when_ns);

/* What one now_ns() costs in ns: the mean of the least disturbed of some rounds. */
double clock_read_cost_ns(void);

/* --- cost.c: what a stretch of work costs --- */

/* Whose instructions are counted together.  No two costs of one channel at the same time. */
enum cost_channel {
	COST_PHASE, /* a phase */
	COST_PART,  /* stretches inside of phases */
	COST_WHOLE, /* several phases */
	COST_RUN,   /* the program from its options to its end */
};

/* Of one stretch or several; .channel is all that a new one has. */
struct cost {
	enum cost_channel channel;
	uint64_t begin_ns, last_ns; /* when the first and the last stretch began */
	uint64_t elapsed_ns, cpu_ns;
};

void cost_begin(struct cost *cost);
void cost_end(struct cost *cost);
/* Times only: the instructions of both are counted together if the channel says so. */
void cost_add(struct cost *sum, const struct cost *cost);

/* The count alone, where clocks are read otherwise. */
void count_clear(enum cost_channel channel);
void count_begin(enum cost_channel channel);
void count_end(enum cost_channel channel);
/* Have the count written outside of the guest; returns the number of its line there, from 1. */
unsigned int count_put(enum cost_channel channel);

/* --- clock.c again: phases --- */

struct phase {
	const char *name;
	unsigned int round;
	struct cost cost;
};

/*
 * Marks go out before the first and after the last clock read, as
 * "<name>[:<round>]:begin" and "...:end".
 */
void phase_begin(struct phase *phase, const char *name, unsigned int round);
/* other_cpu_ns: CPU time that other processes spent in this phase. */
void phase_stop(struct phase *phase);
void phase_finish(struct phase *phase, uint64_t other_cpu_ns);
void phase_end(struct phase *phase); /* stop, then finish without others */

/* The phase's cost, under the phase's name. */
void emit_phase_cost(const struct phase *phase, uint64_t pages);

static inline uint64_t phase_elapsed_ns(const struct phase *phase)
{
	return phase->cost.elapsed_ns;
}

/* --- mark.c: the client side of the sampler's socket --- */

#define SAMPLER_SOCKET "/run/harness/sampler.sock"
#define MARK_BYTES 64

/*
 * Ask the sampler for a snapshot and wait until it is written.  Without a
 * sampler this does nothing, unless HARNESS_REQUIRE_SAMPLER=1 is set.  White
 * space and control characters in text become '_'.
 */
void mark(const char *text);

/* --- histogram.c: log-linear buckets, relative error at most 2^-SUB_BITS --- */

#define HISTOGRAM_SUB_BITS 5u
#define HISTOGRAM_BUCKETS ((64u - HISTOGRAM_SUB_BITS + 1u) << HISTOGRAM_SUB_BITS)

struct histogram {
	uint64_t counts[HISTOGRAM_BUCKETS];
};

unsigned int histogram_index(uint64_t value);
uint64_t histogram_low(unsigned int index);
void histogram_merge(struct histogram *into, const struct histogram *from);
void emit_histogram(const struct histogram *histogram, const char *name, const char *phase);

static inline void histogram_add(struct histogram *histogram, uint64_t value)
{
	histogram->counts[histogram_index(value)]++;
}

/* --- content.c: what is in a page; recomputable from (seed, index) --- */

/* "zero", "same:ff", "compressible:50", "random"; false if it is none of them. */
bool content_parse(const char *text, struct content *content);
void content_fill(const struct content *content, uint64_t seed, uint64_t index, void *page);

/* The page's first word, cheap enough for a measured loop. */
uint64_t content_tag(const struct content *content, uint64_t seed, uint64_t index);

/*
 * Recompute and compare every byte of each page.  Returns the number of bad
 * pages; the first few are described on stderr.
 */
uint64_t content_verify(const struct content *content, uint64_t seed, uint64_t first_index,
			const void *base, uint64_t pages);

/* Compare pages 0.. of that content, emit it, and end if any is bad. */
void require_content(unsigned int round, const struct content *content, uint64_t seed,
		     const void *base, uint64_t pages);

/* --- order.c: a permutation of 0..count-1 without an array --- */

struct order {
	uint64_t count;
	unsigned int left_bits, right_bits;
	uint64_t keys[4];
	bool random;
};

extern const char *const order_choices[]; /* "sequential", "random" */
void order_init(struct order *order, uint64_t count, bool random, uint64_t seed);
uint64_t order_at(const struct order *order, uint64_t position);

/* --- memory.c: mappings, swap-out and where the pages are --- */

extern const char *const hugepages_choices[]; /* "never", "always", "system" */
extern const char *const access_choices[];    /* "read", "write" */
enum hugepages { HUGEPAGES_NEVER, HUGEPAGES_ALWAYS, HUGEPAGES_SYSTEM };
enum access { ACCESS_READ, ACCESS_WRITE };

/* Whole pages of size bytes that procs processes share equally; usage error if there are none. */
uint64_t pages_of_all(uint64_t size, uint64_t procs);

/* Lock the program itself (not what it maps later), so that only its data is swapped. */
void lock_program(void);
/* The same for a process that has the mapping already, in swap; it stays there. */
void lock_program_except(void *base, uint64_t bytes);

/* Anonymous private memory, aligned to 2 MiB; bytes is a multiple of a page. */
void *memory_map(uint64_t bytes, enum hugepages hugepages);
void *memory_map_locked(uint64_t bytes);
void *memory_map_shared(uint64_t bytes); /* locked, and shared with children */
void memory_unmap(void *base, uint64_t bytes);
void memory_forget(void *base, uint64_t bytes); /* MADV_DONTNEED */

/* One MADV_PAGEOUT call for each chunk. */
void memory_pageout(void *base, uint64_t bytes, uint64_t chunk);

/*
 * Pages of a filled mapping that are not in memory, the swap cache included:
 * mincore() looks up a swapped-out page there.  So these are really out.
 */
uint64_t memory_swapped_pages(const void *base, uint64_t pages);

/* The same for pages offset, offset + stride, ... only. */
uint64_t memory_swapped_every(const void *base, uint64_t pages, uint64_t stride, uint64_t offset);

/*
 * Push out what is still in memory: pages that reclaim skipped, and pages left
 * in the swap cache by asynchronous writes.  Returns the extra MADV_PAGEOUT calls.
 */
uint64_t memory_settle(void *base, uint64_t pages, uint64_t chunk);

/* Fail unless at least 99 % of the pages are out. */
void memory_require_swapped(uint64_t swapped, uint64_t pages);

/* Touch a page in one access, which is one page fault; the first word is returned. */
static inline uint64_t memory_touch(void *base, uint64_t page, enum access access)
{
	uint64_t *word = (uint64_t *)((char *)base + page * PAGE_BYTES);

	if (access == ACCESS_WRITE)
		return __atomic_fetch_or(word, 0, __ATOMIC_RELAXED);
	return *(volatile uint64_t *)word;
}

/* A field of /proc/meminfo in bytes, e.g. "SwapFree". */
uint64_t meminfo_bytes(const char *field);

/* --- filler.c: fill memory chunk by chunk, pushing each out before the next --- */

/* So no more than a chunk is meant to be in memory: it may be much smaller than what is filled. */
struct filler {
	char *base;
	uint64_t pages, chunk;
	const struct content *content;
	uint64_t seed, first_index; /* the content of page i is that of (seed, first_index + i) */
	bool allow_resident;
	struct cost out; /* of MADV_PAGEOUT alone */
	uint64_t stuck_bytes;
};

struct filler filler_make(void *base, uint64_t pages, uint64_t chunk, const struct content *content,
			  uint64_t seed, bool allow_resident);

/* Pages first..end-1 must follow those that were filled before. */
void filler_fill(struct filler *filler, uint64_t first, uint64_t end);

/* memory_settle() and memory_require_swapped(), unless pages may stay in memory. */
uint64_t filler_settle(const struct filler *filler, uint64_t pages);
void filler_require_swapped(const struct filler *filler, uint64_t swapped, uint64_t pages);

/* --- flusher.c --- */

/*
 * Sleep until memcg's flusher has just run, which has it fire at the same points
 * of what follows, every time.  False if none was found in half a minute.
 */
bool flusher_wait(void);

/*
 * The same, if HARNESS_ALIGN=1 says so, as in a guest under the instruction clock,
 * where sleep costs nothing; a missing flusher is told to the console.
 */
void wait_for_alignment(void);

/* --- cpu.c --- */

/*
 * Bind this process to one of the CPUs that it may run on, counted from 0 and around.
 */
void take_cpu(unsigned int number);

/* --- group.c --- */

/*
 * Move this process into a new memcg beside its own, so that what it allocates
 * from now on finds no history there: no refaults, no ages, no counters that
 * are yet to be summed.  Limits and figures of the common parent go on.  False
 * outside the harness's guest.
 */
bool group_fresh(const char *name, unsigned int number);

/* Have the kernel reclaim so much of this process's memcg; false if it cannot be asked. */
bool group_reclaim(uint64_t bytes);

/* --- kernel.c: what the kernel says, and what it is told --- */

/* A file that is one number; false if there is none. */
bool kernel_number(const char *path, uint64_t *value);

/* The line "name value" of a file such as /proc/vmstat; false if this kernel has none. */
bool kernel_counter(const char *path, const char *name, uint64_t *value);

/* A number that only grows; its change is emitted unless this kernel has no such thing. */
struct counter {
	const char *metric;
	const char *path, *line; /* no line: the file is one number */
	bool there;
	uint64_t before;
};

void counters_begin(struct counter *counters, size_t count);
void counters_emit(const struct counter *counters, size_t count);

bool kernel_try_write(const char *path, const char *text); /* sets errno when it fails */
void kernel_write(const char *path, const char *text);     /* dies when it fails */

/* A line of /proc/swaps, in pages; blanks in the path are written \040 there. */
struct swap_area {
	char path[256];
	uint64_t slots, used;
};

size_t swap_areas(struct swap_area *areas, size_t max);

/* --- child.c: processes that do what their parent asks, one operation at a time --- */

#define CHILD_VALUES 8

struct child {
	unsigned int number;
	int pid, fd;
};

struct reply {
	uint64_t cpu_ns; /* CPU time that the operation took */
	uint64_t values[CHILD_VALUES];
};

typedef void (*child_handler)(unsigned int number, unsigned int operation, uint64_t argument,
			      struct reply *reply);

/*
 * The child locks its program in memory and waits for operations.  If it dies,
 * the parent's next call of child_receive, child_call or child_stop says so and
 * ends with its status.
 */
void child_start(struct child *child, unsigned int number, child_handler handler);
/* The same, for a child that goes on using its parent's mapping: all else is locked. */
void child_start_sharing(struct child *child, unsigned int number, child_handler handler,
			 void *base, uint64_t bytes);
void child_send(struct child *child, unsigned int operation, uint64_t argument);
struct reply child_receive(struct child *child);
struct reply child_call(struct child *child, unsigned int operation, uint64_t argument);
/* All of them at the same time; the sum of their replies. */
struct reply children_call(struct child *children, size_t count, unsigned int operation,
			   uint64_t argument);
/* Let the child leave and wait until all of its memory is freed. */
void child_stop(struct child *child);

/* --- program.c: real programs, as the distribution ships them --- */

#define PROGRAM_OUTPUT_BYTES 65536

struct program {
	const char *name;
	int pid, output;
	uint64_t cpu_ns, user_ns; /* of it and the processes it waited for; set when it has ended */
};

/*
 * Found by PATH; what it prints is kept.  It dies with this program.  A program
 * that cannot be started, or ends with anything but 0, is an error that says
 * what it printed last.
 */
void program_start(struct program *program, const char *const *argv);
void program_wait(struct program *program);
void program_run(struct program *program, const char *const *argv); /* start, then wait */
void program_require_alive(struct program *program);
void program_stop(struct program *program); /* SIGTERM; it may end as it likes */

/* What it has printed up to now, on both streams, until the next call for any program. */
const char *program_output(const struct program *program);

#endif
