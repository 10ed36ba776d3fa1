// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "workload.h"

#define TEXT_BYTES 32768

/* The whole of a small kernel file, or NULL; /proc/vmstat has some 6 KiB. */
static const char *read_text(const char *path)
{
	static char text[TEXT_BYTES];
	size_t used = 0;
	ssize_t got;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	while ((got = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)got;
	close(fd);
	text[used] = '\0';
	return got < 0 ? NULL : text;
}

bool kernel_number(const char *path, uint64_t *value)
{
	const char *text = read_text(path);
	char *end;

	if (text == NULL || text[0] < '0' || text[0] > '9')
		return false;
	*value = strtoull(text, &end, 10);
	return true;
}

bool kernel_counter(const char *path, const char *name, uint64_t *value)
{
	const char *line = read_text(path);
	size_t length = strlen(name);

	while (line != NULL && *line != '\0') {
		if (strncmp(line, name, length) == 0 && line[length] == ' ') {
			*value = strtoull(line + length + 1, NULL, 10);
			return true;
		}
		line = strchr(line, '\n');
		line = line == NULL ? NULL : line + 1;
	}
	return false;
}

static bool read_counter(const struct counter *counter, uint64_t *value)
{
	if (counter->line == NULL)
		return kernel_number(counter->path, value);
	return kernel_counter(counter->path, counter->line, value);
}

void counters_begin(struct counter *counters, size_t count)
{
	for (size_t i = 0; i < count; i++)
		counters[i].there = read_counter(&counters[i], &counters[i].before);
}

void counters_emit(const struct counter *counters, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t now;

		if (counters[i].there && read_counter(&counters[i], &now))
			emit_metric(counters[i].metric, 0,
				    (double)now - (double)counters[i].before);
	}
}

bool kernel_try_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t put;
	int saved;

	if (fd < 0)
		return false;
	put = write(fd, text, strlen(text));
	saved = errno;
	close(fd);
	errno = saved;
	return put == (ssize_t)strlen(text);
}

void kernel_write(const char *path, const char *text)
{
	if (!kernel_try_write(path, text))
		die(STATUS_FAILED, "Cannot write '%s' to %s: %s.", text, path, strerror(errno));
}

size_t swap_areas(struct swap_area *areas, size_t max)
{
	char line[512];
	size_t count = 0;
	FILE *file = fopen("/proc/swaps", "re");

	/* A kernel without CONFIG_SWAP has no such file, and no area. */
	if (file == NULL)
		return 0;
	while (count < max && fgets(line, sizeof(line), file) != NULL) {
		struct swap_area *area = &areas[count];
		unsigned long long size, used;

		if (sscanf(line, "%255s %*s %llu %llu", area->path, &size, &used) != 3)
			continue;
		area->slots = size * 1024 / PAGE_BYTES;
		area->used = used * 1024 / PAGE_BYTES;
		count++;
	}
	fclose(file);
	return count;
}
