#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workload.h"

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

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Locks are not inherited. */
	lock_program();
	while (receive(fd, &request, sizeof(request))) {
		struct reply reply = { .values = { 0 } };
		uint64_t cpu = cpu_ns();

		handler(number, request.operation, request.argument, &reply);
		reply.cpu_ns = cpu_ns() - cpu;
		if (send(fd, &reply, sizeof(reply), MSG_NOSIGNAL) != (ssize_t)sizeof(reply))
			_exit(STATUS_FAILED);
	}
	/* The parent has closed its end: that is the order to leave. */
	_exit(STATUS_OK);
}

void child_start(struct child *child, unsigned int number, child_handler handler)
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
		serve(ends[1], number, handler);
	}
	close(ends[1]);
	child->fd = ends[0];
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

void child_stop(struct child *child)
{
	close(child->fd);
	child->fd = -1;
	reap(child);
}
