// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes that write their memory word by word and then free it: what people
 * run as "usemem" (vm-scalability) to show a swap change's throughput and free
 * time.  Written anew; only the meaning of the options, the way bytes are
 * counted and the two lines of text for each process are the same.
 *
 * The classic command line works, too: usemem --init-time -O -y -x -n 1 56G.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "../common/workload.h"
#include "classic.h"

#define PROCS_MAX 256
#define WORD_BYTES sizeof(uint64_t)
/* Below it is the index of the word, above it whose word it is. */
#define OWNER_SHIFT 44

enum operation { OP_MAP, OP_ACCESS, OP_VERIFY, OP_FREE };
enum value { VALUE_ELAPSED_NS, VALUE_BAD, VALUE_WORDS };

static struct {
	uint64_t nproc, size, step, repeat, sleep, seed;
	unsigned int hugepages;
	bool random, sync_rw, sync_free, init_time, verify;
} options;

static const struct option_spec specs[] = {
	{ .name = "nproc", .type = OPTION_COUNT, .value = &options.nproc, .initial = "1", .min = 1,
	  .max = PROCS_MAX, .help = "processes (-n)" },
	{ .name = "size", .type = OPTION_SIZE, .value = &options.size, .initial = "64M",
	  .min = PAGE_BYTES, .max = SIZE_MAX_BYTES, .multiple = PAGE_BYTES,
	  .help = "memory of each process (the operand)" },
	{ .name = "step", .type = OPTION_SIZE, .value = &options.step, .initial = "8",
	  .min = WORD_BYTES, .max = PAGE_BYTES, .multiple = WORD_BYTES,
	  .help = "write one word in so many bytes (-j)" },
	{ .name = "random", .type = OPTION_FLAG, .value = &options.random, .initial = "no",
	  .help = "write random words instead, as many of them (-R)" },
	{ .name = "repeat", .type = OPTION_COUNT, .value = &options.repeat, .initial = "1",
	  .min = 1, .max = 1000, .help = "go over the memory so often (-r)" },
	{ .name = "sync-rw", .type = OPTION_FLAG, .value = &options.sync_rw, .initial = "yes",
	  .help = "start writing when all have mapped their memory (-y)" },
	{ .name = "sync-free", .type = OPTION_FLAG, .value = &options.sync_free, .initial = "yes",
	  .help = "start freeing when all have written theirs (-x)" },
	{ .name = "init-time", .type = OPTION_FLAG, .value = &options.init_time, .initial = "yes",
	  .help = "keep the time to map memory out of the throughput (--init-time)" },
	{ .name = "sleep", .type = OPTION_COUNT, .value = &options.sleep, .initial = "0",
	  .unit = "s", .max = 100000, .help = "hold the memory so long before it is freed (-s)" },
	HUGEPAGES_OPTION(&options.hugepages, "system"),
	{ .name = "verify", .type = OPTION_FLAG, .value = &options.verify, .initial = "yes",
	  .help = "do it once more, unmeasured, and compare every word" },
	{ .name = "seed", .type = OPTION_COUNT, .value = &options.seed, .initial = "1",
	  .max = 4095, .help = "of the words and of their order" },
};

static const struct metric_spec metrics[] = {
	COST_METRICS("access", "of the writing for each page of all processes",
		     "all processes for the same"),
	COST_METRICS("free", "to unmap all memory for each page of all processes",
		     "all processes for the same"),
	RATE_METRIC("throughput", "KB/s", "KB/Ginsn", HIGHER,
		  "sum of what each process prints as KB/s"),
	RATE_METRIC("throughput_per_process", "KB/s", "KB/Ginsn", HIGHER, "mean of the same"),
	RATE_METRIC("free_time_per_process", "us", "kinsn", LOWER,
		  "mean of what each process prints as usecs to free memory"),
	PROCESS_METRICS("in the writing"),
	METRIC("init", "ns", LOWER, "mean time to map the memory; only with sync-rw=yes"),
};

/* --- a process --- */

static struct {
	uint64_t *words;
	uint64_t begin_ns; /* without --init-time the clock starts before the mapping */
} mine;

static uint64_t word_count(void)
{
	return options.size / WORD_BYTES;
}

/* The index is what usemem writes, so it compresses like that; the rest tells processes apart. */
static uint64_t word_value(unsigned int number, uint64_t index)
{
	return ((options.seed << 8 | number) + 1) << OWNER_SHIFT | index;
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/*
 * Every word of a page was written, if any, by the same process at the same
 * place.  The exchange is one write access, as a plain store, and shows what
 * was there; so it is used only where a page is entered.
 */
static uint64_t enter_page(unsigned int number, uint64_t index, bool must_be_there)
{
	uint64_t value = word_value(number, index);
	uint64_t was = __atomic_exchange_n(&mine.words[index], value, __ATOMIC_RELAXED);

	return was != value && (must_be_there || was != 0);
}

static uint64_t write_in_order(unsigned int number, bool written_before)
{
	uint64_t stride = options.step / WORD_BYTES, bad = 0;
	uint64_t next_page = 0;

	for (uint64_t i = 0; i < word_count(); i += stride) {
		if (i < next_page) {
			*(volatile uint64_t *)&mine.words[i] = word_value(number, i);
			continue;
		}
		bad += enter_page(number, i, written_before);
		next_page = (i / PAGE_WORDS + 1) * PAGE_WORDS;
	}
	return bad;
}

static uint64_t write_at_random(unsigned int number, uint64_t pass)
{
	uint64_t state = (options.seed + 1) * UINT64_C(0x9e3779b97f4a7c15) + number + (pass << 32);
	uint64_t accesses = options.size / options.step, bad = 0;

	for (uint64_t i = 0; i < accesses; i++)
		bad += enter_page(number, (next_random(&state) >> 16) % word_count(), false);
	return bad;
}

static void access_memory(unsigned int number, struct reply *reply)
{
	uint64_t begin = options.init_time ? now_ns() : mine.begin_ns;

	for (uint64_t pass = 0; pass < options.repeat; pass++)
		reply->values[VALUE_BAD] += options.random ? write_at_random(number, pass) :
							     write_in_order(number, pass > 0);
	reply->values[VALUE_ELAPSED_NS] = now_ns() - begin;
	/* As usemem counts: an eighth for the mapping, then a word for each access. */
	reply->values[VALUE_WORDS] = word_count() / 8 +
				     options.size / options.step * options.repeat;
}

/* Words that no access has reached are zero. */
static void verify_memory(unsigned int number, struct reply *reply)
{
	uint64_t stride = options.step / WORD_BYTES;

	for (uint64_t i = 0; i < word_count(); i++) {
		uint64_t got = mine.words[i];
		bool zero_is_good = options.random || i % stride != 0;

		if (got != word_value(number, i) && !(zero_is_good && got == 0))
			reply->values[VALUE_BAD]++;
	}
}

static void child_operation(unsigned int number, unsigned int operation, uint64_t argument,
			    struct reply *reply)
{
	uint64_t begin = now_ns();

	(void)argument;
	switch ((enum operation)operation) {
	case OP_MAP:
		take_cpu(number);
		mine.begin_ns = begin;
		mine.words = memory_map(options.size, options.hugepages);
		reply->values[VALUE_ELAPSED_NS] = now_ns() - begin;
		break;
	case OP_ACCESS:
		access_memory(number, reply);
		break;
	case OP_VERIFY:
		verify_memory(number, reply);
		break;
	case OP_FREE:
		memory_unmap(mine.words, options.size);
		reply->values[VALUE_ELAPSED_NS] = now_ns() - begin;
		break;
	}
}

/* --- the parent --- */

static struct child children[PROCS_MAX];
static struct reply accessed[PROCS_MAX], freed[PROCS_MAX];

static void send_all(enum operation operation)
{
	for (uint64_t i = 0; i < options.nproc; i++)
		child_send(&children[i], operation, 0);
}

static struct reply receive_all(struct reply *replies)
{
	struct reply sum = { .values = { 0 } };

	for (uint64_t i = 0; i < options.nproc; i++) {
		replies[i] = child_receive(&children[i]);
		sum.cpu_ns += replies[i].cpu_ns;
		for (size_t j = 0; j < CHILD_VALUES; j++)
			sum.values[j] += replies[i].values[j];
	}
	return sum;
}

static void hold(void)
{
	const struct timespec time = { .tv_sec = (time_t)options.sleep };

	if (options.sleep > 0)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

static void require_good(uint64_t bad)
{
	emit_verify(0, options.nproc * options.size / PAGE_BYTES, bad);
	if (bad > 0)
		die(STATUS_CORRUPT, "%" PRIu64 " words are corrupt.", bad);
}

/* The lines that the list is used to, for each process, kept beside the JSON lines. */
static void print_classic(const struct reply *access, const struct reply *free)
{
	uint64_t bytes = access->values[VALUE_WORDS] * WORD_BYTES;
	uint64_t us = access->values[VALUE_ELAPSED_NS] / 1000;

	fprintf(stderr, "%" PRIu64 " bytes / %" PRIu64 " usecs = %" PRIu64 " KB/s\n", bytes, us,
		bytes * 1000000 / 1024 / (us > 0 ? us : 1));
	fprintf(stderr, "%" PRIu64 " usecs to free memory\n",
		free->values[VALUE_ELAPSED_NS] / 1000);
}

static void emit_rates(void)
{
	uint64_t elapsed_ns[PROCS_MAX];
	double sum = 0, free_us = 0, procs = (double)options.nproc;

	for (uint64_t i = 0; i < options.nproc; i++) {
		double seconds = (double)accessed[i].values[VALUE_ELAPSED_NS] / 1e9;
		double bytes = (double)(accessed[i].values[VALUE_WORDS] * WORD_BYTES);

		sum += bytes / 1024 / seconds;
		free_us += (double)freed[i].values[VALUE_ELAPSED_NS] / 1000;
		elapsed_ns[i] = accessed[i].values[VALUE_ELAPSED_NS];
		print_classic(&accessed[i], &freed[i]);
	}
	emit_metric("throughput", 0, sum);
	emit_metric("throughput_per_process", 0, sum / procs);
	emit_metric("free_time_per_process", 0, free_us / procs);
	emit_processes(0, elapsed_ns, options.nproc);
}

/* Without -y and -x the orders are given at once, so that processes need not wait for others. */
static void measured_cycle(void)
{
	uint64_t pages = options.nproc * options.size / PAGE_BYTES;
	struct reply sum;
	struct phase phase;

	send_all(OP_MAP);
	if (options.sync_rw)
		emit_metric("init", 0,
			    (double)receive_all(accessed).values[VALUE_ELAPSED_NS] /
				    (double)options.nproc);
	phase_begin(&phase, "access", 0);
	send_all(OP_ACCESS);
	if (!options.sync_free)
		send_all(OP_FREE);
	if (!options.sync_rw)
		receive_all(accessed);
	sum = receive_all(accessed);
	phase_stop(&phase);
	phase_finish(&phase, sum.cpu_ns);
	emit_phase_cost(&phase, pages);
	if (sum.values[VALUE_BAD] > 0)
		require_good(sum.values[VALUE_BAD]);
	hold();
	phase_begin(&phase, "free", 0);
	if (options.sync_free)
		send_all(OP_FREE);
	sum = receive_all(freed);
	phase_stop(&phase);
	phase_finish(&phase, sum.cpu_ns);
	emit_phase_cost(&phase, pages);
}

static void verifying_cycle(void)
{
	uint64_t bad;

	children_call(children, options.nproc, OP_MAP, 0);
	bad = children_call(children, options.nproc, OP_ACCESS, 0).values[VALUE_BAD];
	bad += children_call(children, options.nproc, OP_VERIFY, 0).values[VALUE_BAD];
	require_good(bad);
	children_call(children, options.nproc, OP_FREE, 0);
}

int main(int argc, char **argv)
{
	argc = classic_translate(argc, &argv);
	workload_begin(argc, argv, TABLE(specs), TABLE(metrics), NULL);
	lock_program();
	for (unsigned int i = 0; i < options.nproc; i++)
		child_start(&children[i], i, child_operation);
	measured_cycle();
	emit_rates();
	if (options.verify)
		verifying_cycle();
	for (unsigned int i = 0; i < options.nproc; i++)
		child_stop(&children[i]);
	return workload_end();
}
