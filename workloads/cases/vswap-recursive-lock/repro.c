// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads of several processes page memory out, fault it in again, discard it and exit while it is
 * in swap, over several swap clusters, with huge pages and without, for a few seconds.
 *
 * The reports are of fuzzers whose program called MADV_PAGEOUT under a memory controller of
 * version 1.  What they have in common is the way through __remove_mapping() to memcg1_swapout().
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define PAGE ((size_t)4096)
#define OWN_BYTES (16 * MIB)	/* private memory of a process */
#define SHARED_BYTES (8 * MIB)	/* shared by all of them */
#define PROCESSES 4
#define THREADS 2
#define SECONDS 4

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

struct thread {
	pthread_t id;
	char *own, *shared;
	unsigned int seed;
	unsigned long steps;
};

static struct timespec until;

static bool is_over(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > until.tv_sec ||
	       (now.tv_sec == until.tv_sec && now.tv_nsec >= until.tv_nsec);
}

static void write_pages(char *at, size_t bytes, unsigned int value)
{
	for (size_t i = 0; i < bytes; i += PAGE)
		memcpy(at + i, &value, sizeof(value));
}

static void read_pages(const char *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += PAGE)
		(void)*(const volatile char *)(at + i);
}

/* A child that shares the swapped pages, takes some of them in and ends while others are out. */
static void fork_once(char *at, size_t bytes)
{
	pid_t pid = fork();

	if (pid == 0) {
		read_pages(at, bytes / 4);
		madvise(at, bytes, MADV_PAGEOUT);
		write_pages(at + bytes / 2, bytes / 4, 1);
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static void *work(void *argument)
{
	struct thread *thread = argument;

	for (; !is_over(); thread->steps++) {
		unsigned int draw = (unsigned int)rand_r(&thread->seed);
		bool is_shared = draw % 4 == 0;
		size_t total = is_shared ? SHARED_BYTES : OWN_BYTES;
		size_t bytes = ((size_t)1 << (12 + draw / 4 % 11)); /* 4K to 4M */
		size_t from = draw / 64 % (unsigned int)((total - bytes) / PAGE + 1) * PAGE;
		char *at = (is_shared ? thread->shared : thread->own) + from;

		switch (rand_r(&thread->seed) % 8) {
		case 0: case 1: case 2:
			madvise(at, bytes, MADV_PAGEOUT);
			break;
		case 3:
			write_pages(at, bytes, draw);
			madvise(at, bytes, MADV_PAGEOUT);
			break;
		case 4: case 5:
			read_pages(at, bytes);
			break;
		case 6:
			madvise(at, bytes, is_shared ? MADV_REMOVE : MADV_DONTNEED);
			break;
		case 7:
			fork_once(at, bytes);
			break;
		}
	}
	return NULL;
}

static void *map(size_t bytes, int kind)
{
	char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, kind | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return at;
}

/* All of its memory is out when it ends. */
static unsigned long run_process(unsigned int number, char *shared)
{
	struct thread threads[THREADS];
	unsigned long steps = 0;
	char *own = map(OWN_BYTES, MAP_PRIVATE);

	if (number % 2 == 0)
		madvise(own, OWN_BYTES, MADV_HUGEPAGE);
	write_pages(own, OWN_BYTES, number);
	for (unsigned int i = 0; i < THREADS; i++) {
		threads[i] = (struct thread){ .own = own, .shared = shared,
					      .seed = number * THREADS + i + 1 };
		if (pthread_create(&threads[i].id, NULL, work, &threads[i]) != 0) {
			perror("pthread_create");
			exit(1);
		}
	}
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(threads[i].id, NULL);
		steps += threads[i].steps;
	}
	madvise(own, OWN_BYTES, MADV_PAGEOUT);
	munmap(own + OWN_BYTES / 4, OWN_BYTES / 4);
	return steps;
}

/* Huge pages of middle size, too, where the kernel has them. */
static void allow_large(void)
{
	static const char *const sizes[] = { "16", "64", "512" };
	char path[128];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		FILE *file;

		snprintf(path, sizeof(path),
			 "/sys/kernel/mm/transparent_hugepage/hugepages-%skB/enabled", sizes[i]);
		file = fopen(path, "w");
		if (file != NULL) {
			fputs("always", file);
			fclose(file);
		}
	}
}

int main(void)
{
	unsigned long *steps, total = 0;
	char *shared;

	allow_large();
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += SECONDS;
	shared = map(SHARED_BYTES, MAP_SHARED);
	steps = map(PROCESSES * sizeof(*steps), MAP_SHARED);
	write_pages(shared, SHARED_BYTES, 0);
	for (unsigned int i = 0; i < PROCESSES; i++)
		if (fork() == 0) {
			steps[i] = run_process(i, shared);
			_exit(0);
		}
	while (wait(NULL) > 0)
		;
	for (unsigned int i = 0; i < PROCESSES; i++)
		total += steps[i];
	printf("steps %lu\n", total);
	return total == 0;
}
