// SPDX-License-Identifier: GPL-2.0-only
/*
 * Write a file that is many times larger than the memory limit, to a slow disk: reclaim finds dirty
 * pages and little else.  How fast does it get on, if it does?
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FILE_NAME "/mnt/swap/swapfile" /* which is there, and no swap area: hold=yes */
#define BYTES ((size_t)192 << 20)
#define PIECE ((size_t)1 << 20)

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int main(void)
{
	static char buffer[PIECE];
	int fd = open(FILE_NAME, O_WRONLY | O_CLOEXEC);
	uint64_t begin = now_ns(), took;

	if (fd < 0) {
		perror(FILE_NAME);
		return 1;
	}
	memset(buffer, 'd', sizeof(buffer));
	for (size_t done = 0; done < BYTES; done += PIECE)
		if (write(fd, buffer, PIECE) != (ssize_t)PIECE) {
			perror("write");
			return 1;
		}
	took = now_ns() - begin;
	printf("write_rate %.2f MB/s\n", (double)BYTES * 1e3 / (double)took);
	return 0;
}
