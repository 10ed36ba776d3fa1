// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workload.h"

/* Closing the socket would not do: children that were started later hold it open, too. */
#define LEAVE UINT32_MAX

struct request {
	unsigned int operation;
	uint64_t argument;
};

static bool receive(int fd, void *packet, size_t bytes)
{
	ssize_t got;

	do {
		got = recv(fd, packet, bytes, 0);
	} while (got < 0 && errno == EINTR);
	return got == (ssize_t)bytes;
}

static _Noreturn void serve(int fd, unsigned int number, child_handler handler)
{
	struct request request;

	while (receive(fd, &request, sizeof(request)) && request.operation != LEAVE) {
		struct reply reply = { .values = { 0 } };
		uint64_t cpu = cpu_ns();

		handler(number, request.operation, request.argument, &reply);
		reply.cpu_ns = cpu_ns() - cpu;
		if (send(fd, &reply, sizeof(reply), MSG_NOSIGNAL) != (ssize_t)sizeof(reply))
			_exit(STATUS_FAILED);
	}
	_exit(STATUS_OK);
}

void child_start_sharing(struct child *child, unsigned int number, child_handler handler,
			 void *base, uint64_t bytes)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		die(STATUS_FAILED, "Cannot make a socket pair: %s.", strerror(errno));
	child->number = number;
	child->pid = fork();
	if (child->pid < 0)
		die(STATUS_FAILED, "Cannot fork: %s.", strerror(errno));
	if (child->pid == 0) {
		close(ends[0]);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Locks are not inherited. */
		if (base == NULL)
			lock_program();
		else
			lock_program_except(base, bytes);
		serve(ends[1], number, handler);
	}
	close(ends[1]);
	child->fd = ends[0];
}

void child_start(struct child *child, unsigned int number, child_handler handler)
{
	child_start_sharing(child, number, handler, NULL, 0);
}

/* Wait for a child that is gone or about to go; anything but a clean end is ours, too. */
static void reap(struct child *child)
{
	int status;

	while (waitpid(child->pid, &status, 0) < 0)
		if (errno != EINTR)
			die(STATUS_FAILED, "waitpid failed: %s.", strerror(errno));
	child->pid = 0;
	if (WIFSIGNALED(status))
		die(STATUS_FAILED, "Process %u was killed by signal %d%s.", child->number,
		    WTERMSIG(status), WTERMSIG(status) == SIGKILL ?
		    ", most likely for lack of memory and swap" : "");
	if (WEXITSTATUS(status) != STATUS_OK)
		die((enum status)WEXITSTATUS(status), "Process %u ended with status %d.",
		    child->number, WEXITSTATUS(status));
}

void child_send(struct child *child, unsigned int operation, uint64_t argument)
{
	struct request request = { .operation = operation, .argument = argument };

	if (send(child->fd, &request, sizeof(request), MSG_NOSIGNAL) == (ssize_t)sizeof(request))
		return;
	reap(child);
	die(STATUS_FAILED, "Process %u left too early.", child->number);
}

struct reply child_receive(struct child *child)
{
	struct reply reply;

	if (receive(child->fd, &reply, sizeof(reply)))
		return reply;
	reap(child);
	die(STATUS_FAILED, "Process %u left too early.", child->number);
}

struct reply child_call(struct child *child, unsigned int operation, uint64_t argument)
{
	child_send(child, operation, argument);
	return child_receive(child);
}

struct reply children_call(struct child *children, size_t count, unsigned int operation,
			   uint64_t argument)
{
	struct reply sum = { .values = { 0 } };

	for (size_t i = 0; i < count; i++)
		child_send(&children[i], operation, argument);
	for (size_t i = 0; i < count; i++) {
		struct reply reply = child_receive(&children[i]);

		sum.cpu_ns += reply.cpu_ns;
		for (size_t j = 0; j < CHILD_VALUES; j++)
			sum.values[j] += reply.values[j];
	}
	return sum;
}

void child_stop(struct child *child)
{
	child_send(child, LEAVE, 0);
	close(child->fd);
	child->fd = -1;
	reap(child);
}
