// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run a program that knows nothing of the harness, and measure it from outside.
 *
 * Its files lie in a folder of the tools disk.  They are copied to a tmpfs, where it may write, and
 * the program itself is locked there: its text is not read from the host's disk again, whose time
 * the instruction clock does not know.  It runs in a cgroup of its own below that of the limit, with
 * all the processes that it makes.  Whatever is left of them at its end is killed: programs that
 * fork and loop without end are the rule among those that a fuzzer wrote.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "../common/workload.h"
#include "runner.h"

#define PROGRAMS "/opt/harness/programs"
#define HOME "/tmp/program"
#define OUTPUT "/run/harness/program.txt"
#define OUTPUT_MAX (4u << 20)
#define OUTPUT_MAX_WORDS "4 MiB"
#define PATH_BYTES 256

static struct {
	char entry[OPTION_TEXT_BYTES], fails[OPTION_TEXT_BYTES];
	uint64_t limit, progress;
} options;

static const struct option_spec specs[] = {
	{ .name = "entry", .type = OPTION_TEXT, .value = options.entry, .initial = "program/run",
	  .help = "folder of the program, and the file in it that is run" },
	{ .name = "limit", .type = OPTION_COUNT, .value = &options.limit, .initial = "10",
	  .unit = "s", .min = 1, .max = 86400,
	  .help = "it is ended after so long; this is no failure" },
	{ .name = "fails", .type = OPTION_TEXT, .value = options.fails, .initial = "nonzero",
	  .help = "exit statuses that are a failure: nonzero, none, or a list like 1,139 (128 and "
		  "the number for a signal)" },
	{ .name = "progress", .type = OPTION_COUNT, .value = &options.progress, .initial = "0",
	  .unit = "s", .max = 86400,
	  .help = "so long without progress is a failure: no task of it ran, or all waited for "
		  "memory; 0: none is" },
};

static const struct metric_spec metrics[] = {
	METRIC("elapsed", "ns", LOWER, "from the program's start to its end; none if it was ended"),
	BUSY_METRIC("elapsed", "ns", "in that time"),
	METRIC("cpu", "ns", LOWER, "CPU time of all of its processes"),
	METRIC("user", "ns", LOWER, "the part of it in user mode, as far as timer ticks tell"),
	METRIC("system", "ns", LOWER, "the part of it in the kernel, as far as timer ticks tell"),
	METRIC("faults", "faults", LOWER, "page faults of all of its processes"),
	METRIC("major_faults", "faults", LOWER, "those that waited for a page to be read"),
	RATE_METRIC("fault_rate", "faults/s", "faults/Ginsn", HIGHER, "page faults in a second"),
	METRIC("peak_memory", "B", LOWER, "the most memory that its cgroup had"),
	METRIC("peak_swap", "B", LOWER, "the most that its cgroup had in swap"),
	METRIC("stall", "ns", LOWER, "time in which all of its tasks waited for memory (PSI)"),
	METRIC("longest_stall", "ns", LOWER, "the longest stretch of that without a break of 10 ms"),
	METRIC("latest_wakeup", "ns", LOWER,
	       "how late a real-time task that sleeps 10 ms at a time was at most"),
	METRIC("exit_status", "", LOWER, "128 and the number for a signal; none if it was ended"),
	METRIC("ended", "", LOWER, "1: it ran until its time limit and was ended, 0: it ended itself"),
};

static struct {
	char home[PATH_BYTES], group[PATH_BYTES];
	int pid, output, log;
	uint64_t written;
	bool gone, late;
	int status;
} run;

/* Tests have no guest: what is in /opt/harness and in the cgroup's tree lies elsewhere. */
static const char *place(const char *variable, const char *usual)
{
	const char *text = getenv(variable);

	return text == NULL ? usual : text;
}

static const char *group_file(const char *name)
{
	static char path[PATH_BYTES + 64];

	snprintf(path, sizeof(path), "%s/%s", run.group, name);
	return path;
}

/* --- before it runs --- */

/* In tmpfs, a file that is mapped and locked stays in memory for whoever runs it. */
static void lock_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat info;
	void *text;

	if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
		die(STATUS_FAILED, "There is no program %s: %s.", path, strerror(errno));
	text = info.st_size == 0 ? NULL : mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (text == MAP_FAILED || (text != NULL && mlock(text, (size_t)info.st_size) != 0))
		die(STATUS_FAILED, "Cannot lock the program in memory: %s.", strerror(errno));
	close(fd);
}

static void copy_program(const char *folder)
{
	char from[2 * PATH_BYTES];
	const char *const argv[] = { "cp", "-rL", from, run.home, NULL };
	struct program copy;

	snprintf(from, sizeof(from), "%s/%s/.", place("HARNESS_PROGRAMS", PROGRAMS), folder);
	snprintf(run.home, sizeof(run.home), "%s", place("HARNESS_HOME", HOME));
	if (mkdir(run.home, 0755) != 0)
		die(STATUS_FAILED, "Cannot make the folder %s: %s.", run.home, strerror(errno));
	program_run(&copy, argv);
	close(copy.output);
}

/* Beside this process's cgroup, below that of the limit.  Without cgroups there are no figures. */
static void make_group(void)
{
	snprintf(run.group, sizeof(run.group), "%s",
		 place("HARNESS_GROUP", "/sys/fs/cgroup/harness/program"));
	if (mkdir(run.group, 0755) != 0 && errno != EEXIST)
		run.group[0] = '\0';
}

/* --- the program --- */

static _Noreturn void become(const char *file, int output, int go)
{
	char *const argv[] = { (char *)file, NULL };
	char *const shell[] = { "sh", (char *)file, NULL };
	sigset_t none;
	char byte;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	/* It may send signals to its whole process group. */
	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (run.group[0] != '\0' && !kernel_try_write(group_file("cgroup.procs"), "0"))
		dprintf(output, "runner: cannot enter %s: %s\n", run.group, strerror(errno));
	/* What it mounts as cgroup2 then begins at its own, where it stays below the limit. */
	(void)!unshare(CLONE_NEWCGROUP);
	if (chdir(run.home) != 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
	    dup2(output, STDERR_FILENO) < 0 || read(go, &byte, 1) != 1)
		_exit(126);
	execv(file, argv);
	/* A script without its first line. */
	if (errno == ENOEXEC)
		execv("/bin/sh", shell);
	dprintf(STDERR_FILENO, "runner: cannot run %s: %s\n", file, strerror(errno));
	_exit(127);
}

/* A program that thinks it talks to a terminal prints each line when it is whole. */
static void open_terminal(int *ends)
{
	struct termios raw;

	ends[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (ends[0] < 0 || grantpt(ends[0]) != 0 || unlockpt(ends[0]) != 0)
		die(STATUS_FAILED, "Cannot make a terminal: %s.", strerror(errno));
	ends[1] = open(ptsname(ends[0]), O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (ends[1] < 0 || tcgetattr(ends[1], &raw) != 0)
		die(STATUS_FAILED, "Cannot open the terminal: %s.", strerror(errno));
	cfmakeraw(&raw);
	tcsetattr(ends[1], TCSANOW, &raw);
}

/* Start it, held at its first step; returns where to write a byte that lets it go. */
static int start(const char *file)
{
	int output[2], go[2];

	if (phases_wanted())
		open_terminal(output);
	else if (pipe2(output, O_CLOEXEC) != 0)
		die(STATUS_FAILED, "Cannot make a pipe: %s.", strerror(errno));
	if (pipe2(go, O_CLOEXEC) != 0)
		die(STATUS_FAILED, "Cannot make a pipe: %s.", strerror(errno));
	run.pid = fork();
	if (run.pid < 0)
		die(STATUS_FAILED, "Cannot fork: %s.", strerror(errno));
	if (run.pid == 0) {
		close(go[1]);
		become(file, output[1], go[0]);
	}
	close(output[1]);
	close(go[0]);
	run.output = output[0];
	fcntl(run.output, F_SETFL, O_NONBLOCK);
	return go[1];
}

/* --- while it runs --- */

/* What it prints; false at the end of it.  A flood is cut: it would fill the guest's memory. */
static bool take_output(void)
{
	static char text[65536];
	ssize_t got;

	while ((got = read(run.output, text, sizeof(text))) > 0) {
		size_t keep = (size_t)got;

		phases_read(text, keep);
		if (run.written > OUTPUT_MAX)
			continue;
		if (keep > OUTPUT_MAX - run.written)
			keep = OUTPUT_MAX - run.written;
		if (write(run.log, text, keep) != (ssize_t)keep)
			die(STATUS_FAILED, "Cannot keep what it prints: %s.", strerror(errno));
		run.written += (uint64_t)got;
		if (run.written > OUTPUT_MAX)
			dprintf(run.log, "\nrunner: it printed more than " OUTPUT_MAX_WORDS
				", which is not kept\n");
	}
	/* A terminal that nobody has open any more. */
	return got != 0 && !(got < 0 && errno == EIO);
}

/*
 * As a subreaper this process gets the orphans of its children, too.  False if there is no child
 * left, dead or alive.
 */
static bool reap(void)
{
	int status, pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		watcher_reaped(pid);
		if (pid != run.pid)
			continue;
		run.gone = true;
		run.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	}
	return pid == 0;
}

static int timer_after(uint64_t seconds)
{
	struct itimerspec spec = { .it_value = { .tv_sec = (time_t)seconds } };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd < 0 || timerfd_settime(fd, 0, &spec, NULL) != 0)
		die(STATUS_FAILED, "Cannot start a timer: %s.", strerror(errno));
	return fd;
}

static int child_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		die(STATUS_FAILED, "signalfd failed: %s.", strerror(errno));
	return fd;
}

enum { FD_OUTPUT, FD_CHILDREN, FD_TIMER, FD_COUNT };

static void wait_for_end(int children, int timer)
{
	struct pollfd fds[FD_COUNT] = {
		[FD_OUTPUT] = { .fd = run.output, .events = POLLIN },
		[FD_CHILDREN] = { .fd = children, .events = POLLIN },
		[FD_TIMER] = { .fd = timer, .events = POLLIN },
	};
	struct signalfd_siginfo info;

	while (!run.gone && !run.late) {
		if (poll(fds, FD_COUNT, -1) < 0 && errno != EINTR)
			die(STATUS_FAILED, "poll failed: %s.", strerror(errno));
		if (fds[FD_OUTPUT].revents != 0 && !take_output())
			fds[FD_OUTPUT].fd = -1;
		if (fds[FD_CHILDREN].revents != 0) {
			(void)!read(children, &info, sizeof(info));
			reap();
		}
		run.late = fds[FD_TIMER].revents != 0 || watcher_lost_patience();
	}
}

/* --- after it --- */

/* SIGKILL for every child of this process, by /proc. */
static void kill_children(void)
{
	DIR *folder = opendir("/proc");
	const struct dirent *entry;

	while (folder != NULL && (entry = readdir(folder)) != NULL) {
		char path[PATH_BYTES * 2], text[512];
		const char *end;
		int pid = atoi(entry->d_name), fd;
		ssize_t got;

		if (pid <= 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
		if (fd >= 0)
			close(fd);
		text[got > 0 ? got : 0] = '\0';
		end = strrchr(text, ')'); /* the name before it may hold anything */
		if (end != NULL && strlen(end) > 4 && atoi(end + 4) == getpid())
			kill(pid, SIGKILL);
	}
	if (folder != NULL)
		closedir(folder);
}

/*
 * End all that is left: those in its cgroup at once, and whatever left that, for such orphans come
 * to this process, one generation after the other.
 */
static void end_all(void)
{
	uint64_t until = now_ns() + UINT64_C(10000000000);

	if (run.group[0] != '\0')
		(void)kernel_try_write(group_file("cgroup.kill"), "1");
	while (reap()) {
		kill_children();
		if (now_ns() > until)
			die(STATUS_FAILED, "Processes of the program do not end within 10 s of "
			    "SIGKILL.");
		sleep_until(now_ns() + 1000000);
	}
	(void)take_output();
}

static bool is_failure(int status)
{
	char text[OPTION_TEXT_BYTES], *rest = text, *word;

	if (strcmp(options.fails, "nonzero") == 0)
		return status != 0;
	snprintf(text, sizeof(text), "%s", options.fails);
	while ((word = strsep(&rest, ",")) != NULL)
		if (strcmp(word, "none") != 0 && atoi(word) == status)
			return true;
	return false;
}

/* The last line that it printed, for the sentence on its failure. */
static const char *last_words(void)
{
	static char text[512];
	off_t size = lseek(run.log, 0, SEEK_END);
	off_t from = size > (off_t)sizeof(text) - 1 ? size - (off_t)sizeof(text) + 1 : 0;
	ssize_t got = pread(run.log, text, sizeof(text) - 1, from);
	char *line;

	while (got > 0 && (text[got - 1] == '\n' || text[got - 1] == '\r'))
		got--;
	if (got <= 0)
		return "it printed nothing";
	text[got] = '\0';
	line = strrchr(text, '\n');
	return line == NULL ? text : line + 1;
}

static void emit_group(const struct usage *before, uint64_t elapsed_ns)
{
	struct usage now = usage_read(run.group);
	uint64_t faults = now.faults - before->faults;
	uint64_t value;

	if (now.has_cpu) {
		emit_metric("cpu", 0, (double)(now.cpu_us - before->cpu_us) * 1000);
		emit_metric("user", 0, (double)(now.user_us - before->user_us) * 1000);
		emit_metric("system", 0, (double)(now.system_us - before->system_us) * 1000);
	}
	if (now.has_memory) {
		emit_metric("faults", 0, (double)faults);
		emit_metric("major_faults", 0, (double)(now.major_faults - before->major_faults));
		emit_metric("fault_rate", 0, (double)faults * 1e9 / (double)elapsed_ns);
	}
	if (kernel_number(group_file("memory.peak"), &value))
		emit_metric("peak_memory", 0, (double)value);
	if (kernel_number(group_file("memory.swap.peak"), &value))
		emit_metric("peak_swap", 0, (double)value);
	if (now.has_stall)
		emit_metric("stall", 0, (double)(now.stall_us - before->stall_us) * 1000);
}

static void emit_watched(void)
{
	const struct watched *seen = watcher_seen();

	if (seen->has_stall)
		emit_metric("longest_stall", 0, (double)seen->longest_stall_ns);
	emit_metric("latest_wakeup", 0, (double)seen->latest_wakeup_ns);
}

/* The whole run is the phase, unless the program has phases of its own. */
static void begin(struct phase *phase)
{
	if (!phases_wanted()) {
		phase_begin(phase, "run", 0);
		return;
	}
	phase->cost = (struct cost){ .channel = COST_WHOLE };
	cost_begin(&phase->cost);
}

/* The last sample of one that is ended shows it alive. */
static void end(struct phase *phase)
{
	if (phases_wanted())
		cost_end(&phase->cost);
	else
		phase_stop(phase);
	watcher_stop();
	if (!run.late)
		end_all();
	if (phases_wanted())
		phases_close();
	else
		phase_finish(phase, 0);
	if (run.late)
		end_all();
}

/* The folder and the file of --entry. */
static void split_entry(char *folder, const char **file)
{
	const char *slash = strchr(options.entry, '/');

	if (slash == NULL || slash[1] == '\0' || slash == options.entry)
		die(STATUS_USAGE, "--entry wants FOLDER/FILE, not '%s'.", options.entry);
	snprintf(folder, OPTION_TEXT_BYTES, "%.*s", (int)(slash - options.entry), options.entry);
	*file = slash + 1;
}

int main(int argc, char **argv)
{
	char folder[OPTION_TEXT_BYTES], path[2 * PATH_BYTES];
	const char *file;
	struct usage before;
	struct phase phase;
	int children, timer, go;

	workload_begin(argc, argv, TABLE(specs), TABLE(metrics), NULL);
	split_entry(folder, &file);
	lock_program();
	make_group();
	copy_program(folder);
	snprintf(path, sizeof(path), "%s/%s", run.home, file);
	lock_file(path);
	phases_load(run.home);
	run.log = open(place("HARNESS_OUTPUT", OUTPUT), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (run.log < 0)
		die(STATUS_FAILED, "Cannot keep what it prints: %s.", strerror(errno));
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	children = child_signals();
	go = start(path);
	wait_for_alignment(); /* the copies took their time */
	watcher_start(run.group, options.progress);
	before = usage_read(run.group);
	begin(&phase);
	timer = timer_after(options.limit);
	if (write(go, "", 1) != 1)
		die(STATUS_FAILED, "The program was gone before it began.");
	wait_for_end(children, timer);
	end(&phase);
	emit_metric("ended", 0, run.late);
	if (!run.late) {
		emit_metric("elapsed", 0, (double)phase_elapsed_ns(&phase));
		emit_counted("elapsed_busy", 0, &phase.cost, 1);
		emit_metric("exit_status", 0, run.status);
	}
	emit_group(&before, phase_elapsed_ns(&phase));
	emit_watched();
	if (watcher_lost_patience())
		die(STATUS_FAILED, "The program made no progress for %" PRIu64 " s.", options.progress);
	if (!run.late && is_failure(run.status))
		die(STATUS_FAILED, "The program ended with status %d: %s", run.status, last_words());
	return workload_end();
}
