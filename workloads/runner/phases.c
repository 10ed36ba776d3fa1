// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "../common/workload.h"
#include "runner.h"

#define PHASES_MAX 16
#define LINE_BYTES 4096

static struct told {
	char line[512], *name, *begin, *end;
	unsigned int round;
} told[PHASES_MAX];
static size_t count;

/* One is open at a time: the instructions of a phase are counted in one channel. */
static struct told *open_phase;
static struct phase phase;

void phases_load(const char *home)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/" PHASES_FILE, home);
	file = fopen(path, "re");
	while (file != NULL && count < PHASES_MAX &&
	       fgets(told[count].line, sizeof(told[count].line), file) != NULL) {
		char *rest = told[count].line;

		rest[strcspn(rest, "\n")] = '\0';
		told[count].name = strsep(&rest, "\t");
		told[count].begin = strsep(&rest, "\t");
		told[count].end = strsep(&rest, "\t");
		if (told[count].end == NULL)
			die(STATUS_USAGE, "%s has a line that is no phase.", path);
		count++;
	}
	if (file != NULL)
		fclose(file);
}

bool phases_wanted(void)
{
	return count > 0;
}

void phases_close(void)
{
	if (open_phase != NULL)
		phase_end(&phase);
	open_phase = NULL;
}

static void read_line(const char *line)
{
	if (open_phase != NULL && strstr(line, open_phase->end) != NULL) {
		phases_close();
		return;
	}
	for (size_t i = 0; i < count && open_phase == NULL; i++)
		if (strstr(line, told[i].begin) != NULL) {
			open_phase = &told[i];
			phase_begin(&phase, told[i].name, ++told[i].round);
		}
}

void phases_read(const char *text, size_t bytes)
{
	static char line[LINE_BYTES];
	static size_t used;

	for (size_t i = 0; count > 0 && i < bytes; i++) {
		if (text[i] != '\n') {
			if (used < sizeof(line) - 1)
				line[used++] = text[i];
			continue;
		}
		line[used] = '\0';
		used = 0;
		read_line(line);
	}
}
