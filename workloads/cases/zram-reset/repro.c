// SPDX-License-Identifier: GPL-2.0-only
/*
 * Write pages of every kind of content to random places of a zram device, from several processes,
 * reset the device, and look for objects that are still there.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define ADD "/sys/class/zram-control/hot_add"
#define REMOVE "/sys/class/zram-control/hot_remove"
#define PAGE 4096u
#define BYTES ((uint64_t)64 << 20)
#define PROCESSES 4
#define WRITES 2000u
#define ROUNDS 3

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

static unsigned int add_device(void)
{
	unsigned int number;
	FILE *file = fopen(ADD, "r");

	if (file == NULL || fscanf(file, "%u", &number) != 1)
		die(ADD);
	fclose(file);
	return number;
}

/* Objects in use of the slab caches whose names begin so. */
static long objects(const char *prefix)
{
	char line[512], name[64];
	long active, sum = 0;
	FILE *file = fopen("/proc/slabinfo", "r");

	if (file == NULL)
		die("/proc/slabinfo");
	while (fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "%63s %ld", name, &active) == 2 &&
		    strncmp(name, prefix, strlen(prefix)) == 0)
			sum += active;
	fclose(file);
	return sum;
}

static long all_objects(void)
{
	return objects("zspage") + objects("zs_handle");
}

/* From the same byte everywhere to what nothing compresses: every size of an object. */
static void make(unsigned char *page, unsigned int *seed)
{
	unsigned int random = (unsigned int)rand_r(seed) % (PAGE + 1);

	memset(page, rand_r(seed), PAGE);
	if (rand_r(seed) % 8 != 0)
		for (unsigned int i = 0; i < random; i++)
			page[i] = (unsigned char)(rand_r(seed) >> 8);
}

static void write_pages(const char *path, unsigned int seed)
{
	unsigned char *page = aligned_alloc(PAGE, PAGE);
	int fd = open(path, O_WRONLY | O_DIRECT | O_CLOEXEC);

	if (fd < 0 || page == NULL)
		die(path);
	for (unsigned int i = 0; i < WRITES; i++) {
		uint64_t at = (uint64_t)rand_r(&seed) % (BYTES / PAGE) * PAGE;

		make(page, &seed);
		if (pwrite(fd, page, PAGE, (off_t)at) != PAGE)
			die("pwrite");
	}
	close(fd);
}

int main(void)
{
	unsigned int number = add_device();
	char device[64], base[64], path[128], text[32];
	long before, first = 0, used = 0;

	snprintf(device, sizeof(device), "/dev/zram%u", number);
	snprintf(base, sizeof(base), "/sys/block/zram%u", number);
	before = all_objects();
	for (unsigned int round = 0; round < ROUNDS; round++) {
		int status, failed = 0;

		snprintf(path, sizeof(path), "%s/disksize", base);
		snprintf(text, sizeof(text), "%llu", (unsigned long long)BYTES);
		put(path, text);
		for (unsigned int i = 0; i < PROCESSES; i++)
			if (fork() == 0) {
				write_pages(device, round * PROCESSES + i + 1);
				_exit(0);
			}
		while (wait(&status) > 0)
			failed |= status;
		if (failed != 0)
			return 1;
		used = all_objects() - before;
		snprintf(path, sizeof(path), "%s/reset", base);
		put(path, "1");
		if (round == 0)
			first = all_objects();
	}
	printf("objects_used %ld objects\n", used);
	/* What the first reset left may be kept for reuse: SLUB's sheaves of free objects. */
	printf("objects_left %ld objects\n", all_objects() - first);
	snprintf(text, sizeof(text), "%u", number);
	put(REMOVE, text);
	return 0;
}
