// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes whose memory together exceeds what they may keep: the harness sets
 * the memory limit (a memcg, or the machine itself), this program sets none.
 *
 * All processes go through the same stages in step.  The parent times a stage
 * from before it lets them go until the last one is through; each child adds
 * its own exact CPU time.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/workload.h"

#define PROCS_MAX 256

static struct {
	uint64_t procs, size, passes, histogram_passes, seed;
	struct content content;
	unsigned int order, access, hugepages;
} options;

static const struct option_spec specs[] = {
	{ .name = "procs", .type = OPTION_COUNT, .value = &options.procs, .initial = "2", .min = 1,
	  .max = PROCS_MAX, .help = "processes" },
	{ .name = "size", .type = OPTION_SIZE, .value = &options.size, .initial = "128M",
	  .min = PAGE_BYTES, .max = SIZE_MAX_BYTES, .help = "memory of all processes together" },
	CONTENT_OPTION(&options.content, "compressible:20"),
	{ .name = "order", .type = OPTION_CHOICE, .value = &options.order, .initial = "random",
	  .choices = order_choices, .help = "order of the accesses: sequential or random" },
	{ .name = "access", .type = OPTION_CHOICE, .value = &options.access, .initial = "read",
	  .choices = access_choices, .help = "access by read or write" },
	{ .name = "passes", .type = OPTION_COUNT, .value = &options.passes, .initial = "2",
	  .min = 1, .max = 1000, .help = "measured passes over all pages" },
	{ .name = "histogram-passes", .type = OPTION_COUNT, .value = &options.histogram_passes,
	  .initial = "1", .max = 1000, .help = "further passes that time every single access" },
	HUGEPAGES_OPTION(&options.hugepages, "never"),
	SEED_OPTION(&options.seed, "of content and order"),
};

static const struct metric_spec metrics[] = {
	COST_METRICS("fill", "to write all pages the first time, making the content included",
		     "all processes for the same"),
	COST_METRICS("access", "of a pass for each page accessed, in memory or not",
		     "all processes in a pass for each page accessed"),
	RATE_METRIC("throughput", "pages/s", "pages/Ginsn", HIGHER,
		  "pages accessed in a second of a pass"),
	COST_METRICS("free", "to unmap all memory, about half of it in swap, for each page",
		     "all processes for the same"),
	PROCESS_METRICS("in a pass"),
	METRIC("run", "ns", LOWER, "elapsed time of fill, measured passes and free together"),
	METRIC("run_cpu", "ns", LOWER, "CPU time of all processes for the same"),
	BUSY_METRIC("run", "ns", "for the same"),
	METRIC("clock_read", "ns", LOWER,
	       "cost of one clock reading, which every latency in the histogram contains once"),
};

/* What a child tells its parent; all of it lies in locked shared memory. */
struct report {
	uint64_t cpu_ns;     /* of the latest stage */
	uint64_t elapsed_ns; /* of the same, where there are several processes */
	uint64_t bad;        /* pages found corrupt so far */
	struct histogram histogram;
};

struct shared {
	pthread_barrier_t barrier;
	struct report reports[];
};

struct worker {
	struct report *report;
	char *base;
	uint64_t first, pages; /* its part of the pages, numbered across all processes */
	struct order order;
};

typedef void (*stage_function)(struct worker *child);

static struct shared *shared;
static pid_t pids[PROCS_MAX];
static volatile sig_atomic_t reaped;

/* --- the stages, run by each child --- */

static void stage_fill(struct worker *child)
{
	for (uint64_t i = 0; i < child->pages; i++)
		content_fill(&options.content, options.seed, child->first + i,
			     child->base + i * PAGE_BYTES);
}

/* A page that came back as another one is seen right here; all its bytes in stage_verify. */
static inline void access_page(struct worker *child, uint64_t page)
{
	uint64_t tag = content_tag(&options.content, options.seed, child->first + page);
	uint64_t got = memory_touch(child->base, page, options.access);

	if (__builtin_expect(got == tag, 1))
		return;
	child->report->bad++;
	fprintf(stderr, "%s: page %" PRIu64 " offset 0: expected word 0x%016" PRIx64
		", got 0x%016" PRIx64 "\n", program_invocation_short_name, child->first + page, tag,
		got);
}

static void stage_access(struct worker *child)
{
	for (uint64_t i = 0; i < child->pages; i++)
		access_page(child, order_at(&child->order, i));
}

static void stage_access_timed(struct worker *child)
{
	for (uint64_t i = 0; i < child->pages; i++) {
		uint64_t page = order_at(&child->order, i);
		uint64_t begin = now_ns();

		access_page(child, page);
		histogram_add(&child->report->histogram, now_ns() - begin);
	}
}

static void stage_verify(struct worker *child)
{
	child->report->bad += content_verify(&options.content, options.seed, child->first,
					     child->base, child->pages);
}

static void stage_free(struct worker *child)
{
	memory_unmap(child->base, child->pages * PAGE_BYTES);
}

/* --- the plan, the same list for parent and children --- */

struct stage {
	const char *phase; /* NULL: neither marked nor timed */
	unsigned int round;
	stage_function run;
};

/* Stage number at of the plan; false beyond its end. */
static bool plan(uint64_t at, struct stage *stage)
{
	*stage = (struct stage){ 0 };
	if (at == 0) {
		stage->phase = "fill";
		stage->run = stage_fill;
	} else if (at <= options.passes) {
		stage->phase = "access";
		stage->round = (unsigned int)at;
		stage->run = stage_access;
	} else if (at <= options.passes + options.histogram_passes) {
		stage->phase = "hist_access";
		stage->round = (unsigned int)at;
		stage->run = stage_access_timed;
	} else if (at == options.passes + options.histogram_passes + 1) {
		stage->run = stage_verify;
	} else if (at == options.passes + options.histogram_passes + 2) {
		stage->phase = "free";
		stage->run = stage_free;
	}
	return stage->run != NULL;
}

static void child_prepare(struct worker *child, unsigned int number)
{
	uint64_t pages = options.size / PAGE_BYTES / options.procs;

	/* Locks are not inherited. */
	lock_program();
	child->report = &shared->reports[number];
	child->first = pages * number;
	child->pages = pages;
	child->base = memory_map(pages * PAGE_BYTES, options.hugepages);
	order_init(&child->order, pages, options.order == 1, options.seed + number);
}

static _Noreturn void child_main(unsigned int number)
{
	struct worker child;
	struct stage stage;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	take_cpu(number);
	child_prepare(&child, number);
	for (uint64_t at = 0; plan(at, &stage); at++) {
		uint64_t begin, begin_ns = 0;

		pthread_barrier_wait(&shared->barrier);
		if (options.procs > 1)
			begin_ns = now_ns();
		begin = cpu_ns();
		stage.run(&child);
		child.report->cpu_ns = cpu_ns() - begin;
		if (options.procs > 1)
			child.report->elapsed_ns = now_ns() - begin_ns;
		pthread_barrier_wait(&shared->barrier);
	}
	_exit(STATUS_OK);
}

static void write_number(unsigned int number)
{
	char digits[12];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	if (write(STDERR_FILENO, digits + at, sizeof(digits) - at) < 0)
		_exit(STATUS_FAILED);
}

static void write_text(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		_exit(STATUS_FAILED);
}

/*
 * A child that fails would leave the others at a barrier for ever.  Runs in the
 * signal handler, so nothing but write, kill and _exit.
 */
static _Noreturn void give_up(int status)
{
	bool killed = WIFSIGNALED(status);

	for (size_t i = 0; i < options.procs; i++)
		if (pids[i] > 0)
			kill(pids[i], SIGKILL);
	write_text(killed ? "pressure: A process was killed by signal " :
			    "pressure: A process failed with status ");
	write_number((unsigned int)(killed ? WTERMSIG(status) : WEXITSTATUS(status)));
	write_text(killed && WTERMSIG(status) == SIGKILL ?
			   ", most likely for lack of memory and swap.\n" : ".\n");
	_exit(STATUS_FAILED);
}

static void on_child(int signal_number)
{
	int saved_errno = errno;
	int status;
	pid_t pid;

	(void)signal_number;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < options.procs; i++)
			if (pids[i] == pid)
				pids[i] = 0;
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			give_up(status);
		reaped++;
	}
	errno = saved_errno;
}

static void block_sigchld(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(how, &set, NULL);
}

static void make_shared(void)
{
	size_t bytes = sizeof(*shared) + options.procs * sizeof(shared->reports[0]);
	pthread_barrierattr_t attributes;

	shared = memory_map_shared(bytes);
	pthread_barrierattr_init(&attributes);
	pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&shared->barrier, &attributes, (unsigned int)options.procs + 1);
}

static void start_children(void)
{
	struct sigaction action = { .sa_handler = on_child, .sa_flags = SA_RESTART | SA_NOCLDSTOP };

	sigaction(SIGCHLD, &action, NULL);
	/* Blocked until all pids are known: the handler needs them. */
	block_sigchld(SIG_BLOCK);
	for (unsigned int i = 0; i < options.procs; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			die(STATUS_FAILED, "Cannot fork: %s.", strerror(errno));
		if (pids[i] == 0)
			child_main(i);
	}
	block_sigchld(SIG_UNBLOCK);
}

/* What all children spent in the latest stage, and the bad pages of all stages. */
static void sum_reports(uint64_t *spent_ns, uint64_t *bad)
{
	*spent_ns = 0;
	*bad = 0;
	for (size_t i = 0; i < options.procs; i++) {
		*spent_ns += shared->reports[i].cpu_ns;
		*bad += shared->reports[i].bad;
	}
}

static void emit_stage(const struct phase *phase, uint64_t pages)
{
	double elapsed = (double)phase_elapsed_ns(phase);
	uint64_t elapsed_ns[PROCS_MAX];

	emit_phase_cost(phase, pages);
	if (strcmp(phase->name, "access") != 0)
		return;
	if (elapsed > 0)
		emit_metric("throughput", phase->round, (double)pages * 1e9 / elapsed);
	for (size_t i = 0; i < options.procs; i++)
		elapsed_ns[i] = shared->reports[i].elapsed_ns;
	emit_processes(phase->round, elapsed_ns, options.procs);
}

/* Let the children run one stage, and wait for the last of them. */
static void release_and_wait(void)
{
	pthread_barrier_wait(&shared->barrier);
	pthread_barrier_wait(&shared->barrier);
}

static void verify_stage(uint64_t pages)
{
	uint64_t spent_ns, bad;

	release_and_wait();
	sum_reports(&spent_ns, &bad);
	emit_verify(0, pages, bad);
	if (bad > 0) {
		/* The children wait at the barrier for a stage that will not come. */
		signal(SIGCHLD, SIG_IGN);
		exit(STATUS_CORRUPT);
	}
}

static void run_plan(uint64_t pages)
{
	struct cost whole = { .channel = COST_WHOLE };
	uint64_t spent_ns, bad;
	struct stage stage;
	struct phase phase;

	count_clear(whole.channel);
	for (uint64_t at = 0; plan(at, &stage); at++) {
		if (stage.phase == NULL) {
			verify_stage(pages);
			continue;
		}
		phase_begin(&phase, stage.phase, stage.round);
		if (stage.run != stage_access_timed)
			count_begin(whole.channel);
		release_and_wait();
		if (stage.run != stage_access_timed)
			count_end(whole.channel);
		phase_stop(&phase);
		sum_reports(&spent_ns, &bad);
		phase_finish(&phase, spent_ns);
		if (stage.run == stage_access_timed)
			continue;
		emit_stage(&phase, pages);
		cost_add(&whole, &phase.cost);
	}
	emit_cost("run", 0, &whole, 1);
}

static void emit_latencies(void)
{
	static struct histogram all;

	for (size_t i = 0; i < options.procs; i++)
		histogram_merge(&all, &shared->reports[i].histogram);
	emit_histogram(&all, "access", "hist_access");
}

static void wait_for_children(void)
{
	sigset_t none;

	block_sigchld(SIG_BLOCK);
	sigemptyset(&none);
	while ((uint64_t)reaped < options.procs)
		sigsuspend(&none);
}

static uint64_t all_pages(void)
{
	return pages_of_all(options.size, options.procs);
}

static void check_options(void)
{
	all_pages();
}

int main(int argc, char **argv)
{
	workload_begin(argc, argv, TABLE(specs), TABLE(metrics), check_options);
	lock_program();
	make_shared();
	emit_metric("clock_read", 0, clock_read_cost_ns());
	start_children();
	run_plan(all_pages());
	if (options.histogram_passes > 0)
		emit_latencies();
	wait_for_children();
	return workload_end();
}
