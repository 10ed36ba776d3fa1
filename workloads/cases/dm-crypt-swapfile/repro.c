// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes that together use more memory than there is, with content that nothing compresses, for
 * some seconds.  Where swap lies on dm-crypt, encryption takes memory to free memory: does anybody
 * get on?
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

#define PROCESSES 4
#define PAGE ((size_t)4096)
#define SECONDS 4
#define EXTRA_PERCENT 30 /* of free memory, on top of it */

struct shared {
	_Atomic uint64_t pages;		/* written by all processes */
	_Atomic uint64_t last_ns;	/* when the last page was written */
	_Atomic uint64_t longest_ns;	/* without any page written */
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static size_t available_bytes(void)
{
	char line[128];
	size_t kib = 0;
	FILE *file = fopen("/proc/meminfo", "r");

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, "MemAvailable:", 13) == 0)
			kib = strtoul(line + 13, NULL, 10);
	if (file != NULL)
		fclose(file);
	return kib << 10;
}

static void write_page(char *at, uint64_t *state)
{
	for (size_t i = 0; i < PAGE; i += sizeof(*state)) {
		*state ^= *state << 13;
		*state ^= *state >> 7;
		*state ^= *state << 17;
		memcpy(at + i, state, sizeof(*state));
	}
}

static void use(struct shared *shared, size_t bytes, uint64_t seed)
{
	uint64_t state = seed;
	char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED) {
		perror("mmap");
		_exit(1);
	}
	for (size_t i = 0;; i = (i + PAGE) % bytes) {
		uint64_t now, gap;

		write_page(at + i, &state);
		now = now_ns();
		gap = now - atomic_exchange(&shared->last_ns, now);
		/* Another one may have come between. */
		if ((int64_t)gap > 0 && gap > shared->longest_ns)
			shared->longest_ns = gap;
		shared->pages++;
	}
}

int main(void)
{
	size_t bytes = available_bytes() / 100 * (100 + EXTRA_PERCENT) / PROCESSES / PAGE * PAGE;
	struct shared *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct timespec time = { .tv_sec = SECONDS };
	pid_t pids[PROCESSES];

	if (shared == MAP_FAILED || bytes == 0) {
		perror("set-up");
		return 1;
	}
	shared->last_ns = now_ns();
	for (unsigned int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			use(shared, bytes, i + 1);
	}
	nanosleep(&time, NULL);
	printf("pages %" PRIu64 " pages\n", shared->pages);
	printf("longest_gap %.3f ms\n", (double)shared->longest_ns / 1e6);
	printf("last_gap %.3f ms\n", (double)(now_ns() - shared->last_ns) / 1e6);
	fflush(stdout);
	for (unsigned int i = 0; i < PROCESSES; i++)
		kill(pids[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	return 0;
}
