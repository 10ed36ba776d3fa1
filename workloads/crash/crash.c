// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fail in a chosen way, to prove that the harness notices: nothing here
 * measures.  All that can hurt a machine runs only in a guest of the harness.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/workload.h"

/* Only the harness's guests have this port. */
#define GUEST_PROOF "/dev/virtio-ports/harness.samples"
#define OOM_STEP_BYTES (UINT64_C(16) << 20)

enum how { HOW_EXIT, HOW_CORRUPT, HOW_PANIC, HOW_HANG, HOW_OOM };
static const char *const how_choices[] = { "exit", "corrupt", "panic", "hang", "oom", NULL };

static struct {
	unsigned int how;
	uint64_t size, status;
	bool outside_guest;
} options;

static const struct option_spec specs[] = {
	{ .name = "how", .type = OPTION_CHOICE, .value = &options.how, .initial = "exit",
	  .choices = how_choices,
	  .help = "exit (with a status that is not 0), corrupt (flip a bit and verify: status "
		  "3), panic (sysrq c), hang (stop all processes and keep every CPU in a "
		  "real-time loop) or oom (take all memory)" },
	{ .name = "status", .type = OPTION_COUNT, .value = &options.status, .initial = "1",
	  .min = 1, .max = 255, .help = "exit status of how=exit" },
	{ .name = "size", .type = OPTION_SIZE, .value = &options.size, .initial = "1M",
	  .min = PAGE_BYTES, .max = SIZE_MAX_BYTES, .multiple = PAGE_BYTES,
	  .help = "memory of how=corrupt" },
	{ .name = "outside-guest", .type = OPTION_FLAG, .value = &options.outside_guest,
	  .initial = "no", .help = "let how=oom run on any machine, even on yours" },
};

static void require_guest(void)
{
	if (options.how == HOW_OOM && options.outside_guest)
		return;
	if (access(GUEST_PROOF, F_OK) != 0)
		die(STATUS_USAGE, "--how=%s runs only in a guest of the harness: there is no %s.",
		    how_choices[options.how], GUEST_PROOF);
}

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good;

	if (fd < 0)
		return false;
	good = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return good;
}

static void crash_panic(void)
{
	if (!write_text("/proc/sysrq-trigger", "c"))
		die(STATUS_FAILED, "Cannot write to /proc/sysrq-trigger (%s); the kernel needs "
		    "CONFIG_MAGIC_SYSRQ.", strerror(errno));
}

static _Noreturn void spin_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		_exit(STATUS_FAILED); /* no such CPU: nothing to starve there */
	for (;;)
		__asm__ volatile("" ::: "memory");
}

/*
 * User space cannot disable interrupts any more (Linux 5.5 and later ignore cli
 * after iopl).  So keep every CPU in a real-time loop with the throttling of
 * real-time tasks turned off.  From Linux 6.12 on the fair server still gives
 * ordinary tasks a share; so first stop them all, the sampler and sshd too.
 */
static void crash_hang(void)
{
	struct sched_param parameter = { .sched_priority = 99 };
	int cpus = (int)sysconf(_SC_NPROCESSORS_CONF);

	if (!write_text("/proc/sys/kernel/sched_rt_runtime_us", "-1"))
		die(STATUS_FAILED, "Cannot write to /proc/sys/kernel/sched_rt_runtime_us: %s.",
		    strerror(errno));
	if (sched_setscheduler(0, SCHED_FIFO, &parameter) != 0)
		die(STATUS_FAILED, "Cannot get real-time priority: %s.", strerror(errno));
	mark("hang");
	/* All but this process and init, which waits for it. */
	if (kill(-1, SIGSTOP) != 0 && errno != ESRCH)
		die(STATUS_FAILED, "Cannot stop the other processes: %s.", strerror(errno));
	for (int cpu = 1; cpu < cpus; cpu++)
		if (fork() == 0)
			spin_on(cpu);
	spin_on(0);
}

static void crash_oom(void)
{
	struct content content;
	uint64_t index = 0;

	/* Random, so that neither zswap nor zram can make room. */
	content_parse("random", &content);
	for (;;) {
		char *base = memory_map(OOM_STEP_BYTES, HUGEPAGES_NEVER);

		for (uint64_t at = 0; at < OOM_STEP_BYTES; at += PAGE_BYTES)
			content_fill(&content, 1, index++, base + at);
	}
}

/* The workloads' own verification must find one flipped bit. */
static void crash_corrupt(void)
{
	struct content content;
	uint64_t pages = options.size / PAGE_BYTES;
	uint64_t bad;
	char *base = memory_map(options.size, HUGEPAGES_NEVER);

	content_parse("compressible:50", &content);
	for (uint64_t i = 0; i < pages; i++)
		content_fill(&content, 1, i, base + i * PAGE_BYTES);
	base[pages / 2 * PAGE_BYTES + PAGE_BYTES - 1] ^= 1;
	bad = content_verify(&content, 1, 0, base, pages);
	emit_verify(0, pages, bad);
	exit(bad == 1 ? STATUS_CORRUPT : STATUS_FAILED);
}

static void set_operand(const char *text)
{
	for (options.how = 0; how_choices[options.how] != NULL; options.how++)
		if (strcmp(text, how_choices[options.how]) == 0)
			return;
	die(STATUS_USAGE, "There is no way to crash named '%s'; --help lists them.", text);
}

int main(int argc, char **argv)
{
	int first = options_parse(argc, argv, specs, COUNT_OF(specs));

	/* "crash panic" is short for "crash --how=panic". */
	if (first + 1 < argc)
		die(STATUS_USAGE, "One way to crash is enough, '%s' is too much.", argv[first + 1]);
	if (first < argc)
		set_operand(argv[first]);
	options_report(specs, COUNT_OF(specs));
	mark("crash");
	switch ((enum how)options.how) {
	case HOW_EXIT:
		die((enum status)options.status, "Exits with status %" PRIu64 ", as asked.",
		    options.status);
	case HOW_CORRUPT:
		crash_corrupt();
		break;
	case HOW_PANIC:
		require_guest();
		crash_panic();
		break;
	case HOW_HANG:
		require_guest();
		crash_hang();
		break;
	case HOW_OOM:
		require_guest();
		crash_oom();
		break;
	}
	die(STATUS_FAILED, "The machine survived --how=%s.", how_choices[options.how]);
}
