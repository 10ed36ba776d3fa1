// SPDX-License-Identifier: GPL-2.0-only
/*
 * Remove a cgroup while somebody writes its memory.reclaim, memory.high or memory.max: how long
 * does rmdir take, and how long a reader of /proc/self/cgroup meanwhile?
 *
 * The memory belongs to a cgroup of its own.  Its process has moved out of it and goes on to use
 * the memory, so that pages come back as fast as they go and the reclaim has no end: a signal ends
 * it after PATIENCE_MS.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TOP "/sys/fs/cgroup/harness"
#define GROUP TOP "/removed"
#define BYTES ((size_t)16 << 20)
#define PAGE ((size_t)4096)
#define PATIENCE_MS 1500
#define USERS 4 /* processes that use the memory */

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

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return done;
}

/* What zram and zswap cannot make smaller. */
static void fill(char *at, size_t bytes, uint64_t state)
{
	for (size_t i = 0; i < bytes; i += sizeof(state)) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		memcpy(at + i, &state, sizeof(state));
	}
}

/* In an order that is read ahead by nobody, until its parent is gone. */
static void use(char *at, size_t start)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = start * 1237;; i = i * 5 + 1) {
		i %= BYTES / PAGE;
		at[i * PAGE]++;
	}
}

/* Takes the memory inside the cgroup, leaves it, and uses the memory until it is killed. */
static pid_t start_holder(uint64_t seed)
{
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe(ready) != 0)
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		char *at;

		if (!put(GROUP "/cgroup.procs", "0"))
			die(GROUP "/cgroup.procs");
		at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (at == MAP_FAILED)
			die("mmap");
		fill(at, BYTES, seed);
		if (!put(TOP "/run/cgroup.procs", "0"))
			die(TOP "/run/cgroup.procs");
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (uintptr_t i = 1; i < USERS; i++)
			if (fork() == 0)
				use(at, i);
		use(at, 0);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1) {
		fprintf(stderr, "the holder of the memory failed\n");
		exit(1);
	}
	close(ready[0]);
	return pid;
}

static pid_t start_writer(const char *file, const char *value)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0)
		/* EAGAIN when there is no more to reclaim, or the cgroup is gone. */
		_exit(put(file, value) ? 0 : 1);
	return pid;
}

static pid_t start_killer(pid_t writer)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		nap(PATIENCE_MS);
		kill(writer, SIGKILL);
		_exit(0);
	}
	return pid;
}

/* Reads its own place among the cgroups all the time, and tells the longest wait. */
static pid_t start_reader(uint64_t *longest)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	while (pid == 0) {
		char text[4096];
		uint64_t begin = now_ns(), took;
		int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);

		if (fd < 0 || read(fd, text, sizeof(text)) < 0)
			_exit(1);
		close(fd);
		took = now_ns() - begin;
		if (took > *longest)
			*longest = took;
		nap(10);
	}
	return pid;
}

int main(void)
{
	static const struct {
		const char *name, *file, *value;
	} writes[] = {
		{ "reclaim", GROUP "/memory.reclaim", "16M" },
		{ "high", GROUP "/memory.high", "1M" },
		{ "max", GROUP "/memory.max", "1M" },
	};
	uint64_t *reading = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				 -1, 0);
	uint64_t longest = 0;

	if (reading == MAP_FAILED)
		die("mmap");
	for (size_t i = 0; i < sizeof(writes) / sizeof(*writes); i++) {
		pid_t holder, writer, reader, killer;
		uint64_t begin, took;

		if (mkdir(GROUP, 0755) != 0)
			die("mkdir " GROUP);
		holder = start_holder(i + 1);
		writer = start_writer(writes[i].file, writes[i].value);
		reader = start_reader(reading);
		killer = start_killer(writer);
		nap(100); /* until the reclaim is under way */
		begin = now_ns();
		if (rmdir(GROUP) != 0)
			die("rmdir " GROUP);
		took = now_ns() - begin;
		nap(50); /* the reader's turn, who may wait for it */
		if (took > longest)
			longest = took;
		printf("rmdir_%s %.3f ms\n", writes[i].name, (double)took / 1e6);
		kill(reader, SIGKILL);
		kill(holder, SIGKILL);
		kill(killer, SIGKILL);
		kill(writer, SIGKILL);
		waitpid(killer, NULL, 0);
		waitpid(reader, NULL, 0);
		waitpid(holder, NULL, 0);
		waitpid(writer, NULL, 0);
	}
	printf("longest_rmdir %.3f ms\n", (double)longest / 1e6);
	printf("longest_read %.3f ms\n", (double)*reading / 1e6);
	return 0;
}
