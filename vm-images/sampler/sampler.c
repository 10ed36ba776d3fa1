// SPDX-License-Identifier: GPL-2.0-only
/*
 * Snapshots of /proc, /sys and debugfs files: at intervals, and whenever a
 * client asks for one by sending a mark.  Each becomes one record:
 *
 *     @sample <seq> <CLOCK_MONOTONIC ns> <"interval", "mark:TEXT" or "beat">
 *     @file <path> <nbytes>            then that many bytes and a newline
 *     @miss <path> <errno name>
 *     @end <seq> <CLOCK_MONOTONIC ns> <CPU ns of the sampler so far>
 *
 * The client gets its acknowledgement, one byte, only after the record is
 * written.  All memory is allocated and locked at the start; only at marks the
 * heap is used, which is locked as well: to match the globs again, and to read
 * the memory of processes.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "sampler.h"

#define CLIENTS_MAX 16
#define INTERVAL_MAX_MS 86400000u
/* A whole number of ticks of each CONFIG_HZ: 100, 250, 300 and 1000. */
#define GRID_NS UINT64_C(20000000)
/* A limit goes down by a fifth each time, a list by 2016 pages at most. */
#define DECAYS 100

enum { FD_LISTEN, FD_TIMER, FD_SIGNAL, FD_CLIENTS, FD_COUNT = FD_CLIENTS + CLIENTS_MAX };

static struct {
	const char *out, *socket, *mark, *pid_file;
	uint64_t interval_ms, heartbeat_ms, settle_ms, buffer;
	bool daemon, bare, empty_lists, pmu;
} options = { .socket = SAMPLER_SOCKET, .buffer = UINT64_C(4) << 20 };

static struct record record;
static struct pollfd fds[FD_COUNT];
static int out_fd = -1;
static uint64_t sequence;

static const char help[] =
	"usage: sampler --out PATH [--NAME=VALUE]...\n"
	"       sampler --mark TEXT [--socket PATH]\n"
	"  --out PATH       where the records go, e.g. a virtio-serial port\n"
	"  --interval MS    time between samples; 0: at marks only (default: 0)\n"
	"  --heartbeat MS   with --interval 0, time between empty records that only\n"
	"                   show that the guest is alive; 0: none (default: 0)\n"
	"  --bare           read nothing; a mark brings counters up to date and rests\n"
	"  --empty-lists    at marks, have the CPUs give back the pages they keep; sets a\n"
	"                   sysctl for a moment, so only for a machine of one's own\n"
	"  --pmu            at marks, cycles, instructions and cache misses of all CPUs,\n"
	"                   where each has a PMU\n"
	"  --settle MS      rest after a mark's sample, before the answer, until the\n"
	"                   kernel has freed what reading left behind, and then until\n"
	"                   the same place between two timer ticks (default: 0)\n"
	"  --socket PATH    where marks come in (default: " SAMPLER_SOCKET ")\n"
	"  --file PATH      a file or glob to sample; repeatable\n"
	"  --files LIST     a file with one path or glob a line; repeatable\n"
	"  --buffer SIZE    locked memory for one record (default: 4M)\n"
	"  --daemon         go to the background once the socket listens\n"
	"  --pid-file PATH  write the process id there\n"
	"  --mark TEXT      be a client: have a sample taken, wait for it, exit\n";

static const struct option table[] = {
	{ "out", required_argument, NULL, 'o' },
	{ "interval", required_argument, NULL, 'i' },
	{ "heartbeat", required_argument, NULL, 'H' },
	{ "bare", no_argument, NULL, 'B' },
	{ "empty-lists", no_argument, NULL, 'E' },
	{ "pmu", no_argument, NULL, 'P' },
	{ "settle", required_argument, NULL, 'S' },
	{ "socket", required_argument, NULL, 's' },
	{ "file", required_argument, NULL, 'f' },
	{ "files", required_argument, NULL, 'l' },
	{ "buffer", required_argument, NULL, 'b' },
	{ "daemon", no_argument, NULL, 'd' },
	{ "pid-file", required_argument, NULL, 'p' },
	{ "mark", required_argument, NULL, 'm' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static uint64_t number_in(const char *name, const char *text, uint64_t min, uint64_t max)
{
	uint64_t value;

	if (!parse_size(text, &value) || value < min || value > max)
		die(STATUS_USAGE, "--%s wants a number from %" PRIu64 " to %" PRIu64 ", not '%s'.",
		    name, min, max, text);
	return value;
}

static void set_option(int option, char **argv)
{
	switch (option) {
	case 'o': options.out = optarg; break;
	case 'i': options.interval_ms = number_in("interval", optarg, 0, INTERVAL_MAX_MS); break;
	case 'H': options.heartbeat_ms = number_in("heartbeat", optarg, 0, INTERVAL_MAX_MS); break;
	case 'B': options.bare = true; break;
	case 'E': options.empty_lists = true; break;
	case 'P': options.pmu = true; break;
	case 'S': options.settle_ms = number_in("settle", optarg, 0, 10000); break;
	case 's': options.socket = optarg; break;
	case 'f': watch_add(optarg, false, false); break;
	case 'l': watch_load(optarg); break;
	case 'b': options.buffer = number_in("buffer", optarg, UINT64_C(1) << 18,
					     UINT64_C(1) << 30); break;
	case 'd': options.daemon = true; break;
	case 'p': options.pid_file = optarg; break;
	case 'm': options.mark = optarg; break;
	case 'h': fputs(help, stdout); exit(STATUS_OK);
	case ':': die(STATUS_USAGE, "%s wants a value.", argv[optind - 1]);
	default: die(STATUS_USAGE, "There is no option '%s'; --help lists them.",
		     argv[optind - 1]);
	}
}

static void parse_options(int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "+:", table, NULL)) != -1)
		set_option(option, argv);
	if (optind < argc)
		die(STATUS_USAGE, "There is no operand '%s'; --help lists the options.",
		    argv[optind]);
	if (options.mark == NULL && options.out == NULL)
		die(STATUS_USAGE, "--out is missing: where do the samples go?");
}

/* --- errors once stderr is gone --- */

/* A daemon's last words go to the kernel log, which the console shows. */
static void close_daemon_streams(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int log = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(log >= 0 ? log : null, STDERR_FILENO);
}

static _Noreturn __attribute__((format(printf, 1, 2))) void fail(const char *format, ...)
{
	char text[256];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	/* One write: each becomes a line of its own in the kernel log. */
	if (length > 0)
		dprintf(STDERR_FILENO, "harness sampler: %s\n", text);
	exit(STATUS_FAILED);
}

static void write_record(void)
{
	size_t done = 0;

	while (done < record.used) {
		ssize_t wrote = write(out_fd, record.data + done, record.used - done);

		if (wrote >= 0)
			done += (size_t)wrote;
		else if (errno != EINTR)
			fail("Cannot write to '%s': %s.", options.out, strerror(errno));
	}
}

static void begin_record(const char *reason, const char *mark_text)
{
	record.used = 0;
	sequence++;
	record_line(&record, "@sample %" PRIu64 " %" PRIu64 " %s%s\n", sequence, now_ns(), reason,
		    mark_text);
}

static void end_record(void)
{
	record_line(&record, "@end %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", sequence, now_ns(),
		    cpu_ns());
	write_record();
}

/*
 * Counters that each CPU keeps for itself are added to the totals now, so that a
 * mark shows them exactly, whenever the kernel would have added them: those of the
 * zones by a write (root only; without it they are as late as they are), those of
 * all memcgs by a look at the topmost one's.
 *
 * The latter are more than figures.  Reclaim weighs its lists by them, and a refault
 * is active or not by the size of the working set that they say; so a phase after
 * fresh ones runs unlike a phase after some that are up to two seconds old.
 */
static void fold_counters(unsigned int times)
{
	char unread[4096];
	int fd = open("/proc/sys/vm/stat_refresh", O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		for (unsigned int i = 0; i < times; i++)
			(void)!pwrite(fd, "1", 1, 0);
		close(fd);
	}
	fd = open("/sys/fs/cgroup/memory.stat", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!read(fd, unread, sizeof(unread));
		close(fd);
	}
}

/*
 * How many free pages a CPU keeps for itself is the history of the boot, and decides
 * how many a phase gets cheaply and when it has to go to the zone.  With its counters a
 * CPU gives back what is above its limit, which shrinks by a fifth each time
 * (decay_pcp_high() in mm/page_alloc.c, from Linux 6.8 on).  So for a moment the limit
 * is the smallest that there is: what is left is just that much, in each boot.
 * Kernels before 5.14 have no such limit.
 */
static void empty_page_lists(void)
{
	char limit[24] = "";
	int fd = open("/proc/sys/vm/percpu_pagelist_high_fraction", O_RDWR | O_CLOEXEC);
	ssize_t length = fd < 0 ? 0 : pread(fd, limit, sizeof(limit), 0);
	bool set = length > 0 && pwrite(fd, "1000000000", 10, 0) == 10;

	if (fd >= 0 && !set)
		fail("Cannot set percpu_pagelist_high_fraction: %s.", strerror(errno));
	fold_counters(set ? DECAYS : 1);
	if (set && pwrite(fd, limit, (size_t)length, 0) != length)
		fail("Cannot give percpu_pagelist_high_fraction its value back: %s.",
		     strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void read_all(bool is_mark)
{
	if (is_mark)
		watch_refresh();
	watch_sample(&record, is_mark);
	if (is_mark) {
		kthreads_sample(&record);
		processes_sample(&record);
		pmu_sample(&record);
	}
}

static void sample(const char *mark_text)
{
	bool is_mark = mark_text != NULL;

	if (is_mark)
		options.empty_lists ? empty_page_lists() : fold_counters(1);
	begin_record(is_mark ? "mark:" : "interval", is_mark ? mark_text : "");
	if (!options.bare)
		read_all(is_mark);
	end_record();
}

/* Nothing is read: it must not disturb what is being timed. */
static void beat(void)
{
	begin_record("beat", "");
	end_record();
}

static int open_out(void)
{
	int fd = open(options.out, O_WRONLY | O_TRUNC | O_CLOEXEC);

	/* In /dev a missing port must not become a plain file in memory. */
	if (fd < 0 && errno == ENOENT && strncmp(options.out, "/dev/", 5) != 0)
		fd = open(options.out, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		die(STATUS_FAILED, "Cannot open '%s' for the samples: %s.", options.out,
		    strerror(errno));
	return fd;
}

static int open_socket(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (strlen(options.socket) >= sizeof(address.sun_path))
		die(STATUS_USAGE, "--socket is too long for a socket: '%s'.", options.socket);
	memcpy(address.sun_path, options.socket, strlen(options.socket) + 1);
	unlink(options.socket);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(fd, CLIENTS_MAX) != 0)
		die(STATUS_FAILED, "Cannot listen on '%s': %s.", options.socket, strerror(errno));
	return fd;
}

static int open_timer(void)
{
	uint64_t period = options.interval_ms > 0 ? options.interval_ms : options.heartbeat_ms;
	struct itimerspec spec = { 0 };
	int fd;

	if (period == 0)
		return -1;
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	spec.it_interval.tv_sec = (time_t)(period / 1000);
	spec.it_interval.tv_nsec = (long)(period % 1000) * 1000000;
	spec.it_value = spec.it_interval;
	if (fd < 0 || timerfd_settime(fd, 0, &spec, NULL) != 0)
		die(STATUS_FAILED, "Cannot start a timer: %s.", strerror(errno));
	return fd;
}

static int open_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (fd < 0)
		die(STATUS_FAILED, "signalfd failed: %s.", strerror(errno));
	return fd;
}

/* Neither swapped nor killed: the sampler must see what the workload goes through. */
static void settle_down(void)
{
	FILE *score = fopen("/proc/self/oom_score_adj", "we");

	if (score != NULL) {
		fputs("-1000", score); /* needs root; without it the default stays */
		fclose(score);
	}
	if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
		die(STATUS_FAILED, "Cannot lock the sampler in memory (%s); run it as root or raise "
		    "the limit on locked memory.", strerror(errno));
	record.size = options.buffer;
	record.data = mmap(NULL, record.size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (record.data == MAP_FAILED)
		die(STATUS_FAILED, "Cannot get %zu bytes for a record: %s.", record.size,
		    strerror(errno));
}

static void write_pid_file(void)
{
	FILE *file;

	if (options.pid_file == NULL)
		return;
	file = fopen(options.pid_file, "we");
	if (file == NULL || fprintf(file, "%d\n", (int)getpid()) < 0 || fclose(file) != 0)
		die(STATUS_FAILED, "Cannot write '%s': %s.", options.pid_file, strerror(errno));
}

static void start(void)
{
	out_fd = open_out();
	settle_down();
	kthreads_open();
	if (options.pmu)
		pmu_open();
	watch_refresh();
	for (size_t i = 0; i < FD_COUNT; i++)
		fds[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
	fds[FD_SIGNAL].fd = open_signals();
	fds[FD_LISTEN].fd = open_socket();
	fds[FD_TIMER].fd = open_timer();
	write_pid_file();
}

/*
 * The parent stays until the child listens, and passes its failure on.  The
 * child starts after the fork: locked memory is not inherited.
 */
static void start_daemon(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) != 0)
		die(STATUS_FAILED, "Cannot make a pipe: %s.", strerror(errno));
	pid = fork();
	if (pid < 0)
		die(STATUS_FAILED, "Cannot fork: %s.", strerror(errno));
	if (pid > 0) {
		close(ready[1]);
		_exit(read(ready[0], &byte, 1) == 1 ? STATUS_OK : STATUS_FAILED);
	}
	setsid();
	start();
	close_daemon_streams();
	if (write(ready[1], "", 1) != 1)
		fail("Whoever started the sampler is gone.");
	close(ready[0]);
	close(ready[1]);
}

static void accept_client(void)
{
	int fd = accept4(fds[FD_LISTEN].fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	for (size_t i = FD_CLIENTS; i < FD_COUNT; i++)
		if (fds[i].fd < 0) {
			fds[i].fd = fd;
			return;
		}
	close(fd); /* the client sees that at once */
}

/*
 * Files that were opened for a sample are freed after an RCU grace period or two,
 * in whatever runs then: it must not be the phase that begins with the answer.
 *
 * Grace periods go by the timer tick, too: how many end inside a phase, and with
 * them how much of its own freeing it pays for, depends on where between two ticks
 * it begins.  So every phase begins at the same place.
 */
static void rest(void)
{
	uint64_t until = now_ns() + options.settle_ms * 1000000;

	if (options.settle_ms > 0)
		sleep_until((until / GRID_NS + 1) * GRID_NS + GRID_NS / 10);
}

static void serve_client(struct pollfd *client)
{
	char text[MARK_BYTES];
	ssize_t got = recv(client->fd, text, sizeof(text) - 1, 0);

	if (got <= 0) {
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		close(client->fd);
		client->fd = -1;
		return;
	}
	text[got] = '\0';
	for (char *at = text; *at != '\0'; at++)
		if (*at <= ' ' || *at >= 0x7f)
			*at = '_';
	pmu_pause();
	sample(text);
	rest();
	pmu_resume();
	/* A client that is gone by now needs no answer. */
	(void)!send(client->fd, "+", 1, MSG_NOSIGNAL);
}

static void take_timer(void)
{
	uint64_t expirations;

	/* Late is late: several expirations make one sample. */
	if (read(fds[FD_TIMER].fd, &expirations, sizeof(expirations)) <= 0)
		return;
	if (options.interval_ms > 0)
		sample(NULL);
	else
		beat();
}

static void loop(void)
{
	while (fds[FD_SIGNAL].revents == 0) {
		if (poll(fds, FD_COUNT, -1) < 0) {
			if (errno == EINTR)
				continue;
			fail("poll failed: %s.", strerror(errno));
		}
		for (size_t i = FD_CLIENTS; i < FD_COUNT; i++)
			if (fds[i].fd >= 0 && fds[i].revents != 0)
				serve_client(&fds[i]);
		if (fds[FD_TIMER].revents != 0)
			take_timer();
		if (fds[FD_LISTEN].revents != 0)
			accept_client();
	}
}

int main(int argc, char **argv)
{
	parse_options(argc, argv);
	if (options.mark != NULL) {
		setenv("HARNESS_SAMPLER", options.socket, 1);
		setenv("HARNESS_REQUIRE_SAMPLER", "1", 1);
		mark(options.mark);
		return STATUS_OK;
	}
	if (options.daemon)
		start_daemon();
	else
		start();
	loop();
	sample("end");
	unlink(options.socket);
	if (close(out_fd) != 0)
		fail("Cannot finish '%s': %s.", options.out, strerror(errno));
	return STATUS_OK;
}
