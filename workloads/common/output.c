// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workload.h"

/* Every line goes out at once: a crash a moment later must not take it along. */
static void end_line(void)
{
	fputs("}\n", stdout);
	if (fflush(stdout) != 0)
		die(STATUS_FAILED, "Cannot write to standard output (errno %d).", errno);
}

static void put_round(unsigned int round)
{
	if (round > 0)
		printf(",\"round\":%u", round);
}

void die(enum status status, const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit((int)status);
}

/* Names, units and values are ours or checked: nothing in them needs escaping. */
void emit_param_number(const char *name, uint64_t value, const char *unit)
{
	printf("{\"type\":\"param\",\"name\":\"%s\",\"value\":%" PRIu64 ",\"unit\":\"%s\"", name,
	       value, unit);
	end_line();
}

void emit_param_text(const char *name, const char *value)
{
	printf("{\"type\":\"param\",\"name\":\"%s\",\"value\":\"%s\",\"unit\":\"\"", name, value);
	end_line();
}

void emit_metric(const char *name, unsigned int round, double value)
{
	const char *unit = metric_unit(name);

	printf("{\"type\":\"metric\",\"name\":\"%s\"", name);
	put_round(round);
	printf(",\"value\":%.3f,\"unit\":\"%s\"", value, unit);
	end_line();
}

void emit_counted(const char *name, unsigned int round, const struct cost *cost, uint64_t count)
{
	const char *unit = metric_unit(name);

	printf("{\"type\":\"metric\",\"name\":\"%s\"", name);
	put_round(round);
	printf(",\"counted\":%u,\"per\":%" PRIu64 ",\"unit\":\"%s\"", count_put(cost->channel),
	       count, unit);
	end_line();
}

void emit_cost(const char *name, unsigned int round, const struct cost *cost, uint64_t count)
{
	char cpu_name[MARK_BYTES], busy_name[MARK_BYTES];

	snprintf(cpu_name, sizeof(cpu_name), "%s_cpu", name);
	snprintf(busy_name, sizeof(busy_name), "%s_busy", name);
	emit_metric(name, round, (double)cost->elapsed_ns / (double)count);
	emit_metric(cpu_name, round, (double)cost->cpu_ns / (double)count);
	emit_counted(busy_name, round, cost, count);
}

void emit_processes(unsigned int round, const uint64_t *elapsed_ns, size_t count)
{
	double sum = 0, squares = 0;
	uint64_t slowest = 0;

	if (count < 2)
		return;
	for (size_t i = 0; i < count; i++) {
		/* The work is the same, and any unit of throughput gives the same index. */
		double rate = 1 / (double)(elapsed_ns[i] > 0 ? elapsed_ns[i] : 1);

		sum += rate;
		squares += rate * rate;
		if (elapsed_ns[i] > slowest)
			slowest = elapsed_ns[i];
	}
	emit_metric("slowest", round, (double)slowest);
	emit_metric("fairness", round, 100 * sum * sum / ((double)count * squares));
}

void emit_phase(const struct phase *phase)
{
	printf("{\"type\":\"phase\",\"name\":\"%s\"", phase->name);
	put_round(phase->round);
	printf(",\"begin_ns\":%" PRIu64 ",\"end_ns\":%" PRIu64 ",\"cpu_ns\":%" PRIu64
	       ",\"counted\":%u",
	       phase->cost.begin_ns, phase->cost.begin_ns + phase->cost.elapsed_ns,
	       phase->cost.cpu_ns, count_put(phase->cost.channel));
	end_line();
}

void emit_verify(unsigned int round, uint64_t pages, uint64_t bad)
{
	printf("{\"type\":\"verify\"");
	put_round(round);
	printf(",\"pages\":%" PRIu64 ",\"bad\":%" PRIu64, pages, bad);
	end_line();
}

void require_intact(unsigned int round, uint64_t pages, uint64_t bad)
{
	emit_verify(round, pages, bad);
	if (bad > 0)
		die(STATUS_CORRUPT, "%" PRIu64 " pages are corrupt.", bad);
}

void emit_histogram(const struct histogram *histogram, const char *name, const char *phase)
{
	const char *comma = "";

	printf("{\"type\":\"hist\",\"name\":\"%s\",\"phase\":\"%s\",\"unit\":\"ns\","
	       "\"sub_bits\":%u,\"counts\":[",
	       name, phase, HISTOGRAM_SUB_BITS);
	for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++) {
		if (histogram->counts[i] == 0)
			continue;
		printf("%s[%u,%" PRIu64 "]", comma, i, histogram->counts[i]);
		comma = ",";
	}
	putchar(']');
	end_line();
}

void emit_done(void)
{
	printf("{\"type\":\"done\",\"counted\":%u", count_put(COST_RUN));
	end_line();
}
