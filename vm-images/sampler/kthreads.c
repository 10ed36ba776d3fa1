// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sampler.h"

#define KTHREADD_PID 2
#define LINE_BYTES 128

/* Kept open and read with getdents64 into a fixed buffer: nothing is allocated. */
static int proc_fd = -1;

void kthreads_open(void)
{
	proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (proc_fd < 0)
		die(STATUS_FAILED, "Cannot open /proc: %s.", strerror(errno));
}

/*
 * The name, if pid is a child of kthreadd, else NULL.  The name in a stat line
 * is in parentheses and may hold any character, parentheses too.
 */
static char *kthread_name(const char *pid, char *buffer, size_t size)
{
	char path[32];
	char *name, *end;
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "%.12s/stat", pid);
	fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL; /* it has just ended */
	got = read(fd, buffer, size - 1);
	close(fd);
	if (got <= 0)
		return NULL;
	buffer[got] = '\0';
	name = strchr(buffer, '(');
	end = strrchr(buffer, ')');
	if (name == NULL || end == NULL || end < name || strlen(end) < 5)
		return NULL;
	/* ") S 2 ...": the parent comes after the state. */
	if (strtol(end + 4, NULL, 10) != KTHREADD_PID)
		return NULL;
	*end = '\0';
	for (char *at = name + 1; at < end; at++)
		if (isspace((unsigned char)*at))
			*at = '_';
	return name + 1;
}

/* Returns the length of the line for this process; 0 if it is no busy kernel thread. */
static size_t put_thread(const char *pid, char *line)
{
	char buffer[512];
	const char *name = kthread_name(pid, buffer, sizeof(buffer));
	uint64_t spent;
	int length;

	if (name == NULL)
		return 0;
	spent = thread_cpu_ns((pid_t)strtol(pid, NULL, 10));
	if (spent == 0)
		return 0;
	length = snprintf(line, LINE_BYTES, "%s %.64s %" PRIu64 "\n", pid, name, spent);
	return length < 0 || length >= LINE_BYTES ? 0 : (size_t)length;
}

void kthreads_sample(struct record *record)
{
	static char entries[8192] __attribute__((aligned(8)));
	char *content = record_content(record);
	size_t room = record_room(record);
	size_t used = 0;
	ssize_t got;

	lseek(proc_fd, 0, SEEK_SET);
	while ((got = getdents64(proc_fd, entries, sizeof(entries))) > 0) {
		const struct dirent64 *entry;

		for (ssize_t at = 0; at < got; at += entry->d_reclen) {
			entry = (const struct dirent64 *)(const void *)(entries + at);
			if (!isdigit((unsigned char)entry->d_name[0]))
				continue;
			if (room - used < LINE_BYTES) {
				record_miss(record, "kthreads", ENOBUFS);
				return;
			}
			used += put_thread(entry->d_name, content + used);
		}
	}
	record_file(record, "kthreads", used);
}
