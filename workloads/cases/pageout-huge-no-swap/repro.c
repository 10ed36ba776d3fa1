// SPDX-License-Identifier: GPL-2.0-only
/*
 * MADV_PAGEOUT of anonymous memory that is in huge pages where there is no swap area: nothing can
 * go out.  What does it cost, and are the huge pages there afterwards?
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE ((size_t)4096)
#define HUGE ((size_t)2 << 20)
#define BYTES ((size_t)16 << 20)
#define PAGES (BYTES / PAGE)
#define ROUNDS 16

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The number after a name that a line begins with; the sum of all such lines. */
static unsigned long sum_of(const char *path, const char *name)
{
	char line[512];
	unsigned long sum = 0;
	size_t length = strlen(name);
	FILE *file = fopen(path, "r");

	if (file == NULL) {
		perror(path);
		exit(1);
	}
	while (fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, name, length) == 0)
			sum += strtoul(line + length, NULL, 10);
	fclose(file);
	return sum;
}

static unsigned long huge_kib(void)
{
	return sum_of("/proc/self/smaps", "AnonHugePages:");
}

static void write_all(char *at, unsigned int round)
{
	for (size_t i = 0; i < BYTES; i += PAGE)
		at[i] = (char)(round + i / PAGE);
}

int main(void)
{
	uint64_t advise = 0, write = 0, begin, between, end;
	unsigned long before, after, splits = sum_of("/proc/vmstat", "thp_split_page ");
	char *mapped = mmap(NULL, BYTES + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
	char *at = (char *)(((uintptr_t)mapped + HUGE - 1) & ~(HUGE - 1));

	if (mapped == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	write_all(at, 0);
	before = huge_kib();
	for (unsigned int round = 1; round <= ROUNDS; round++) {
		begin = now_ns();
		madvise(at, BYTES, MADV_PAGEOUT);
		between = now_ns();
		write_all(at, round);
		end = now_ns();
		advise += between - begin;
		write += end - between;
	}
	after = huge_kib();
	for (size_t i = 0; i < BYTES; i += PAGE)
		if (at[i] != (char)(ROUNDS + i / PAGE)) {
			fprintf(stderr, "page %zu has other content\n", i / PAGE);
			return 1;
		}
	printf("advise %" PRIu64 " ns/page\n", advise / PAGES / ROUNDS);
	printf("cycle %" PRIu64 " ns/page\n", (advise + write) / PAGES / ROUNDS);
	printf("huge_before %lu KiB\nhuge_after %lu KiB\n", before, after);
	printf("huge_lost %ld KiB\n", (long)(before - after));
	printf("splits %lu pages\n", sum_of("/proc/vmstat", "thp_split_page ") - splits);
	return 0;
}
