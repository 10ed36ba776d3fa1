// SPDX-License-Identifier: GPL-2.0-only
/*
 * Read a file that is larger than memory, with a readahead of a quarter of memory.  All that is in
 * memory is younger than a second then: does the kernel find something to reclaim, or does it kill?
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILE_NAME "/mnt/swap/swapfile" /* which is there, and no swap area: hold=yes */
#define READAHEAD "/sys/block/nullb0/queue/read_ahead_kb"
#define READAHEAD_KIB "65536"
#define BYTES ((size_t)320 << 20)
#define PIECE ((size_t)1 << 20)
#define OWN_BYTES ((size_t)96 << 20) /* of its own, in use all the time */
#define PAGE ((size_t)4096)
#define ROUNDS 3

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Past the page cache: it is about reading. */
static void make_file(void)
{
	void *buffer = aligned_alloc(PAGE, PIECE);
	int fd = open(FILE_NAME, O_WRONLY | O_DIRECT | O_CLOEXEC);

	if (fd < 0 || buffer == NULL)
		die(FILE_NAME);
	memset(buffer, 'f', PIECE);
	for (size_t done = 0; done < BYTES; done += PIECE)
		if (write(fd, buffer, PIECE) != (ssize_t)PIECE)
			die("write");
	close(fd);
	free(buffer);
}

static void set_readahead(void)
{
	int fd = open(READAHEAD, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, READAHEAD_KIB, strlen(READAHEAD_KIB)) < 0)
		die(READAHEAD);
	close(fd);
}

int main(void)
{
	size_t pieces = 0, next = 0;
	char *own, *at;
	int fd;

	make_file();
	set_readahead();
	own = mmap(NULL, OWN_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	fd = open(FILE_NAME, O_RDONLY | O_CLOEXEC);
	if (own == MAP_FAILED || fd < 0)
		die("set-up");
	at = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		die("mmap");
	memset(own, 1, OWN_BYTES);
	for (unsigned int round = 0; round < ROUNDS; round++)
		for (size_t done = 0; done < BYTES; done += PIECE, pieces++) {
			for (size_t i = 0; i < PIECE; i += PAGE)
				if (((volatile char *)at)[done + i] != 'f')
					return 1;
			/* Its own pages stay young, too. */
			for (size_t i = 0; i < PIECE; i += PAGE, next = (next + PAGE) % OWN_BYTES)
				own[next]++;
		}
	printf("read %zu MiB\n", pieces);
	return 0;
}
