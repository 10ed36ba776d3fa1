// SPDX-License-Identifier: GPL-2.0-only
/*
 * A redis server whose data set is larger than its memory, read at random.
 *
 * The measured reads are this program's own, over the server's socket, because
 * redis-benchmark draws its keys by the time of day: no two of its runs do the
 * same.  Here the order comes from the seed, each latency is taken, and each
 * value is compared.  redis-benchmark runs afterwards, for figures as others
 * print them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../common/workload.h"
#include "client.h"

#define VALUE_MAX 65536u
#define PATIENCE_S 120

static struct {
	uint64_t keys, value, requests, bench, clients, rounds, seed;
	struct content content;
} options;

static const struct option_spec specs[] = {
	{ .name = "keys", .type = OPTION_COUNT, .value = &options.keys, .initial = "16384",
	  .min = 1, .max = UINT32_MAX, .help = "keys in the data set" },
	{ .name = "value", .type = OPTION_SIZE, .value = &options.value, .initial = "4K",
	  .min = PAGE_BYTES, .max = VALUE_MAX, .multiple = PAGE_BYTES,
	  .help = "size of each value" },
	CONTENT_OPTION(&options.content, "compressible:30"),
	{ .name = "requests", .type = OPTION_COUNT, .value = &options.requests, .initial = "16384",
	  .min = 1, .max = UINT32_MAX, .help = "measured reads in a round" },
	{ .name = "rounds", .type = OPTION_COUNT, .value = &options.rounds, .initial = "1",
	  .min = 1, .max = 1000, .help = "rounds of them" },
	{ .name = "bench", .type = OPTION_COUNT, .value = &options.bench, .initial = "8192",
	  .max = UINT32_MAX, .help = "requests of redis-benchmark; 0: none" },
	{ .name = "clients", .type = OPTION_COUNT, .value = &options.clients, .initial = "1",
	  .min = 1, .max = 64, .help = "connections of redis-benchmark" },
	SEED_OPTION(&options.seed, "of content and order"),
};

static const struct metric_spec metrics[] = {
	METRIC("set", "ns/request", LOWER,
	       "elapsed time to make a value and store it, while the data set grows beyond "
	       "memory"),
	METRIC("get", "ns/request", LOWER,
	       "elapsed time from request to the last byte of the value"),
	METRIC("get_rate", "requests/s", HIGHER, "reads in a second of that time, one connection"),
	METRIC("server_cpu", "ns/request", LOWER,
	       "CPU time of the server for a read, its own background jobs included"),
	BUSY_METRIC("get", "ns/request", "from request to the last byte of the value"),
	METRIC("bench_rate", "requests/s", HIGHER, "requests per second by redis-benchmark"),
	METRIC("bench_p50", "ms", LOWER, "median latency by redis-benchmark"),
	METRIC("bench_p95", "ms", LOWER, "95th percentile by it"),
	METRIC("bench_p99", "ms", LOWER, "99th percentile by it"),
	METRIC("bench_max", "ms", LOWER, "longest latency by it"),
};

static struct {
	char folder[32], socket[64];
	struct program server;
	unsigned char value[VALUE_MAX];
	uint64_t pages; /* of a value */
	struct histogram latency;
} run = { .folder = "/tmp/redis.XXXXXX" };

static void start_server(void)
{
	const char *const argv[] = { "redis-server", "--port", "0", "--unixsocket", run.socket,
				     "--save", "", "--appendonly", "no", "--dir", run.folder,
				     "--activerehashing", "no", "--daemonize", "no", NULL };
	struct timespec pause = { .tv_nsec = 20000000 };

	if (mkdtemp(run.folder) == NULL)
		die(STATUS_FAILED, "Cannot make a folder: %s.", strerror(errno));
	snprintf(run.socket, sizeof(run.socket), "%s/socket", run.folder);
	program_start(&run.server, argv);
	for (unsigned int i = 0; i < PATIENCE_S * 50u; i++) {
		if (client_connect(run.socket))
			return;
		program_require_alive(&run.server);
		nanosleep(&pause, NULL);
	}
	die(STATUS_FAILED, "redis-server does not answer after %d s.", PATIENCE_S);
}

/* Of all threads of the server, exact: the scheduler's own sum. */
static uint64_t server_cpu_ns(void)
{
	clockid_t clock;
	struct timespec now;

	if (clock_getcpuclockid(run.server.pid, &clock) != 0 || clock_gettime(clock, &now) != 0)
		die(STATUS_FAILED, "The server's CPU clock cannot be read.");
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t first_page(uint64_t key)
{
	return key * run.pages;
}

static void fill(void)
{
	struct phase phase;

	phase_begin(&phase, "set", 0);
	for (uint64_t key = 0; key < options.keys; key++) {
		for (uint64_t i = 0; i < run.pages; i++)
			content_fill(&options.content, options.seed, first_page(key) + i,
				     run.value + i * PAGE_BYTES);
		client_set(key, run.value, options.value);
	}
	phase_end(&phase);
	emit_metric("set", 0, (double)phase_elapsed_ns(&phase) / (double)options.keys);
}

static uint64_t bad_pages(uint64_t key)
{
	return content_verify(&options.content, options.seed, first_page(key), run.value, run.pages);
}

static void measured_round(unsigned int round)
{
	struct phase phase;
	struct order order;
	uint64_t elapsed = 0, bad = 0, cpu;
	const struct cost get = { .channel = COST_PART };

	order_init(&order, options.keys, true, options.seed + round);
	phase_begin(&phase, "get", round);
	count_clear(get.channel);
	cpu = server_cpu_ns();
	for (uint64_t i = 0; i < options.requests; i++) {
		uint64_t key = order_at(&order, i % options.keys);
		uint64_t begin = now_ns(), took;

		count_begin(get.channel);
		client_get(key, run.value, options.value);
		count_end(get.channel);
		took = now_ns() - begin;
		elapsed += took;
		histogram_add(&run.latency, took);
		bad += bad_pages(key);
	}
	cpu = server_cpu_ns() - cpu;
	phase_stop(&phase);
	phase_finish(&phase, cpu);
	require_intact(round, options.requests * run.pages, bad);
	emit_metric("get", round, (double)elapsed / (double)options.requests);
	emit_metric("get_rate", round, (double)options.requests * 1e9 / (double)elapsed);
	emit_metric("server_cpu", round, (double)cpu / (double)options.requests);
	emit_counted("get_busy", round, &get, options.requests);
}

/* "GET","rps","avg_latency_ms","min","p50","p95","p99","max": the numbers behind the name. */
static void emit_benchmark(const char *text)
{
	double rps, average, least, p50, p95, p99, most;
	const char *line = strstr(text, "\"GET\",");

	if (line == NULL ||
	    sscanf(line, "\"GET\",\"%lf\",\"%lf\",\"%lf\",\"%lf\",\"%lf\",\"%lf\",\"%lf\"", &rps,
		   &average, &least, &p50, &p95, &p99, &most) != 7)
		die(STATUS_FAILED, "redis-benchmark prints no line for GET as it should.");
	emit_metric("bench_rate", 0, rps);
	emit_metric("bench_p50", 0, p50);
	emit_metric("bench_p95", 0, p95);
	emit_metric("bench_p99", 0, p99);
	emit_metric("bench_max", 0, most);
}

static void benchmark(void)
{
	char keys[32], requests[32], clients[32];
	const char *const argv[] = { "redis-benchmark", "-s", run.socket, "-t", "get", "-r", keys,
				     "-n", requests, "-c", clients, "--csv", NULL };
	struct program program;
	struct phase phase;

	snprintf(keys, sizeof(keys), "%" PRIu64, options.keys);
	snprintf(requests, sizeof(requests), "%" PRIu64, options.bench);
	snprintf(clients, sizeof(clients), "%" PRIu64, options.clients);
	phase_begin(&phase, "bench", 0);
	program_run(&program, argv);
	phase_stop(&phase);
	phase_finish(&phase, program.cpu_ns);
	emit_benchmark(program_output(&program));
	close(program.output);
}

int main(int argc, char **argv)
{
	workload_begin(argc, argv, TABLE(specs), TABLE(metrics), NULL);
	lock_program();
	run.pages = options.value / PAGE_BYTES;
	start_server();
	fill();
	for (unsigned int round = 1; round <= options.rounds; round++)
		measured_round(round);
	emit_histogram(&run.latency, "get", "get");
	if (options.bench > 0)
		benchmark();
	program_require_alive(&run.server);
	program_stop(&run.server);
	unlink(run.socket);
	rmdir(run.folder);
	return workload_end();
}
