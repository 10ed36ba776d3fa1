// SPDX-License-Identifier: GPL-2.0-only
/*
 * Write zeros to every page of a mapping, with a page of other content now and then, page it all
 * out and read it in order: how many pages are read ahead of their faults?
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096
#define PAGES 8192ul
#define ROUNDS 2
#define OTHER 16 /* one page in so many is not zero-filled */

static unsigned long counter(const char *name)
{
	char line[256];
	unsigned long value = 0;
	size_t length = strlen(name);
	FILE *file = fopen("/proc/vmstat", "r");

	if (file == NULL) {
		perror("/proc/vmstat");
		exit(1);
	}
	while (fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, name, length) == 0 && line[length] == ' ')
			value = strtoul(line + length, NULL, 10);
	fclose(file);
	return value;
}

static void fill(unsigned char *at, unsigned int round)
{
	for (unsigned long i = 0; i < PAGES; i++) {
		memset(at + i * PAGE, 0, PAGE);
		if (i % OTHER == 0)
			for (unsigned int byte = 0; byte < PAGE; byte++)
				at[i * PAGE + byte] = (unsigned char)(i + byte + round);
	}
}

int main(void)
{
	unsigned char *at = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned long ahead = 0, hits = 0, in = 0, zero_in = 0;

	if (at == MAP_FAILED || madvise(at, PAGES * PAGE, MADV_NOHUGEPAGE) != 0) {
		perror("mmap");
		return 1;
	}
	for (unsigned int round = 0; round < ROUNDS; round++) {
		fill(at, round);
		if (madvise(at, PAGES * PAGE, MADV_PAGEOUT) != 0) {
			perror("MADV_PAGEOUT");
			return 1;
		}
		ahead -= counter("swap_ra");
		hits -= counter("swap_ra_hit");
		in -= counter("pswpin");
		zero_in -= counter("swpin_zero");
		for (unsigned long i = 0; i < PAGES; i++)
			if (at[i * PAGE + 1] != (i % OTHER == 0 ? (unsigned char)(i + 1 + round) : 0)) {
				fprintf(stderr, "page %lu came back with other content\n", i);
				return 1;
			}
		ahead += counter("swap_ra");
		hits += counter("swap_ra_hit");
		in += counter("pswpin");
		zero_in += counter("swpin_zero");
	}
	printf("swap_ra %lu pages\nswap_ra_hit %lu pages\n", ahead, hits);
	printf("read %lu pages\nread_zero %lu pages\n", in, zero_in);
	return 0;
}
