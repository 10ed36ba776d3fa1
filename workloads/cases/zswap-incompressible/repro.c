// SPDX-License-Identifier: GPL-2.0-only
/*
 * Have memory of random content reclaimed from a cgroup with zswap.  Pages that do not compress are
 * refused, or kept as they are; does memory.stat tell whose they are?
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define GROUP "/sys/fs/cgroup/harness/random"
#define DEBUG "/sys/kernel/debug/zswap/"
#define BYTES ((size_t)32 << 20)
#define RECLAIM "25165824" /* 24M */

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void put(const char *path, const char *text, int may_fail)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || (write(fd, text, strlen(text)) != (ssize_t)strlen(text) && !may_fail))
		die(path);
	close(fd);
}

/* The number in a file that has nothing else; 0 if there is no such file. */
static unsigned long number(const char *path)
{
	unsigned long value = 0;
	FILE *file = fopen(path, "r");

	if (file != NULL && fscanf(file, "%lu", &value) != 1)
		value = 0;
	if (file != NULL)
		fclose(file);
	return value;
}

/* Of memory.stat; -1 if it has no such line. */
static long of_group(const char *name)
{
	char line[256];
	long value = -1;
	size_t length = strlen(name);
	FILE *file = fopen(GROUP "/memory.stat", "r");

	if (file == NULL)
		die(GROUP "/memory.stat");
	while (fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, name, length) == 0 && line[length] == ' ')
			value = strtol(line + length, NULL, 10);
	fclose(file);
	return value;
}

int main(void)
{
	unsigned long raw, refused;
	long counted;
	uint64_t state = 1;
	char *at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		die("mmap");
	if (mkdir(GROUP, 0755) != 0)
		die(GROUP);
	put(GROUP "/cgroup.procs", "0", 0);
	for (size_t i = 0; i < BYTES; i += sizeof(state)) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		memcpy(at + i, &state, sizeof(state));
	}
	raw = number(DEBUG "stored_incompressible_pages");
	refused = number(DEBUG "reject_compress_poor") + number(DEBUG "reject_compress_fail");
	put(GROUP "/memory.reclaim", RECLAIM, 1);
	sleep(3); /* the counters of a memcg are summed up every two seconds */
	raw = number(DEBUG "stored_incompressible_pages") - raw;
	refused = number(DEBUG "reject_compress_poor") + number(DEBUG "reject_compress_fail") -
		  refused;
	/* In bytes, as all amounts there. */
	counted = of_group("zswap_incomp");
	if (counted > 0)
		counted /= 4096;
	printf("zswpout %ld pages\n", of_group("zswpout"));
	printf("raw %lu pages\n", raw);
	printf("refused %lu pages\n", refused);
	printf("counted %ld pages\n", counted);
	printf("uncounted %ld pages\n", (long)raw - (counted > 0 ? counted : 0));
	put("/sys/fs/cgroup/harness/run/cgroup.procs", "0", 0);
	return 0;
}
