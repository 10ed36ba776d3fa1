// SPDX-License-Identifier: GPL-2.0-only
/*
 * age PERCENT STEPS SEED
 *
 * Put pages into swap until PERCENT of it are in use, then STEPS times free a
 * run of 1 to 64 pages at a random place and swap as many out from another: an
 * area with a history.  The same SEED gives the same history.  A child keeps the
 * pages, in the memcg of its caller, until the guest ends.  Prints, tab-separated,
 * what is in use then.
 *
 * A page compresses to about a quarter, and no two are the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../workloads/common/workload.h"

#define PAGE 4096UL
#define RUN_MAX 64
#define CHUNK 256
/* Chunks of which none is swapped out: what is free then, no page gets. */
#define IDLE_MAX 64

static uint64_t random_state;
static unsigned char *region, *used;
static size_t region_pages;

static uint64_t draw(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* A line of /proc/meminfo, in pages. */
static size_t meminfo(const char *name)
{
	char line[256];
	size_t found = 0;
	FILE *file = fopen("/proc/meminfo", "re");

	if (file == NULL)
		die(STATUS_FAILED, "Cannot open /proc/meminfo: %s.", strerror(errno));
	while (fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, name, strlen(name)) == 0)
			found = strtoull(line + strlen(name), NULL, 10) / 4;
	fclose(file);
	return found;
}

static size_t in_use(void)
{
	return meminfo("SwapTotal:") - meminfo("SwapFree:");
}

static void page_out(size_t first, size_t count)
{
	/* The second time for what the first time only began to write. */
	for (int i = 0; i < 2; i++)
		madvise(region + first * PAGE, count * PAGE, MADV_PAGEOUT);
}

static void write_page(size_t page)
{
	uint64_t *words = (uint64_t *)(region + page * PAGE);

	for (size_t i = 0; i < PAGE / sizeof(*words) / 4; i++)
		words[i] = draw();
	used[page] = 1;
}

static void fill(size_t wanted)
{
	size_t done = 0, before = in_use(), now, idle = 0;

	while (done + CHUNK <= region_pages && before < wanted && idle < IDLE_MAX) {
		for (size_t i = 0; i < CHUNK; i++)
			write_page(done + i);
		page_out(done, CHUNK);
		done += CHUNK;
		now = in_use();
		idle = now > before ? 0 : idle + 1;
		before = now;
	}
}

/* Free a run of pages at a random place; how many that were. */
static size_t free_run(void)
{
	size_t first = draw() % (region_pages - RUN_MAX), length = 1 + draw() % RUN_MAX, freed = 0;

	for (size_t page = first; page < first + length; page++) {
		freed += used[page];
		used[page] = 0;
	}
	madvise(region + first * PAGE, length * PAGE, MADV_DONTNEED);
	return freed;
}

static void swap_out_run(size_t count)
{
	size_t page = draw() % region_pages, first = page;

	while (count > 0) {
		if (page == region_pages) {
			page_out(first, page - first);
			page = first = 0;
		}
		if (!used[page]) {
			write_page(page);
			count--;
		}
		page++;
	}
	page_out(first, page - first);
}

static void keep(size_t percent, size_t steps, int ready)
{
	size_t total = meminfo("SwapTotal:"), wanted = total * percent / 100;
	char text[64];
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	(void)!write(fd, "-1000", 5);
	close(fd);
	/* Twice the level, so that a place is in use with a probability of one half. */
	region_pages = wanted * 2 + IDLE_MAX * CHUNK;
	region = mmap(NULL, region_pages * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	used = calloc(region_pages, 1);
	if (region == MAP_FAILED || used == NULL)
		die(STATUS_FAILED, "Cannot map %zu pages: %s.", region_pages, strerror(errno));
	madvise(region, region_pages * PAGE, MADV_NOHUGEPAGE);
	fill(wanted);
	for (size_t i = 0; i < steps; i++)
		swap_out_run(free_run());
	snprintf(text, sizeof(text), "%zu %zu", in_use(), total);
	(void)!write(ready, text, strlen(text));
	close(ready);
	for (int i = 0; i < 3; i++)
		close(i);
	setsid();
	for (;;)
		pause();
}

static size_t number(const char *text)
{
	uint64_t value;

	if (!parse_size(text, &value))
		die(STATUS_USAGE, "'%s' is no number.", text);
	return value;
}

int main(int argc, char **argv)
{
	size_t percent, steps, swapped = 0, total = 0;
	char text[64] = "";
	int ends[2];

	if (argc != 4)
		die(STATUS_USAGE, "usage: age PERCENT STEPS SEED");
	percent = number(argv[1]);
	steps = number(argv[2]);
	random_state = number(argv[3]) * 2 + 1;
	if (percent > 100)
		die(STATUS_USAGE, "%zu %% of swap cannot be in use.", percent);
	if (pipe(ends) != 0)
		die(STATUS_FAILED, "Cannot make a pipe: %s.", strerror(errno));
	switch (fork()) {
	case -1:
		die(STATUS_FAILED, "Cannot fork: %s.", strerror(errno));
	case 0:
		close(ends[0]);
		keep(percent, steps, ends[1]);
	}
	close(ends[1]);
	if (read(ends[0], text, sizeof(text) - 1) <= 0 ||
	    sscanf(text, "%zu %zu", &swapped, &total) != 2)
		die(STATUS_FAILED, "It ended before swap was filled.");
	if (swapped < total * percent / 100 * 98 / 100)
		die(STATUS_FAILED, "Only %zu of %zu pages of swap are in use, not %zu %%.",
		    swapped, total, percent);
	printf("age\t%zu of %zu pages in use after %zu steps with seed %s\n", swapped, total, steps,
	       argv[3]);
	return 0;
}
