// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sampler.h"

#define PATTERNS_MAX 128

struct pattern {
	char text[WATCH_PATH_BYTES];
	bool is_glob;
	bool mark_only;
	bool anew;     /* shows what it was when it was opened */
	bool matched;  /* a glob without a match is reported as missing */
	bool overflow; /* more matches than there is room for */
};

struct watched {
	char path[WATCH_PATH_BYTES];
	int fd; /* -1: not open */
	bool mark_only;
	bool one_pass; /* opened anew for each sample, and read without an offset */
};

static struct pattern patterns[PATTERNS_MAX];
static size_t pattern_count;
static struct watched files[WATCH_MAX];
static size_t file_count;

static bool known(const char *path)
{
	for (size_t i = 0; i < file_count; i++)
		if (strcmp(files[i].path, path) == 0)
			return true;
	return false;
}

static void watch_path(struct pattern *pattern, const char *path)
{
	struct stat info;

	/* White space in a name cannot be told apart in the stream. */
	if (strpbrk(path, " \t\n") != NULL)
		return;
	if (pattern->is_glob && (stat(path, &info) != 0 || S_ISDIR(info.st_mode)))
		return;
	pattern->matched = true;
	if (known(path))
		return;
	/* Missing lines for patterns come out of the same reserve. */
	if (file_count + PATTERNS_MAX >= WATCH_MAX) {
		pattern->overflow = true;
		return;
	}
	snprintf(files[file_count].path, WATCH_PATH_BYTES, "%s", path);
	files[file_count].fd = -1;
	files[file_count].one_pass = pattern->anew;
	files[file_count].mark_only = pattern->mark_only;
	file_count++;
}

/*
 * Expand the first path component that has a wildcard, then the rest.  (glob()
 * would do, but in a static program it drags in the user database.)
 */
static void expand(struct pattern *pattern, const char *path)
{
	const char *wildcard = strpbrk(path, "*?[");
	const char *component = wildcard;
	char name_pattern[WATCH_PATH_BYTES];
	char folder[WATCH_PATH_BYTES];
	struct dirent **entries;
	size_t length;
	int count;

	if (wildcard == NULL) {
		watch_path(pattern, path);
		return;
	}
	while (component > path && component[-1] != '/')
		component--;
	length = strcspn(component, "/");
	snprintf(folder, sizeof(folder), "%.*s", (int)(component - path), path);
	snprintf(name_pattern, sizeof(name_pattern), "%.*s", (int)length, component);
	count = scandir(folder, &entries, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		char next[2 * WATCH_PATH_BYTES + 256];

		snprintf(next, sizeof(next), "%s%s%s", folder, entries[i]->d_name,
			 component + length);
		if (fnmatch(name_pattern, entries[i]->d_name, FNM_PERIOD) == 0 &&
		    strlen(next) < WATCH_PATH_BYTES)
			expand(pattern, next);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}

void watch_add(const char *text, bool mark_only, bool anew)
{
	struct pattern *pattern = &patterns[pattern_count];

	if (text[0] != '/' || strlen(text) >= WATCH_PATH_BYTES || strpbrk(text, " \t") != NULL)
		die(STATUS_USAGE, "A file to sample is an absolute path of less than %d characters "
		    "without blanks, not '%s'.", WATCH_PATH_BYTES, text);
	if (pattern_count == PATTERNS_MAX)
		die(STATUS_USAGE, "More than %d files and patterns to sample.", PATTERNS_MAX);
	snprintf(pattern->text, sizeof(pattern->text), "%s", text);
	pattern->is_glob = strpbrk(text, "*?[") != NULL;
	pattern->mark_only = mark_only;
	pattern->anew = anew;
	pattern_count++;
}

static char *trim(char *text)
{
	size_t length;

	text[strcspn(text, "#\n")] = '\0';
	while (isspace((unsigned char)*text))
		text++;
	length = strlen(text);
	while (length > 0 && isspace((unsigned char)text[length - 1]))
		text[--length] = '\0';
	return text;
}

void watch_load(const char *list_path)
{
	FILE *file = fopen(list_path, "re");
	char line[512];

	if (file == NULL)
		die(STATUS_USAGE, "Cannot open the list of files '%s': %s.", list_path,
		    strerror(errno));
	while (fgets(line, sizeof(line), file) != NULL) {
		char *text = trim(line);
		bool anew = strncmp(text, "anew:", 5) == 0;
		bool mark_only = anew || strncmp(text, "mark:", 5) == 0;

		if (*text != '\0')
			watch_add(mark_only ? trim(text + 5) : text, mark_only, anew);
	}
	fclose(file);
}

void watch_refresh(void)
{
	for (size_t i = 0; i < pattern_count; i++) {
		patterns[i].matched = false;
		patterns[i].overflow = false;
		expand(&patterns[i], patterns[i].text);
	}
}

/* Read to the end: one pread returns no more than a page of a long /proc file. */
static int read_whole(int fd, bool one_pass, char *into, size_t room, size_t *bytes)
{
	*bytes = 0;
	for (;;) {
		ssize_t got;

		/* A full buffer may hide a longer file. */
		if (*bytes == room)
			return ENOBUFS;
		got = one_pass ? read(fd, into + *bytes, room - *bytes)
			       : pread(fd, into + *bytes, room - *bytes, (off_t)*bytes);
		if (got == 0)
			return 0;
		if (got > 0)
			*bytes += (size_t)got;
		else if (errno != EINTR)
			return errno;
	}
}

static int read_file(struct watched *file, const struct record *record, size_t *bytes)
{
	bool fresh = file->fd < 0;
	int error;

	if (fresh)
		file->fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file->fd < 0)
		return errno;
	error = read_whole(file->fd, file->one_pass, record_content(record), record_room(record),
			   bytes);
	if (!file->one_pass && (error == 0 || error == ENOBUFS))
		return error;
	close(file->fd);
	file->fd = -1;
	if (file->one_pass)
		return error;
	/* debugfs attributes such as zswap's have no offsets. */
	if (error == ESPIPE) {
		file->one_pass = true;
		return read_file(file, record, bytes);
	}
	/* A device that came back has new files under the old names: open once more. */
	return fresh ? error : read_file(file, record, bytes);
}

void watch_sample(struct record *record, bool is_mark)
{
	for (size_t i = 0; i < file_count; i++) {
		size_t bytes = 0;
		int error;

		if (files[i].mark_only && !is_mark)
			continue;
		error = read_file(&files[i], record, &bytes);
		if (error == 0)
			record_file(record, files[i].path, bytes);
		else
			record_miss(record, files[i].path, error);
	}
	for (size_t i = 0; i < pattern_count; i++) {
		if (patterns[i].mark_only && !is_mark)
			continue;
		if (patterns[i].overflow)
			record_miss(record, patterns[i].text, ENFILE);
		else if (patterns[i].is_glob && !patterns[i].matched)
			record_miss(record, patterns[i].text, ENOENT);
	}
}
