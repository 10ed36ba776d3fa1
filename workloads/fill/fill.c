// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fill the swap area to a given level in steps, with a mark at each, so that
 * metadata can be counted against entries in use.  Then, as asked: hold, turn
 * swap off, read everything back, and free it.
 *
 * Memory may be much smaller than the swap area: no more than a chunk is meant
 * to be in memory, and content is recomputed, never kept.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <unistd.h>

#include "../common/workload.h"

static struct {
	uint64_t level, bytes, steps, chunk, hold, seed;
	struct content content;
	unsigned int hugepages;
	bool verify, swapoff, allow_resident;
} options;

static const struct option_spec specs[] = {
	{ .name = "level", .type = OPTION_COUNT, .value = &options.level, .initial = "100",
	  .unit = "%", .min = 1, .max = 100, .help = "fill to this percentage of SwapTotal" },
	{ .name = "bytes", .type = OPTION_SIZE, .value = &options.bytes, .initial = "0",
	  .max = SIZE_MAX_BYTES, .multiple = PAGE_BYTES,
	  .help = "fill with so many bytes instead; 0: use level" },
	{ .name = "steps", .type = OPTION_COUNT, .value = &options.steps, .initial = "4", .min = 1,
	  .max = 100, .help = "equal steps, each with a mark" },
	CONTENT_OPTION(&options.content, "compressible:30"),
	CHUNK_OPTION(&options.chunk, "bytes in memory at a time"),
	HUGEPAGES_OPTION(&options.hugepages, "never"),
	{ .name = "hold", .type = OPTION_COUNT, .value = &options.hold, .initial = "0",
	  .unit = "s", .max = 1000000,
	  .help = "seconds to stay full; ends early at SIGTERM or when a piped stdin closes" },
	{ .name = "swapoff", .type = OPTION_FLAG, .value = &options.swapoff, .initial = "no",
	  .help = "turn all swap off and time it; needs memory for all of it" },
	{ .name = "verify", .type = OPTION_FLAG, .value = &options.verify, .initial = "yes",
	  .help = "read everything back and compare" },
	SEED_OPTION(&options.seed, "of the content"),
	ALLOW_RESIDENT_OPTION(&options.allow_resident,
			      "go on although pages stay in memory (for tests)"),
};

static const struct metric_spec metrics[] = {
	COST_METRICS("fill", "to make the content of a page and push it out",
		     "the program for the same"),
	COST_METRICS("swapout", "in MADV_PAGEOUT alone, for each page",
		     "the program in MADV_PAGEOUT alone, for each page"),
	COST_METRICS("free", "to unmap everything, nearly all of it in swap, for each page",
		     "the program for the same"),
	COST_METRICS("swapoff",
		     "of swapoff for each page that had been filled; only with swapoff=yes",
		     "the program in swapoff; only with swapoff=yes"),
	METRIC("pages_swapped_out", "pages", HIGHER,
	       "pages out of memory, swap cache included, after the last step"),
	METRIC("swapped_memory", "B", HIGHER, "pages_swapped_out in bytes"),
	METRIC("pageout_repeats", "calls", LOWER,
	       "further MADV_PAGEOUT calls, untimed, that this took"),
	METRIC("swap_free_before", "B", HIGHER, "SwapFree before the first step"),
	METRIC("swap_free_after", "B", HIGHER,
	       "SwapFree after the last step; counts physical slots, so virtual entries do not "
	       "show"),
};

static struct {
	char *base;
	uint64_t bytes, pages;
	struct filler filler;
} run;

static uint64_t target_bytes(void)
{
	uint64_t total, used, wanted;

	if (options.bytes > 0)
		return options.bytes;
	total = meminfo_bytes("SwapTotal");
	used = total - meminfo_bytes("SwapFree");
	wanted = total / 100 * options.level;
	if (total == 0)
		die(STATUS_FAILED, "--level needs a swap area, but SwapTotal is 0: turn swap on or "
		    "give --bytes.");
	if (wanted <= used)
		die(STATUS_FAILED, "Swap is already filled to --level=%" PRIu64 ": %" PRIu64
		    " of %" PRIu64 " bytes are in use.", options.level, used, total);
	return wanted - used;
}

static void prepare(void)
{
	lock_program();
	run.bytes = target_bytes() / PAGE_BYTES * PAGE_BYTES;
	run.pages = run.bytes / PAGE_BYTES;
	if (run.pages < options.steps)
		die(STATUS_USAGE, "There are fewer pages (%" PRIu64 ") than --steps.", run.pages);
	run.base = memory_map(run.bytes, options.hugepages);
	run.filler = filler_make(run.base, run.pages, options.chunk, &options.content,
				 options.seed, options.allow_resident);
}

static void mark_filled(uint64_t swapped)
{
	char text[MARK_BYTES];

	snprintf(text, sizeof(text), "filled:%" PRIu64, swapped);
	mark(text);
}

static void fill_steps(void)
{
	struct cost whole = { .channel = COST_WHOLE };
	uint64_t swapped = 0, repeats = 0, end = 0;
	struct phase phase;

	mark_filled(0);
	count_clear(whole.channel);
	for (unsigned int step = 1; step <= options.steps; step++) {
		uint64_t first = end;

		end = run.pages * step / options.steps;
		phase_begin(&phase, "fill", step);
		count_begin(whole.channel);
		filler_fill(&run.filler, first, end);
		count_end(whole.channel);
		phase_end(&phase);
		cost_add(&whole, &phase.cost);
		repeats += filler_settle(&run.filler, end);
		swapped = memory_swapped_pages(run.base, end);
		mark_filled(swapped);
	}
	emit_cost("fill", 0, &whole, run.pages);
	emit_cost("swapout", 0, &run.filler.out, run.pages);
	emit_metric("pages_swapped_out", 0, (double)swapped);
	emit_metric("swapped_memory", 0, (double)(swapped * PAGE_BYTES));
	emit_metric("pageout_repeats", 0, (double)repeats);
	filler_require_swapped(&run.filler, swapped, run.pages);
}

/* /dev/null is always at its end, so only pipes, sockets and terminals count. */
static bool stdin_can_close(void)
{
	struct stat info;

	if (fstat(STDIN_FILENO, &info) != 0)
		return false;
	return S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode) || isatty(STDIN_FILENO);
}

static bool stdin_at_end(void)
{
	char scrap[512];
	ssize_t got = read(STDIN_FILENO, scrap, sizeof(scrap));

	return got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN);
}

static void wait_until_released(int signals)
{
	uint64_t deadline = now_ns() + options.hold * UINT64_C(1000000000);
	struct pollfd fds[2] = {
		{ .fd = signals, .events = POLLIN },
		{ .fd = stdin_can_close() ? STDIN_FILENO : -1, .events = POLLIN },
	};

	for (uint64_t now = now_ns(); now < deadline; now = now_ns()) {
		uint64_t left_ms = (deadline - now) / 1000000 + 1;

		if (poll(fds, 2, (int)(left_ms < 1000000 ? left_ms : 1000000)) < 0 &&
		    errno != EINTR)
			die(STATUS_FAILED, "poll failed: %s.", strerror(errno));
		if (fds[0].revents != 0)
			return;
		if (fds[1].revents != 0 && stdin_at_end())
			return;
	}
}

static void hold(void)
{
	struct signalfd_siginfo info;
	struct phase phase;
	sigset_t set;
	int signals;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		die(STATUS_FAILED, "signalfd failed: %s.", strerror(errno));
	phase_begin(&phase, "hold", 0);
	wait_until_released(signals);
	phase_end(&phase);
	/* Take the signal that ended the hold, so that unblocking does not kill us. */
	while (read(signals, &info, sizeof(info)) > 0)
		;
	close(signals);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void swap_off(void)
{
	struct swap_area areas[8];
	size_t count = swap_areas(areas, COUNT_OF(areas));
	struct phase phase;

	if (count == 0)
		die(STATUS_FAILED, "--swapoff finds no active swap area in /proc/swaps.");
	phase_begin(&phase, "swapoff", 0);
	for (size_t i = 0; i < count; i++)
		if (swapoff(areas[i].path) != 0)
			die(STATUS_FAILED, "swapoff of '%s' failed: %s.", areas[i].path,
			    strerror(errno));
	phase_end(&phase);
	emit_phase_cost(&phase, run.pages);
}

/* Each chunk goes out again after it was compared: so memory may be small. */
static void verify(void)
{
	uint64_t chunk_pages = options.chunk / PAGE_BYTES;
	uint64_t bad = 0;

	for (uint64_t page = 0; page < run.pages; page += chunk_pages) {
		uint64_t left = run.pages - page;
		uint64_t pages = left < chunk_pages ? left : chunk_pages;
		char *start = run.base + page * PAGE_BYTES;

		bad += content_verify(&options.content, options.seed, page, start, pages);
		memory_pageout(start, pages * PAGE_BYTES, options.chunk);
	}
	require_intact(0, run.pages, bad);
	if (!options.swapoff)
		filler_settle(&run.filler, run.pages);
}

static void release(void)
{
	struct phase phase;

	phase_begin(&phase, "free", 0);
	memory_unmap(run.base, run.bytes);
	phase_end(&phase);
	emit_phase_cost(&phase, run.pages);
}

int main(int argc, char **argv)
{
	workload_begin(argc, argv, TABLE(specs), TABLE(metrics), NULL);
	prepare();
	emit_metric("swap_free_before", 0, (double)meminfo_bytes("SwapFree"));
	fill_steps();
	emit_metric("swap_free_after", 0, (double)meminfo_bytes("SwapFree"));
	if (options.hold > 0)
		hold();
	if (options.swapoff)
		swap_off();
	if (options.verify)
		verify();
	release();
	return workload_end();
}
