// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "workload.h"

enum { NOT_TRIED = -2, NO_SAMPLER = -1 };

static int sampler = NOT_TRIED;

static bool required(void)
{
	const char *value = getenv("HARNESS_REQUIRE_SAMPLER");

	return value != NULL && strcmp(value, "1") == 0;
}

static int connect_sampler(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = getenv("HARNESS_SAMPLER");
	int fd;

	if (path == NULL)
		path = SAMPLER_SOCKET;
	if (strlen(path) >= sizeof(address.sun_path))
		die(STATUS_USAGE, "The path in HARNESS_SAMPLER is too long for a socket: '%s'.",
		    path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die(STATUS_FAILED, "Cannot make a socket: %s.", strerror(errno));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	if (required())
		die(STATUS_FAILED, "No sampler listens on '%s' (%s).", path, strerror(errno));
	close(fd);
	return NO_SAMPLER;
}

static size_t clean(char *into, const char *text)
{
	size_t length = 0;

	for (; text[length] != '\0' && length < MARK_BYTES - 1; length++)
		into[length] = text[length] > ' ' && text[length] < 0x7f ? text[length] : '_';
	into[length] = '\0';
	return length;
}

void mark(const char *text)
{
	char packet[MARK_BYTES];
	size_t length = clean(packet, text);
	char ack;
	ssize_t got;

	if (sampler == NOT_TRIED)
		sampler = connect_sampler();
	if (sampler == NO_SAMPLER)
		return;
	if (send(sampler, packet, length, MSG_NOSIGNAL) != (ssize_t)length)
		die(STATUS_FAILED, "The sampler did not take the mark '%s': %s.", packet,
		    strerror(errno));
	do {
		got = recv(sampler, &ack, 1, 0);
	} while (got < 0 && errno == EINTR);
	if (got != 1)
		die(STATUS_FAILED, "The sampler went away before it wrote the mark '%s'.", packet);
}
