// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fill memory and a zram device that is the only swap until next to nothing is left of it, and go
 * on using that memory.  A small task beside it wakes up every 10 ms and uses a megabyte of its own:
 * how long does it get nowhere?
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define PIECE ((size_t)1 << 20)
#define PIECES_MAX 4096
#define LEFT_KIB 1024u	/* of swap: it is as good as full */
#define SECONDS 2
#define SMALL_BYTES ((size_t)1 << 20)

struct shared {
	_Atomic int is_full;
	_Atomic uint64_t used;		/* pages written while it is full */
	_Atomic uint64_t longest_ns;	/* of a turn of the small task */
	_Atomic uint64_t turns;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void nap(long ms)
{
	struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

static unsigned long meminfo_kib(const char *name)
{
	char line[128];
	unsigned long kib = 0;
	size_t length = strlen(name);
	FILE *file = fopen("/proc/meminfo", "r");

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, name, length) == 0 && line[length] == ':')
			kib = strtoul(line + length + 1, NULL, 10);
	if (file != NULL)
		fclose(file);
	return kib;
}

static char *map(size_t bytes, int kind)
{
	char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, kind | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return at;
}

/* A third of each page is random: it compresses to about as much. */
static void fill(char *at, uint64_t *state)
{
	for (size_t i = 0; i < PAGE / 3; i += sizeof(*state)) {
		*state ^= *state << 13;
		*state ^= *state >> 7;
		*state ^= *state << 17;
		memcpy(at + i, state, sizeof(*state));
	}
	memset(at + PAGE / 2, 1, PAGE / 2);
}

static void hog(struct shared *shared)
{
	static char *pieces[PIECES_MAX];
	unsigned int count = 0, seed = 1;
	uint64_t state = 1;

	while (count < PIECES_MAX && meminfo_kib("SwapFree") > LEFT_KIB) {
		pieces[count] = map(PIECE, MAP_PRIVATE);
		for (size_t i = 0; i < PIECE; i += PAGE)
			fill(pieces[count] + i, &state);
		count++;
	}
	shared->is_full = 1;
	for (;;) {
		char *piece = pieces[(unsigned int)rand_r(&seed) % count];

		piece[(size_t)rand_r(&seed) % (PIECE / PAGE) * PAGE + PAGE - 1]++;
		shared->used++;
	}
}

static void be_small(struct shared *shared)
{
	char *own = map(SMALL_BYTES, MAP_PRIVATE);

	memset(own, 1, SMALL_BYTES);
	for (;;) {
		uint64_t begin = now_ns(), took;

		nap(10);
		for (size_t i = 0; i < SMALL_BYTES; i += PAGE)
			own[i]++;
		took = now_ns() - begin;
		if (shared->is_full != 0) {
			shared->turns++;
			if (took > shared->longest_ns)
				shared->longest_ns = took;
		}
	}
}

int main(void)
{
	struct shared *shared = (struct shared *)map(PAGE, MAP_SHARED);
	pid_t small = fork(), large;

	if (small == 0)
		be_small(shared);
	large = fork();
	if (large == 0)
		hog(shared);
	/* Not for ever: the kernel may have killed it. */
	while (shared->is_full == 0 && waitpid(large, NULL, WNOHANG) == 0)
		nap(10);
	if (shared->is_full == 0) {
		kill(small, SIGKILL);
		fprintf(stderr, "swap was not filled\n");
		return 1;
	}
	nap(SECONDS * 1000L);
	printf("longest_turn %.3f ms\n", (double)shared->longest_ns / 1e6);
	printf("turns %" PRIu64 " turns\n", shared->turns);
	printf("used %" PRIu64 " pages\n", shared->used);
	printf("swap_left %lu KiB\n", meminfo_kib("SwapFree"));
	fflush(stdout);
	kill(large, SIGKILL);
	kill(small, SIGKILL);
	while (wait(NULL) > 0)
		;
	return 0;
}
