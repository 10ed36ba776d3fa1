// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workload.h"

/* In the child: become the program, or tell the parent why not. */
static _Noreturn void become(const char *const *argv, int output, int report)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int cause;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(null, STDIN_FILENO);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	execvp(argv[0], (char *const *)argv);
	cause = errno;
	_exit(write(report, &cause, sizeof(cause)) == sizeof(cause) ? STATUS_FAILED : STATUS_USAGE);
}

void program_start(struct program *program, const char *const *argv)
{
	int report[2], cause;
	ssize_t got;

	program->name = argv[0];
	program->cpu_ns = 0;
	program->output = memfd_create("output", MFD_CLOEXEC);
	if (program->output < 0 || pipe2(report, O_CLOEXEC) != 0)
		die(STATUS_FAILED, "Cannot start %s: %s.", argv[0], strerror(errno));
	program->pid = fork();
	if (program->pid < 0)
		die(STATUS_FAILED, "Cannot fork: %s.", strerror(errno));
	if (program->pid == 0)
		become(argv, program->output, report[1]);
	close(report[1]);
	do {
		got = read(report[0], &cause, sizeof(cause));
	} while (got < 0 && errno == EINTR);
	close(report[0]);
	if (got != 0)
		die(STATUS_FAILED, "Cannot run %s in this guest: %s.", argv[0],
		    got == sizeof(cause) ? strerror(cause) : "it died at once");
}

const char *program_output(const struct program *program)
{
	static char text[PROGRAM_OUTPUT_BYTES];
	size_t used = 0;
	ssize_t got = 1;

	while (used < sizeof(text) - 1 && got > 0) {
		got = pread(program->output, text + used, sizeof(text) - 1 - used, (off_t)used);
		used += got > 0 ? (size_t)got : 0;
	}
	text[used] = '\0';
	return text;
}

/* The last line that the program printed, for an error message. */
static const char *last_words(const struct program *program)
{
	char *text = (char *)program_output(program);
	size_t end = strlen(text);
	char *line;

	while (end > 0 && text[end - 1] == '\n')
		text[--end] = '\0';
	line = strrchr(text, '\n');
	return end == 0 ? "it said nothing" : line == NULL ? text : line + 1;
}

static int reap(struct program *program)
{
	struct rusage used;
	int status;

	while (wait4(program->pid, &status, 0, &used) < 0)
		if (errno != EINTR)
			die(STATUS_FAILED, "wait4 failed: %s.", strerror(errno));
	program->pid = 0;
	program->cpu_ns = (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000000u +
			  (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000u;
	program->user_ns = (uint64_t)used.ru_utime.tv_sec * 1000000000u +
			   (uint64_t)used.ru_utime.tv_usec * 1000u;
	return status;
}

void program_wait(struct program *program)
{
	int status = reap(program);

	if (WIFSIGNALED(status))
		die(STATUS_FAILED, "%s was killed by signal %d%s.", program->name,
		    WTERMSIG(status), WTERMSIG(status) == SIGKILL ?
		    ", most likely for lack of memory and swap" : "");
	if (WEXITSTATUS(status) != 0)
		die(STATUS_FAILED, "%s ended with status %d: %s.", program->name,
		    WEXITSTATUS(status), last_words(program));
}

void program_require_alive(struct program *program)
{
	siginfo_t info = { .si_pid = 0 };

	if (waitid(P_PID, (id_t)program->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0)
		die(STATUS_FAILED, "waitid failed: %s.", strerror(errno));
	if (info.si_pid == 0)
		return;
	program_wait(program);
	die(STATUS_FAILED, "%s left too early: %s.", program->name, last_words(program));
}

void program_stop(struct program *program)
{
	kill(program->pid, SIGTERM);
	reap(program);
	close(program->output);
}

void program_run(struct program *program, const char *const *argv)
{
	program_start(program, argv);
	program_wait(program);
}
