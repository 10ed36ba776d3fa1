// SPDX-License-Identifier: GPL-2.0-only
/*
 * Read random bytes of a mapped file from a cgroup whose memory.high is three quarters of the file.
 * Every read beyond that reads the disk: how busy is it?
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define GROUP "/sys/fs/cgroup/harness/refault"
#define FILE_NAME "/mnt/swap/swapfile" /* which is there, and no swap area: hold=yes */
#define BYTES ((size_t)48 << 20)
#define HIGH "37748736" /* 36M */
#define SECONDS 3

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

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die(path);
	close(fd);
}

static unsigned long counter(const char *path, const char *name)
{
	char line[256];
	unsigned long value = 0;
	size_t length = strlen(name);
	FILE *file = fopen(path, "r");

	if (file == NULL)
		die(path);
	while (fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, name, length) == 0 && line[length] == ' ')
			value = strtoul(line + length, NULL, 10);
	fclose(file);
	return value;
}

/* Sectors read, and milliseconds in which there was a request. */
static void disk(unsigned long *sectors, unsigned long *busy_ms)
{
	FILE *file = fopen("/sys/block/nullb0/stat", "r");

	if (file == NULL ||
	    fscanf(file, "%*u %*u %lu %*u %*u %*u %*u %*u %*u %lu", sectors, busy_ms) != 2)
		die("/sys/block/nullb0/stat");
	fclose(file);
}

/* Written once, so that its blocks have content, and then out of the page cache. */
static int make_file(void)
{
	static char buffer[1 << 20];
	int fd = open(FILE_NAME, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die(FILE_NAME);
	memset(buffer, 0, sizeof(buffer));
	for (size_t done = 0; done < BYTES; done += sizeof(buffer))
		if (write(fd, buffer, sizeof(buffer)) != sizeof(buffer))
			die(FILE_NAME);
	if (fsync(fd) != 0)
		die("fsync");
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return fd;
}

int main(void)
{
	unsigned long read, busy, read_end, busy_end, reads = 0, refaults;
	unsigned int seed = 1;
	uint64_t begin, took;
	int fd = make_file();
	char *at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		die("mmap");
	if (mkdir(GROUP, 0755) != 0)
		die(GROUP);
	put(GROUP "/memory.high", HIGH);
	put(GROUP "/cgroup.procs", "0");
	/* Until it is at its limit. */
	for (size_t i = 0; i < BYTES; i += 4096)
		if (((volatile char *)at)[i] != 0)
			return 1;
	refaults = counter(GROUP "/memory.stat", "workingset_refault_file");
	disk(&read, &busy);
	begin = now_ns();
	do {
		if (((volatile char *)at)[(size_t)rand_r(&seed) % BYTES] != 0)
			return 1;
		reads++;
		took = now_ns() - begin;
	} while (took < (uint64_t)SECONDS * 1000000000u);
	disk(&read_end, &busy_end);
	printf("disk_busy %.2f percent\n", (double)(busy_end - busy) * 1e8 / (double)took);
	printf("disk_read %.2f MB/s\n", (double)(read_end - read) * 512e3 / (double)took);
	printf("refaults %lu pages\n",
	       counter(GROUP "/memory.stat", "workingset_refault_file") - refaults);
	printf("high_events %lu events\n", counter(GROUP "/memory.events", "high"));
	printf("reads %.0f per_s\n", (double)reads * 1e9 / (double)took);
	put("/sys/fs/cgroup/harness/run/cgroup.procs", "0");
	return 0;
}
