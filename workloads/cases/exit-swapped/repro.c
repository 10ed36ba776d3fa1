// SPDX-License-Identifier: GPL-2.0-only
/*
 * End a process that has half of its memory in swap, and one that has only the other half: which
 * part of its exit is for what was swapped?
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HALF ((size_t)32 << 20)
#define PAGE ((size_t)4096)
#define ROUNDS 3

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Half a page of what does not compress. */
static void fill(char *at, size_t bytes, unsigned int seed)
{
	for (size_t page = 0; page < bytes; page += PAGE) {
		memset(at + page, 1, PAGE);
		for (size_t i = 0; i < PAGE / 2; i += sizeof(int)) {
			int value = rand_r(&seed);

			memcpy(at + page + i, &value, sizeof(value));
		}
	}
}

static size_t resident_pages(char *at, size_t bytes)
{
	static unsigned char pages[HALF / PAGE];
	size_t count = 0;

	if (mincore(at, bytes, pages) != 0)
		die("mincore");
	for (size_t i = 0; i < bytes / PAGE; i++)
		count += pages[i] & 1;
	return count;
}

static char *map(size_t bytes)
{
	char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED || madvise(at, bytes, MADV_NOHUGEPAGE) != 0)
		die("mmap");
	return at;
}

/* From SIGKILL until it is gone. */
static uint64_t time_exit(bool is_swapped)
{
	int ready[2];
	char byte;
	uint64_t begin;
	pid_t pid;

	if (pipe(ready) != 0)
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		char *resident = map(HALF);

		if (is_swapped) {
			char *out = map(HALF);

			fill(out, HALF, 1);
			if (madvise(out, HALF, MADV_PAGEOUT) != 0 ||
			    resident_pages(out, HALF) > HALF / PAGE / 10)
				_exit(1);
		}
		fill(resident, HALF, 2);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1) {
		fprintf(stderr, "the memory of the process did not go to swap\n");
		exit(1);
	}
	close(ready[0]);
	begin = now_ns();
	kill(pid, SIGKILL);
	if (waitpid(pid, NULL, 0) != pid)
		die("waitpid");
	return now_ns() - begin;
}

int main(void)
{
	uint64_t swapped = 0, resident = 0;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		swapped += time_exit(true);
		resident += time_exit(false);
	}
	printf("exit %.3f ms\n", (double)swapped / ROUNDS / 1e6);
	printf("exit_resident %.3f ms\n", (double)resident / ROUNDS / 1e6);
	printf("swap_part %.2f percent\n",
	       100.0 * ((double)swapped - (double)resident) / (double)swapped);
	printf("swap_page %.0f ns/page\n",
	       ((double)swapped - (double)resident) / ROUNDS / (double)(HALF / PAGE));
	return 0;
}
