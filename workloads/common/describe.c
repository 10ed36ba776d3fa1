// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workload.h"

static const struct metric_spec *declared;
static size_t declared_count;

void metrics_declare(const struct metric_spec *specs, size_t count)
{
	declared = specs;
	declared_count = count;
}

const char *metric_unit(const char *name)
{
	for (size_t i = 0; i < declared_count; i++)
		if (strcmp(declared[i].name, name) == 0)
			return declared[i].unit;
	die(STATUS_FAILED, "The metric '%s' is not declared: that is a mistake in this program.",
	    name);
}

static void put_text(const char *separator, const char *key, const char *text)
{
	printf("%s\"%s\": \"", separator, key);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('"');
}

/* An object with a line for each entry, so that a changed entry is a changed line. */
static void begin_entry(const char *name, size_t number)
{
	printf("%s\n  \"%s\": {", number > 0 ? "," : "", name);
}

/* What an option takes, so that a value is checked before anything is compiled. */
static void put_taken(const struct option_spec *spec)
{
	static const char *const types[] = {
		[OPTION_SIZE] = "size",     [OPTION_COUNT] = "count",
		[OPTION_FLAG] = "flag",     [OPTION_CHOICE] = "choice",
		[OPTION_CONTENT] = "content", [OPTION_TEXT] = "text",
	};

	put_text(", ", "takes", types[spec->type]);
	if (spec->type == OPTION_SIZE || spec->type == OPTION_COUNT)
		printf(", \"min\": %" PRIu64 ", \"max\": %" PRIu64, spec->min, spec->max);
	if (spec->type == OPTION_SIZE && spec->multiple > 0)
		printf(", \"multiple\": %" PRIu64, spec->multiple);
	if (spec->type != OPTION_CHOICE)
		return;
	for (const char *const *choice = spec->choices; *choice != NULL; choice++)
		printf("%s\"%s\"", choice == spec->choices ? ", \"choices\": [" : ", ", *choice);
	putchar(']');
}

void describe(const struct option_spec *specs, size_t count)
{
	printf("{\n \"parameters\": {");
	for (size_t i = 0; i < count; i++) {
		begin_entry(specs[i].name, i);
		put_text("", "default", specs[i].initial);
		put_text(", ", "unit", option_unit(&specs[i]));
		put_taken(&specs[i]);
		put_text(", ", "description", specs[i].help);
		putchar('}');
	}
	printf("\n },\n \"metrics\": {");
	for (size_t i = 0; i < declared_count; i++) {
		const struct metric_spec *spec = &declared[i];

		begin_entry(spec->name, i);
		put_text("", "unit", spec->unit);
		if (spec->insn_unit != NULL)
			put_text(", ", "clock_insn_unit", spec->insn_unit);
		put_text(", ", "direction", spec->better == LOWER ? "lower" : "higher");
		put_text(", ", "description", spec->help);
		putchar('}');
	}
	puts("\n }\n}");
	exit(STATUS_OK);
}
