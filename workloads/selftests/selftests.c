// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs the kernel's own tests, which the host has built from the tree under test.
 *
 * Their output is kept as kselftest's runner.sh prints it: TAP, each program's own
 * lines behind "# ".  Whatever a program does, the next one is run: what a
 * failure means is for the comparison of two kernels to say.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/workload.h"

#define TESTS_MAX 64
#define LINE_BYTES 512
#define OUTPUT_MAX (4u << 20) /* of one test; a mad one must not fill the guest's memory */
#define SKIPPED 4             /* the exit status that means it */
#define STEP_MS 50

static struct {
	char folder[OPTION_TEXT_BYTES], output[OPTION_TEXT_BYTES], place[OPTION_TEXT_BYTES];
	char only[OPTION_TEXT_BYTES];
	uint64_t limit;
} options;

static const struct option_spec specs[] = {
	{ .name = "only", .type = OPTION_TEXT, .value = options.only, .initial = "",
	  .help = "part of the name of those to be run, empty: all" },
	{ .name = "limit", .type = OPTION_COUNT, .value = &options.limit, .initial = "300",
	  .unit = "s", .min = 1, .max = 86400, .help = "guest time that one may take" },
	{ .name = "folder", .type = OPTION_TEXT, .value = options.folder,
	  .initial = "/opt/harness/selftests", .help = "where the programs and their list are" },
	{ .name = "output", .type = OPTION_TEXT, .value = options.output,
	  .initial = "/run/harness/selftests.ktap", .help = "the file for what they print" },
	{ .name = "place", .type = OPTION_TEXT, .value = options.place, .initial = "/var/tmp",
	  .help = "folder to start them in, not on tmpfs: they make files there" },
};

static const struct metric_spec metrics[] = {
	METRIC("passed", "programs", HIGHER, "test programs that passed"),
	METRIC("failed", "programs", LOWER, "test programs that failed"),
	METRIC("skipped", "programs", LOWER,
	       "test programs that skipped themselves, or were not built"),
};

/* A line of the list: "collection/program", then why it could not be built, if so. */
struct test {
	char collection[LINE_BYTES], program[LINE_BYTES], reason[LINE_BYTES];
};

static struct {
	struct test tests[TESTS_MAX];
	unsigned int count;
	FILE *log;
	uint64_t passed, failed, skipped;
} run;

/* Names go into JSON and into paths. */
static bool is_name(const char *text)
{
	return *text != '\0' && *text != '.' &&
	       strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") ==
		       strlen(text);
}

static void read_list(void)
{
	char path[OPTION_TEXT_BYTES + 8], line[LINE_BYTES];
	FILE *list;

	snprintf(path, sizeof(path), "%s/list", options.folder);
	list = fopen(path, "re");
	if (list == NULL)
		die(STATUS_FAILED, "There is no list of selftests, %s: %s.", path, strerror(errno));
	while (fgets(line, sizeof(line), list) != NULL) {
		struct test *test = &run.tests[run.count];
		char *slash, *blank;

		line[strcspn(line, "\n")] = '\0';
		blank = strchr(line, ' ');
		if (blank != NULL)
			*blank++ = '\0';
		if (strstr(line, options.only) == NULL)
			continue;
		slash = strchr(line, '/');
		if (slash == NULL)
			die(STATUS_FAILED, "'%s' in %s names no test.", line, path);
		*slash = '\0';
		if (!is_name(line) || !is_name(slash + 1) || run.count == TESTS_MAX)
			die(STATUS_FAILED, "'%s/%s' in %s names no test.", line, slash + 1, path);
		snprintf(test->collection, sizeof(test->collection), "%s", line);
		snprintf(test->program, sizeof(test->program), "%s", slash + 1);
		snprintf(test->reason, sizeof(test->reason), "%s", blank != NULL ? blank : "");
		run.count++;
	}
	fclose(list);
	if (run.count == 0)
		die(STATUS_FAILED, "No test in %s has '%s' in its name.", path, options.only);
}

/* In the child: become the test. */
static _Noreturn void become(const struct test *test, int output)
{
	char path[OPTION_TEXT_BYTES + 2 * LINE_BYTES];
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	snprintf(path, sizeof(path), "%s/%s/%s", options.folder, test->collection, test->program);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* So that all it starts can be ended with it. */
	setpgid(0, 0);
	dup2(null, STDIN_FILENO);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	if (chdir(options.place) == 0)
		execl(path, path, (char *)NULL);
	dprintf(STDERR_FILENO, "cannot be run: %s\n", strerror(errno));
	_exit(127);
}

/* What the test prints, each line behind "# "; false at the end of it. */
static bool copy_some(int from, bool *at_start, uint64_t *copied)
{
	char some[4096];
	ssize_t got = read(from, some, sizeof(some));

	if (got <= 0)
		return got < 0 && (errno == EINTR || errno == EAGAIN);
	for (ssize_t i = 0; i < got && *copied < OUTPUT_MAX; i++, ++*copied) {
		if (*at_start)
			fputs("# ", run.log);
		fputc(some[i], run.log);
		*at_start = some[i] == '\n';
	}
	return true;
}

static bool has_ended(int pid, int *status)
{
	pid_t got = waitpid(pid, status, WNOHANG);

	if (got < 0 && errno != EINTR)
		die(STATUS_FAILED, "waitpid failed: %s.", strerror(errno));
	return got == pid;
}

/* Its wait status; *late if it was ended because its time was over. */
static int run_program(const struct test *test, bool *late)
{
	uint64_t end = now_ns() + options.limit * 1000000000u, copied = 0;
	bool at_start = true, open_end = true, ended = false;
	int pipe_ends[2], pid, status = 0;

	if (pipe2(pipe_ends, O_CLOEXEC) != 0)
		die(STATUS_FAILED, "Cannot make a pipe: %s.", strerror(errno));
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		die(STATUS_FAILED, "Cannot fork: %s.", strerror(errno));
	if (pid == 0)
		become(test, pipe_ends[1]);
	close(pipe_ends[1]);
	fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK);
	while (!ended) {
		struct pollfd wait = { .fd = open_end ? pipe_ends[0] : -1, .events = POLLIN };

		if (poll(&wait, 1, STEP_MS) > 0)
			open_end = copy_some(pipe_ends[0], &at_start, &copied);
		ended = has_ended(pid, &status);
		*late = !ended && now_ns() > end;
		if (*late) {
			kill(-pid, SIGKILL);
			while (!has_ended(pid, &status))
				poll(NULL, 0, STEP_MS);
			ended = true;
		}
	}
	/* What it left behind would go on under the next test. */
	kill(-pid, SIGKILL);
	while (poll(&(struct pollfd){ .fd = pipe_ends[0], .events = POLLIN }, 1, STEP_MS) > 0 &&
	       copy_some(pipe_ends[0], &at_start, &copied))
		;
	close(pipe_ends[0]);
	if (!at_start)
		fputc('\n', run.log);
	if (copied == OUTPUT_MAX)
		fprintf(run.log, "# the rest of its output is left out\n");
	return status;
}

static void conclude(unsigned int number, const struct test *test, const char *result,
		     const char *directive)
{
	const char *blank = *directive != '\0' ? " # " : "";

	fprintf(run.log, "%s %u selftests: %s: %s%s%s\n",
		strcmp(result, "fail") == 0 ? "not ok" : "ok", number, test->collection,
		test->program, blank, directive);
	fflush(run.log);
	printf("{\"type\":\"test\",\"name\":\"%s/%s\",\"result\":\"%s\",\"directive\":\"%s\"}\n",
	       test->collection, test->program, result, directive);
	if (fflush(stdout) != 0)
		die(STATUS_FAILED, "Cannot write to standard output (errno %d).", errno);
}

static void run_test(unsigned int number, const struct test *test)
{
	char directive[64] = "", note[3 * LINE_BYTES];
	bool late = false;
	int status;

	/* The console is what is left of a kernel that dies under a test. */
	snprintf(note, sizeof(note), "selftests: %s: %s begins\n", test->collection, test->program);
	kernel_try_write("/dev/kmsg", note);
	fprintf(run.log, "# selftests: %s: %s\n", test->collection, test->program);
	if (*test->reason != '\0') {
		fprintf(run.log, "# not built: %s\n", test->reason);
		run.skipped++;
		conclude(number, test, "skip", "SKIP not built");
		return;
	}
	status = run_program(test, &late);
	if (!late && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		run.passed++;
		conclude(number, test, "pass", directive);
		return;
	}
	if (!late && WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) {
		run.skipped++;
		conclude(number, test, "skip", "SKIP");
		return;
	}
	if (late)
		snprintf(directive, sizeof(directive), "TIMEOUT %" PRIu64 " seconds", options.limit);
	else if (WIFEXITED(status))
		snprintf(directive, sizeof(directive), "exit=%d", WEXITSTATUS(status));
	else
		/* As a shell counts it. */
		snprintf(directive, sizeof(directive), "exit=%d", 128 + WTERMSIG(status));
	run.failed++;
	conclude(number, test, "fail", directive);
}

int main(int argc, char **argv)
{
	workload_begin(argc, argv, TABLE(specs), TABLE(metrics), NULL);
	read_list();
	run.log = fopen(options.output, "we");
	if (run.log == NULL)
		die(STATUS_FAILED, "Cannot write %s: %s.", options.output, strerror(errno));
	fprintf(run.log, "TAP version 13\n1..%u\n", run.count);
	for (unsigned int i = 0; i < run.count; i++)
		run_test(i + 1, &run.tests[i]);
	if (fclose(run.log) != 0)
		die(STATUS_FAILED, "Cannot write %s: %s.", options.output, strerror(errno));
	emit_metric("passed", 0, (double)run.passed);
	emit_metric("failed", 0, (double)run.failed);
	emit_metric("skipped", 0, (double)run.skipped);
	return workload_end();
}
