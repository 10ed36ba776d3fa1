// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "../common/workload.h"
#include "client.h"

#define HEAD_BYTES 64

static int server = -1;

bool client_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path))
		die(STATUS_FAILED, "The path '%s' is too long for a socket.", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (server < 0)
		die(STATUS_FAILED, "Cannot make a socket: %s.", strerror(errno));
	if (connect(server, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return true;
	close(server);
	return false;
}

/* A request is small enough for the socket's buffer, or the server reads on: no deadlock. */
static void send_all(struct iovec *parts, int count)
{
	while (count > 0) {
		ssize_t put = writev(server, parts, count);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			die(STATUS_FAILED, "The server's line broke: %s.", strerror(errno));
		while (count > 0 && (size_t)put >= parts->iov_len) {
			put -= (ssize_t)parts->iov_len;
			parts++;
			count--;
		}
		if (count > 0) {
			parts->iov_base = (char *)parts->iov_base + put;
			parts->iov_len -= (size_t)put;
		}
	}
}

static void receive_all(void *into, size_t bytes)
{
	size_t used = 0;

	while (used < bytes) {
		ssize_t got = recv(server, (char *)into + used, bytes - used, MSG_WAITALL);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			die(STATUS_FAILED, "The server's line broke: %s.",
			    got == 0 ? "it hung up" : strerror(errno));
		used += (size_t)got;
	}
}

/* Exactly these bytes must come; anything else is the server's way to say what is wrong. */
static void expect(const char *wanted)
{
	char got[HEAD_BYTES];
	size_t length = strlen(wanted);

	receive_all(got, length);
	if (memcmp(got, wanted, length) == 0)
		return;
	for (size_t i = 0; i < length; i++)
		if (got[i] < ' ' || got[i] > '~')
			got[i] = ' ';
	die(STATUS_FAILED, "The server answers '%.*s...'.", (int)length, got);
}

void client_set(uint64_t key, const void *value, size_t bytes)
{
	char head[HEAD_BYTES + HEAD_BYTES];
	int length = snprintf(head, sizeof(head),
			      "*3\r\n$3\r\nSET\r\n$16\r\nkey:%012" PRIu64 "\r\n$%zu\r\n", key, bytes);
	struct iovec parts[] = { { head, (size_t)length }, { (void *)value, bytes }, { "\r\n", 2 } };

	send_all(parts, COUNT_OF(parts));
	expect("+OK\r\n");
}

void client_get(uint64_t key, void *value, size_t bytes)
{
	char head[HEAD_BYTES], wanted[HEAD_BYTES];
	int length = snprintf(head, sizeof(head), "*2\r\n$3\r\nGET\r\n$16\r\nkey:%012" PRIu64 "\r\n",
			      key);
	struct iovec parts[] = { { head, (size_t)length } };

	send_all(parts, COUNT_OF(parts));
	snprintf(wanted, sizeof(wanted), "$%zu\r\n", bytes);
	expect(wanted);
	receive_all(value, bytes);
	expect("\r\n");
}
