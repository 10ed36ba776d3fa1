// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sampler.h"

#define HEADER_BYTES (WATCH_PATH_BYTES + 64)

void record_line(struct record *record, const char *format, ...)
{
	size_t room = record->size - record->used;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(record->data + record->used, room, format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= room)
		abort(); /* RECORD_RESERVE is too small: a bug */
	record->used += (size_t)length;
}

void record_miss(struct record *record, const char *path, int error)
{
	const char *name = strerrorname_np(error);

	record_line(record, "@miss %s %s\n", path, name == NULL ? "UNKNOWN" : name);
}

size_t record_room(const struct record *record)
{
	size_t kept = record->used + HEADER_BYTES + RECORD_RESERVE;

	return record->size > kept ? record->size - kept : 0;
}

char *record_content(const struct record *record)
{
	return record->data + record->used + HEADER_BYTES;
}

void record_file(struct record *record, const char *path, size_t bytes)
{
	const char *content = record_content(record);

	record_line(record, "@file %s %zu\n", path, bytes);
	memmove(record->data + record->used, content, bytes);
	record->used += bytes;
	record_line(record, "\n");
}
