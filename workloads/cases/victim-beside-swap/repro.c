// SPDX-License-Identifier: GPL-2.0-only
/*
 * A receiver of TCP data in a memcg gets 60 MB/s from a sender that goes by the clock.  How much of
 * it is left when a process in the same memcg swaps on zram?
 *
 * The one that swaps has the lowest priority, so that a fair share of the CPU is not what is seen.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GROUP "/sys/fs/cgroup/harness/victim"
#define LIMIT "33554432"		/* 32M */
#define SWAPPED ((size_t)64 << 20)
#define PAGE ((size_t)4096)
#define RATE_MB 60u
#define TICK_MS 4u
#define SECONDS 1

static _Atomic uint64_t *received;

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

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die(path);
	close(fd);
}

static void receive(int listener)
{
	static char buffer[64 << 10];
	ssize_t got;
	int fd;

	put(GROUP "/cgroup.procs", "0");
	fd = accept(listener, NULL, NULL);
	if (fd < 0)
		die("accept");
	while ((got = read(fd, buffer, sizeof(buffer))) > 0)
		*received += (uint64_t)got;
	_exit(0);
}

/* So much each TICK_MS, or what the receiver takes. */
static void send_all(struct sockaddr_in address)
{
	static char buffer[RATE_MB * 1000 * TICK_MS];
	uint64_t next = now_ns();
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		die("connect");
	for (;;) {
		size_t sent = 0;
		uint64_t now;

		while (sent < sizeof(buffer)) {
			ssize_t some = write(fd, buffer + sent, sizeof(buffer) - sent);

			if (some <= 0)
				_exit(0);
			sent += (size_t)some;
		}
		next += TICK_MS * 1000000u;
		now = now_ns();
		if (next > now)
			nap((long)((next - now) / 1000000 + 1));
		else
			next = now; /* what was not sent in time is not made up for */
	}
}

static void swap(void)
{
	unsigned int seed = 1;
	char *at;

	put(GROUP "/cgroup.procs", "0");
	if (nice(19) < 0)
		die("nice");
	at = mmap(NULL, SWAPPED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		die("mmap");
	for (size_t i = 0; i < SWAPPED; i += sizeof(int)) {
		int value = i % PAGE < PAGE / 3 ? rand_r(&seed) : 1;

		memcpy(at + i, &value, sizeof(value));
	}
	for (;;)
		at[(size_t)rand_r(&seed) % (SWAPPED / PAGE) * PAGE + PAGE - 1]++;
}

static unsigned long swapped_out(void)
{
	char line[256];
	unsigned long value = 0;
	FILE *file = fopen("/proc/vmstat", "r");

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, "pswpout ", 8) == 0)
			value = strtoul(line + 8, NULL, 10);
	if (file != NULL)
		fclose(file);
	return value;
}

static double rate(void)
{
	uint64_t begin = now_ns(), before = *received;

	nap(SECONDS * 1000L);
	return (double)(*received - before) * 1e3 / (double)(now_ns() - begin);
}

int main(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	unsigned long swapped;
	double alone, beside;
	pid_t pids[3];

	received = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (received == MAP_FAILED)
		die("mmap");
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(listener, 1) != 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &size) != 0)
		die("socket");
	if (mkdir(GROUP, 0755) != 0)
		die(GROUP);
	put(GROUP "/memory.max", LIMIT);
	pids[0] = fork();
	if (pids[0] == 0)
		receive(listener);
	pids[1] = fork();
	if (pids[1] == 0)
		send_all(address);
	nap(100);
	alone = rate();
	pids[2] = fork();
	if (pids[2] == 0)
		swap();
	nap(500); /* until it is at the limit */
	swapped = swapped_out();
	beside = rate();
	swapped = swapped_out() - swapped;
	printf("kept %.2f percent\n", 100 * beside / alone);
	printf("alone %.2f MB/s\nbeside %.2f MB/s\n", alone, beside);
	printf("swapouts %lu pages\n", swapped);
	fflush(stdout);
	for (unsigned int i = 0; i < 3; i++)
		kill(pids[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	return 0;
}
