// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "workload.h"

#define ROOT "/sys/fs/cgroup"

/* The memcg that the guest's run-workload made for this process; false if it is in another. */
static bool own_group(char *path, size_t size)
{
	char text[PATH_MAX] = "";
	int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	const char *name;

	if (fd >= 0)
		close(fd);
	/* Version 2, or the memory controller of version 1. */
	name = got > 0 ? strstr(text, ":memory:/harness/") : NULL;
	if (name == NULL)
		name = got > 0 ? strstr(text, "0::/harness/") : NULL;
	if (name == NULL)
		return false;
	name = strchr(name, '/');
	snprintf(path, size, ROOT "%.*s", (int)strcspn(name, "\n"), name);
	return true;
}

bool group_fresh(const char *name, unsigned int number)
{
	char path[PATH_MAX];

	if (!own_group(path, sizeof(path)))
		return false;
	snprintf(path, sizeof(path), ROOT "/harness/%s-%u", name, number);
	if (mkdir(path, 0755) != 0 && errno != EEXIST)
		die(STATUS_FAILED, "Cannot make the memcg %s: %s.", path, strerror(errno));
	strncat(path, "/cgroup.procs", sizeof(path) - strlen(path) - 1);
	kernel_write(path, "0");
	return true;
}

bool group_reclaim(uint64_t bytes)
{
	char path[PATH_MAX - 32], file[PATH_MAX], text[32];
	bool done;
	int fd;

	if (!own_group(path, sizeof(path)))
		return false;
	snprintf(file, sizeof(file), "%s/memory.reclaim", path);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	snprintf(text, sizeof(text), "%" PRIu64, bytes);
	/* EAGAIN: some of it is gone, and more could not be had now. */
	done = write(fd, text, strlen(text)) >= 0 || errno == EAGAIN;
	close(fd);
	return done;
}
