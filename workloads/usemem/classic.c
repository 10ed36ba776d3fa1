// SPDX-License-Identifier: GPL-2.0-only
/* The command line of vm-scalability's usemem, put into ours. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "../common/workload.h"
#include "classic.h"

#define ARGUMENTS_MAX 64

static char translated[ARGUMENTS_MAX][64];

static const struct {
	const char *classic; /* short and long form */
	const char *name;    /* of our option; NULL: it changes nothing here */
	bool takes_value;
} classic_options[] = {
	{ "-n", "nproc", true },      { "-j", "step", true },	     { "-r", "repeat", true },
	{ "-s", "sleep", true },      { "-R", "random", false },     { "-y", "sync-rw", false },
	{ "-x", "sync-free", false }, { "-O", NULL, false },	     { "--anonymous", NULL, false },
	{ "-w", NULL, false },	      { "--open-rw", NULL, false },  { "-q", NULL, false },
	{ "--quiet", NULL, false },
};

static bool is_classic(int argc, char **argv)
{
	bool found = false;

	for (int i = 1; i < argc; i++)
		found = found || argv[i][0] != '-' || argv[i][1] != '-';
	return found;
}

static void put_argument(size_t *used, const char *name, const char *value)
{
	char *text = translated[*used];

	if (*used + 1 >= ARGUMENTS_MAX ||
	    (size_t)snprintf(text, sizeof(translated[0]), "--%s=%s", name, value) >=
		    sizeof(translated[0]))
		die(STATUS_USAGE, "The command line is too long.");
	(*used)++;
}

static void put_size(size_t *used, const char *text)
{
	char upper[32] = "";

	if (!isdigit((unsigned char)text[0]) || strlen(text) >= sizeof(upper))
		die(STATUS_USAGE, "There is no option '%s'; --help lists them.", text);
	for (size_t i = 0; text[i] != '\0'; i++)
		upper[i] = (char)toupper((unsigned char)text[i]);
	put_argument(used, "size", upper);
}

static size_t find_classic(const char *word)
{
	size_t at = 0;

	while (at < COUNT_OF(classic_options) && strcmp(word, classic_options[at].classic) != 0)
		at++;
	return at;
}

/* usemem's -y and -x are off unless given; so is --init-time. */
static size_t translate(int argc, char **argv)
{
	size_t used = 0;

	put_argument(&used, "sync-rw", "no");
	put_argument(&used, "sync-free", "no");
	put_argument(&used, "init-time", "no");
	for (int i = 1; i < argc; i++) {
		size_t at = find_classic(argv[i]);

		if (at == COUNT_OF(classic_options) && strncmp(argv[i], "--", 2) == 0) {
			snprintf(translated[used++], sizeof(translated[0]), "%s", argv[i]);
		} else if (at == COUNT_OF(classic_options)) {
			put_size(&used, argv[i]);
		} else if (classic_options[at].takes_value && ++i == argc) {
			die(STATUS_USAGE, "%s wants a value.", argv[i - 1]);
		} else if (classic_options[at].name != NULL) {
			put_argument(&used, classic_options[at].name,
				     classic_options[at].takes_value ? argv[i] : "yes");
		}
	}
	return used;
}

int classic_translate(int argc, char ***argv)
{
	static char *pointers[ARGUMENTS_MAX + 2];
	size_t count;

	if (!is_classic(argc, *argv))
		return argc;
	/* Three of ours come on top; no word becomes more than one. */
	if (argc + 3 >= ARGUMENTS_MAX)
		die(STATUS_USAGE, "The command line is too long.");
	count = translate(argc, *argv);
	pointers[0] = (*argv)[0];
	for (size_t i = 0; i < count; i++)
		pointers[i + 1] = translated[i];
	*argv = pointers;
	return (int)count + 1;
}
