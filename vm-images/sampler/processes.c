// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the memory of the workload's processes is made of: the sums of /proc/PID/smaps_rollup over
 * the processes of all cgroups below "harness".  The kernel walks their page tables for it and
 * changes nothing in them.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sampler.h"

#define GROUP "/sys/fs/cgroup/harness"
#define LINE_BYTES 128

static const char *const names[] = {
	"Rss", "Pss", "Anonymous", "LazyFree", "AnonHugePages", "ShmemPmdMapped", "FilePmdMapped",
	"Shared_Hugetlb", "Swap", "SwapPss", "Locked",
};

static uint64_t sums[COUNT_OF(names)];

/* Of "AnonHugePages:      2048 kB"; false if this kernel has no such file. */
static bool add_process(const char *pid)
{
	char path[64], line[LINE_BYTES];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%.12s/smaps_rollup", pid);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	while (fgets(line, sizeof(line), file) != NULL) {
		char *colon = strchr(line, ':');

		for (size_t i = 0; colon != NULL && i < COUNT_OF(names); i++)
			if ((size_t)(colon - line) == strlen(names[i]) &&
			    strncmp(line, names[i], strlen(names[i])) == 0)
				sums[i] += strtoull(colon + 1, NULL, 10);
	}
	fclose(file);
	return true;
}

/* The processes of a cgroup; those of the groups below it come with these. */
static unsigned int add_group(const char *folder)
{
	char path[1024 + 16], line[32];
	unsigned int count = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/cgroup.procs", folder);
	file = fopen(path, "re");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		count += add_process(line);
	}
	if (file != NULL)
		fclose(file);
	return count;
}

static unsigned int add_tree(const char *folder)
{
	unsigned int count = add_group(folder);
	DIR *stream = opendir(folder);
	const struct dirent *entry;

	while (stream != NULL && (entry = readdir(stream)) != NULL) {
		char path[1024];

		if (entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
		    snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) <
			    (int)sizeof(path))
			count += add_tree(path);
	}
	if (stream != NULL)
		closedir(stream);
	return count;
}

void processes_sample(struct record *record)
{
	char *content = record_content(record);
	size_t used = 0;
	unsigned int count;

	if (access(GROUP, F_OK) != 0)
		return; /* no guest of the harness */
	memset(sums, 0, sizeof(sums));
	count = add_tree(GROUP);
	if (count == 0) {
		record_miss(record, "smaps", ENOENT);
		return;
	}
	if (record_room(record) < (COUNT_OF(names) + 1) * LINE_BYTES) {
		record_miss(record, "smaps", ENOBUFS);
		return;
	}
	for (size_t i = 0; i < COUNT_OF(names); i++)
		used += (size_t)snprintf(content + used, LINE_BYTES, "%s %" PRIu64 "\n", names[i],
					 sums[i]);
	used += (size_t)snprintf(content + used, LINE_BYTES, "processes %u\n", count);
	record_file(record, "smaps", used);
}
