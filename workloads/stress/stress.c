// SPDX-License-Identifier: GPL-2.0-only
/*
 * stress-ng's vm or pageswap stressor, for a number of its "bogo operations".
 *
 * The figures are the stressor's own, from the YAML that it writes.  A number of
 * operations, not a time: base and patch then do the same work.  Without --vm-keep, for the
 * same reason as the default method: vm calls MADV_POPULATE_READ before each pass, and memory
 * that is in swap by then is the case that a memcg limit does not survive (workload.yaml).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/workload.h"

enum stressor { STRESSOR_VM, STRESSOR_PAGESWAP };
static const char *const stressors[] = { "vm", "pageswap", NULL };

static struct {
	uint64_t size, workers, ops, rounds, seed;
	unsigned int stressor;
	char method[OPTION_TEXT_BYTES];
} options;

static const struct option_spec specs[] = {
	{ .name = "stressor", .type = OPTION_CHOICE, .value = &options.stressor, .initial = "vm",
	  .choices = stressors,
	  .help = "vm, or pageswap: page out with MADV_PAGEOUT and touch, a page at a time, "
		  "each a mapping of its own: give it memcg: none, for the mappings take more "
		  "than a limit leaves" },
	{ .name = "size", .type = OPTION_SIZE, .value = &options.size, .initial = "64M",
	  .min = PAGE_BYTES, .max = SIZE_MAX_BYTES, .multiple = PAGE_BYTES,
	  .help = "memory of all vm workers together" },
	{ .name = "method", .type = OPTION_TEXT, .value = options.method, .initial = "wrrd128nt",
	  .help = "vm's way to write and check (--vm-method); most others populate their memory in "
		  "between and are OOM-killed under a memcg limit" },
	{ .name = "workers", .type = OPTION_COUNT, .value = &options.workers, .initial = "1",
	  .min = 1, .max = 64, .help = "processes" },
	{ .name = "ops", .type = OPTION_COUNT, .value = &options.ops, .initial = "600",
	  .min = 1, .max = UINT32_MAX, .help = "bogo operations of all workers together" },
	{ .name = "rounds", .type = OPTION_COUNT, .value = &options.rounds, .initial = "1",
	  .min = 1, .max = 1000, .help = "runs of stress-ng" },
	{ .name = "seed", .type = OPTION_COUNT, .value = &options.seed, .initial = "1", .min = 1,
	  .max = UINT32_MAX, .help = "of its random numbers" },
};

static const struct metric_spec metrics[] = {
	METRIC("op", "ns/op", LOWER, "elapsed time of a bogo operation, by stress-ng's own clock"),
	METRIC("op_cpu", "ns/op", LOWER,
	       "user and system time of the workers for each bogo operation"),
	BUSY_METRIC("op", "ns/op", "for each bogo operation, stress-ng's start and end included"),
	METRIC("bogo_ops_rate", "ops/s", HIGHER,
	       "bogo operations in a second, as stress-ng prints them"),
	METRIC("bogo_ops", "ops", HIGHER,
	       "operations done; the stressor looks only now and then whether it has enough"),
};

/* What stress-ng counts of a run. */
struct figures {
	double ops, seconds, user, system;
};

/* The number behind "key:" in the text; the first is the only one, for there is one stressor. */
static double field(const char *text, const char *key)
{
	const char *at = text;
	size_t length = strlen(key);
	char *end;
	double value;

	while ((at = strstr(at, key)) != NULL && (at[length] != ':' || at[-1] != ' '))
		at += length;
	if (at == NULL)
		die(STATUS_FAILED, "stress-ng's figures have no '%s'.", key);
	value = strtod(at + length + 1, &end);
	if (end == at + length + 1 || !(value >= 0))
		die(STATUS_FAILED, "stress-ng's figure '%s' is no number.", key);
	return value;
}

static struct figures read_figures(const char *path)
{
	static char text[65536];
	FILE *file = fopen(path, "re");
	const char *from;
	size_t got;

	if (file == NULL)
		die(STATUS_FAILED, "stress-ng left no figures in %s: %s.", path, strerror(errno));
	got = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[got] = '\0';
	from = strstr(text, "metrics:");
	if (from == NULL)
		die(STATUS_FAILED, "stress-ng's figures have no 'metrics'.");
	return (struct figures){ .ops = field(from, "bogo-ops"),
				 .seconds = field(from, "wall-clock-time"),
				 .user = field(from, "user-time"),
				 .system = field(from, "system-time") };
}

static void emit(unsigned int round, const struct figures *figures, const struct cost *cost)
{
	if (figures->ops < (double)options.ops || figures->seconds <= 0)
		die(STATUS_FAILED, "stress-ng ended after %.0f of %" PRIu64 " operations.",
		    figures->ops, options.ops);
	emit_metric("op", round, figures->seconds * 1e9 / figures->ops);
	emit_metric("op_cpu", round, (figures->user + figures->system) * 1e9 / figures->ops);
	emit_counted("op_busy", round, cost, (uint64_t)figures->ops);
	emit_metric("bogo_ops_rate", round, figures->ops / figures->seconds);
	emit_metric("bogo_ops", round, figures->ops);
}

static void measured_round(unsigned int round, const char *folder)
{
	char size[32], workers[32], ops[32], seed[32], path[128];
	const char *const vm[] = { "stress-ng", "--vm", workers, "--vm-bytes", size, "--no-madvise",
				   "--vm-method", options.method, "--vm-ops", ops, "--verify",
				   "--seed", seed, "--oomable", "--metrics", "--yaml", path,
				   "--temp-path", folder, "--timeout", "0", NULL };
	const char *const pageswap[] = { "stress-ng", "--pageswap", workers, "--pageswap-ops", ops,
					 "--seed", seed, "--oomable", "--metrics", "--yaml", path,
					 "--temp-path", folder, "--timeout", "0", NULL };
	struct program program;
	struct figures figures;
	struct phase phase;

	snprintf(size, sizeof(size), "%" PRIu64, options.size);
	snprintf(workers, sizeof(workers), "%" PRIu64, options.workers);
	snprintf(ops, sizeof(ops), "%" PRIu64, options.ops);
	snprintf(seed, sizeof(seed), "%" PRIu64, options.seed + round);
	snprintf(path, sizeof(path), "%s/figures", folder);
	phase_begin(&phase, "run", round);
	program_run(&program, options.stressor == STRESSOR_VM ? vm : pageswap);
	phase_stop(&phase);
	phase_finish(&phase, program.cpu_ns);
	close(program.output);
	figures = read_figures(path);
	unlink(path);
	emit(round, &figures, &phase.cost);
}

int main(int argc, char **argv)
{
	char folder[] = "/tmp/stress.XXXXXX";

	workload_begin(argc, argv, TABLE(specs), TABLE(metrics), NULL);
	lock_program();
	if (mkdtemp(folder) == NULL)
		die(STATUS_FAILED, "Cannot make a folder %s: %s.", folder, strerror(errno));
	for (unsigned int round = 1; round <= options.rounds; round++)
		measured_round(round, folder);
	rmdir(folder);
	return workload_end();
}
