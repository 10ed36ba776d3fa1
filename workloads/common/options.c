// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "workload.h"

#define HELP_OPTION OPTIONS_MAX
#define DESCRIBE_OPTION (OPTIONS_MAX + 1)

static bool parse_number(const char *text, uint64_t *value, char **end)
{
	/* strtoull takes blanks and minus signs, which no option here means. */
	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*value = strtoull(text, end, 10);
	return errno == 0;
}

bool parse_size(const char *text, uint64_t *bytes)
{
	static const char suffixes[] = "KMGT";
	const char *suffix;
	unsigned int shift;
	char *end;

	if (!parse_number(text, bytes, &end))
		return false;
	if (*end == '\0')
		return true;
	suffix = strchr(suffixes, *end);
	if (suffix == NULL || end[1] != '\0')
		return false;
	shift = 10 * (unsigned int)(suffix - suffixes + 1);
	if (*bytes > UINT64_MAX >> shift)
		return false;
	*bytes <<= shift;
	return true;
}

static bool parse_count(const char *text, uint64_t *value)
{
	char *end;

	return parse_number(text, value, &end) && *end == '\0';
}

static bool parse_flag(const char *text, bool *value)
{
	static const char *const words[] = { "no", "yes", "0", "1", "false", "true" };

	*value = true;
	if (text == NULL)
		return true;
	for (size_t i = 0; i < COUNT_OF(words); i++) {
		*value = i % 2 == 1;
		if (strcasecmp(text, words[i]) == 0)
			return true;
	}
	return false;
}

static bool parse_choice(const char *text, const char *const *choices, unsigned int *value)
{
	for (*value = 0; choices[*value] != NULL; (*value)++)
		if (strcmp(text, choices[*value]) == 0)
			return true;
	return false;
}

static _Noreturn void reject_choice(const struct option_spec *spec, const char *text)
{
	char list[256] = "";
	size_t used = 0;

	for (const char *const *choice = spec->choices; *choice != NULL; choice++)
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
					 used > 0 ? ", " : "", *choice);
	die(STATUS_USAGE, "--%s wants one of %s, not '%s'.", spec->name, list, text);
}

static void check_range(const struct option_spec *spec, const char *text)
{
	uint64_t value = *(const uint64_t *)spec->value;

	if (value < spec->min || value > spec->max)
		die(STATUS_USAGE, "--%s wants a number from %" PRIu64 " to %" PRIu64 ", not '%s'.",
		    spec->name, spec->min, spec->max, text);
	if (spec->multiple > 0 && value % spec->multiple != 0)
		die(STATUS_USAGE, "--%s wants a multiple of %" PRIu64 " bytes, not %" PRIu64 ".",
		    spec->name, spec->multiple, value);
}

/* It is printed in JSON and may be a path: so no quotes, backslashes or blanks. */
static bool parse_text(const char *text, char *value)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-+:/,";

	if (strlen(text) >= OPTION_TEXT_BYTES || strspn(text, letters) != strlen(text))
		return false;
	memcpy(value, text, strlen(text) + 1);
	return true;
}

static void set_value(const struct option_spec *spec, const char *text)
{
	switch (spec->type) {
	case OPTION_SIZE:
		if (!parse_size(text, spec->value))
			die(STATUS_USAGE, "--%s wants a size such as 64M or 67108864, not '%s'.",
			    spec->name, text);
		check_range(spec, text);
		break;
	case OPTION_COUNT:
		if (!parse_count(text, spec->value))
			die(STATUS_USAGE, "--%s wants a whole number, not '%s'.", spec->name, text);
		check_range(spec, text);
		break;
	case OPTION_FLAG:
		if (!parse_flag(text, spec->value))
			die(STATUS_USAGE, "--%s wants yes or no, not '%s'.", spec->name, text);
		break;
	case OPTION_CHOICE:
		if (!parse_choice(text, spec->choices, spec->value))
			reject_choice(spec, text);
		break;
	case OPTION_CONTENT:
		if (!content_parse(text, spec->value))
			die(STATUS_USAGE, "--%s wants zero, same:<hex byte>, compressible:<percent> "
			    "or random, not '%s'.", spec->name, text);
		break;
	case OPTION_TEXT:
		if (!parse_text(text, spec->value))
			die(STATUS_USAGE, "--%s wants at most %d letters, digits and ._-+:/, not "
			    "'%s'.", spec->name, OPTION_TEXT_BYTES - 1, text);
		break;
	}
}

static _Noreturn void print_help(const struct option_spec *specs, size_t count)
{
	printf("usage: %s [--NAME=VALUE]...\n", program_invocation_short_name);
	for (size_t i = 0; i < count; i++)
		printf("  --%-18s %s (default: %s)\n", specs[i].name, specs[i].help,
		       specs[i].initial);
	exit(STATUS_OK);
}

static void make_table(const struct option_spec *specs, size_t count, struct option *table)
{
	for (size_t i = 0; i < count; i++) {
		table[i] = (struct option){
			.name = specs[i].name,
			.has_arg = specs[i].type == OPTION_FLAG ? optional_argument
								: required_argument,
			.val = (int)i,
		};
		set_value(&specs[i], specs[i].initial);
	}
	table[count] = (struct option){ .name = "help", .val = HELP_OPTION };
	table[count + 1] = (struct option){ .name = "describe", .val = DESCRIBE_OPTION };
}

int options_parse(int argc, char **argv, const struct option_spec *specs, size_t count)
{
	struct option table[OPTIONS_MAX + 3] = { 0 };
	int option;

	if (count > OPTIONS_MAX)
		abort();
	make_table(specs, count, table);
	/* '+': stop at the first operand; ':': tell a missing value from an unknown name. */
	while ((option = getopt_long(argc, argv, "+:", table, NULL)) != -1) {
		if (option == HELP_OPTION)
			print_help(specs, count);
		if (option == DESCRIBE_OPTION)
			describe(specs, count);
		if (option == ':')
			die(STATUS_USAGE, "%s wants a value.", argv[optind - 1]);
		if (option == '?')
			die(STATUS_USAGE, "There is no option '%s'; --help lists them.",
			    argv[optind - 1]);
		set_value(&specs[option], optarg);
	}
	return optind;
}

const char *option_unit(const struct option_spec *spec)
{
	if (spec->type == OPTION_SIZE)
		return "B";
	return spec->unit != NULL ? spec->unit : "";
}

void options_report(const struct option_spec *specs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct option_spec *spec = &specs[i];

		switch (spec->type) {
		case OPTION_SIZE:
		case OPTION_COUNT:
			emit_param_number(spec->name, *(const uint64_t *)spec->value,
					  option_unit(spec));
			break;
		case OPTION_FLAG:
			emit_param_text(spec->name, *(const bool *)spec->value ? "yes" : "no");
			break;
		case OPTION_CHOICE:
			emit_param_text(spec->name,
					spec->choices[*(const unsigned int *)spec->value]);
			break;
		case OPTION_CONTENT:
			emit_param_text(spec->name, ((const struct content *)spec->value)->text);
			break;
		case OPTION_TEXT:
			emit_param_text(spec->name, spec->value);
			break;
		}
	}
}

void workload_begin(int argc, char **argv, const struct option_spec *specs, size_t specs_count,
		    const struct metric_spec *metrics, size_t metrics_count, void (*check)(void))
{
	int first;

	metrics_declare(metrics, metrics_count);
	first = options_parse(argc, argv, specs, specs_count);
	if (first < argc)
		die(STATUS_USAGE, "There is no operand '%s'; all parameters are --name=value.",
		    argv[first]);
	if (check != NULL)
		check();
	options_report(specs, specs_count);
	count_clear(COST_RUN);
	count_begin(COST_RUN);
}

int workload_end(void)
{
	count_end(COST_RUN);
	emit_done();
	return STATUS_OK;
}
