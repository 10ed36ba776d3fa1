// SPDX-License-Identifier: GPL-2.0-only
/*
 * Compiling, as a kernel build does it: many short-lived compilers, several at a
 * time, in less memory than they want, then a link of all objects.
 *
 * The sources are this program's own, the same in every boot; a round whose
 * objects differ from the first round's has compiled wrong bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/workload.h"
#include "source.h"

#define FILES_MAX 200
#define JOBS_MAX 64
#define PATH_BYTES 64

static struct {
	uint64_t files, functions, jobs, rounds, seed;
	unsigned int level;
} options;

static const char *const level_choices[] = { "-O0", "-O1", "-O2", "-O3", "-Os", NULL };

static const struct option_spec specs[] = {
	{ .name = "files", .type = OPTION_COUNT, .value = &options.files, .initial = "12",
	  .min = 1, .max = FILES_MAX, .help = "source files" },
	{ .name = "functions", .type = OPTION_COUNT, .value = &options.functions, .initial = "10",
	  .min = 1, .max = 10000,
	  .help = "functions in the first file; the n-th has n times as many" },
	{ .name = "jobs", .type = OPTION_COUNT, .value = &options.jobs, .initial = "2", .min = 1,
	  .max = JOBS_MAX, .help = "compilers at a time, as make -j" },
	{ .name = "level", .type = OPTION_CHOICE, .value = &options.level, .initial = "-O2",
	  .choices = level_choices, .help = "gcc's option for how hard it tries" },
	{ .name = "rounds", .type = OPTION_COUNT, .value = &options.rounds, .initial = "1",
	  .min = 1, .max = 1000, .help = "builds, each from nothing" },
	SEED_OPTION(&options.seed, "of the sources"),
};

static const struct metric_spec metrics[] = {
	METRIC("elapsed", "ns", LOWER, "from the first compiler's start to the linker's end"),
	METRIC("user", "ns", LOWER, "user time of all compilers and the linker"),
	METRIC("system", "ns", LOWER, "system time of the same; kswapd's is not in it"),
	METRIC("cpu", "ns", LOWER, "user and system time together"),
	METRIC("busy", "ns", LOWER,
	       "instructions of all tasks, interrupts and softirqs while it is built"),
	METRIC("source_size", "B", LOWER, "size of all sources; the same for all kernels"),
};

static struct {
	char folder[32];
	char sources[FILES_MAX][PATH_BYTES], objects[FILES_MAX][PATH_BYTES], linked[PATH_BYTES];
	uint64_t user_ns, cpu_ns, digest;
} run = { .folder = "/tmp/kbuild.XXXXXX" };

static void write_sources(void)
{
	uint64_t bytes = 0;

	for (uint64_t i = 0; i < options.files; i++) {
		int file;

		snprintf(run.sources[i], PATH_BYTES, "%s/%" PRIu64 ".c", run.folder, i);
		snprintf(run.objects[i], PATH_BYTES, "%s/%" PRIu64 ".o", run.folder, i);
		source_write(run.sources[i], options.functions * (i + 1),
			     options.seed * FILES_MAX + i);
		file = open(run.sources[i], O_RDONLY | O_CLOEXEC);
		bytes += (uint64_t)lseek(file, 0, SEEK_END);
		close(file);
	}
	emit_metric("source_size", 0, (double)bytes);
}

static void finish(struct program *program)
{
	program_wait(program);
	close(program->output);
	run.user_ns += program->user_ns;
	run.cpu_ns += program->cpu_ns;
}

/*
 * Largest first, as long as a job is free; the oldest is waited for.  make takes
 * whichever ends first, which would be another order in each boot.
 */
static void compile_all(void)
{
	struct program jobs[JOBS_MAX];
	uint64_t started = 0, ended = 0;

	while (ended < options.files) {
		uint64_t file = options.files - 1 - started;
		const char *const argv[] = { "gcc", level_choices[options.level], "-c", "-o", run.objects[file],
					     run.sources[file], NULL };

		if (started < options.files && started - ended < options.jobs) {
			program_start(&jobs[started % options.jobs], argv);
			started++;
			continue;
		}
		finish(&jobs[ended % options.jobs]);
		ended++;
	}
}

static void link_all(void)
{
	const char *argv[FILES_MAX + 5] = { "ld", "-r", "-o", run.linked };
	struct program program;

	for (uint64_t i = 0; i < options.files; i++)
		argv[4 + i] = run.objects[i];
	argv[4 + options.files] = NULL;
	program_start(&program, argv);
	finish(&program);
}

/* FNV-1a of what was linked. */
static uint64_t digest(const char *path)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	unsigned char some[65536];
	FILE *file = fopen(path, "re");
	size_t got;

	if (file == NULL)
		die(STATUS_FAILED, "The linker left no %s: %s.", path, strerror(errno));
	while ((got = fread(some, 1, sizeof(some), file)) > 0)
		for (size_t i = 0; i < got; i++)
			hash = (hash ^ some[i]) * UINT64_C(0x100000001b3);
	fclose(file);
	return hash;
}

static void measured_round(unsigned int round)
{
	struct phase phase;
	uint64_t found;

	run.user_ns = run.cpu_ns = 0;
	phase_begin(&phase, "build", round);
	compile_all();
	link_all();
	phase_stop(&phase);
	phase_finish(&phase, run.cpu_ns);
	found = digest(run.linked);
	if (round == 1)
		run.digest = found;
	if (found != run.digest)
		die(STATUS_CORRUPT, "Round %u built other objects than round 1 from the same "
		    "sources: memory came back wrong.", round);
	emit_metric("elapsed", round, (double)phase_elapsed_ns(&phase));
	emit_metric("user", round, (double)run.user_ns);
	emit_metric("system", round, (double)(run.cpu_ns - run.user_ns));
	emit_metric("cpu", round, (double)run.cpu_ns);
	emit_counted("busy", round, &phase.cost, 1);
	unlink(run.linked);
	for (uint64_t i = 0; i < options.files; i++)
		unlink(run.objects[i]);
}

int main(int argc, char **argv)
{
	workload_begin(argc, argv, TABLE(specs), TABLE(metrics), NULL);
	lock_program();
	if (mkdtemp(run.folder) == NULL)
		die(STATUS_FAILED, "Cannot make a folder %s: %s.", run.folder, strerror(errno));
	snprintf(run.linked, sizeof(run.linked), "%s/all.o", run.folder);
	write_sources();
	for (unsigned int round = 1; round <= options.rounds; round++)
		measured_round(round);
	for (uint64_t i = 0; i < options.files; i++)
		unlink(run.sources[i]);
	rmdir(run.folder);
	return workload_end();
}
