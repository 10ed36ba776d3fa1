// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../common/workload.h"
#include "source.h"

/* splitmix64: any seed will do. */
static uint64_t next(uint64_t *state)
{
	uint64_t value = *state += UINT64_C(0x9e3779b97f4a7c15);

	value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
	return value ^ (value >> 31);
}

static unsigned int below(uint64_t *state, unsigned int bound)
{
	return (unsigned int)(next(state) % bound);
}

/*
 * Branches, loops, memory, calls: work for all of the compiler's passes.  Each
 * function calls the one before, so that inlining is tried; it is recursion-free.
 */
static void function(FILE *file, uint64_t number, uint64_t *state)
{
	fprintf(file, "\nstatic int step_%" PRIu64 "(struct state *s, int a, int b)\n{\n", number);
	fprintf(file, "\tint i, sum = %u;\n\n", below(state, 1000));
	fprintf(file, "\tfor (i = 0; i < %u; i++) {\n", 4 + below(state, 60));
	fprintf(file, "\t\tif ((s->table[i & 63] ^ a) %% %u == %u)\n", 3 + below(state, 11),
		below(state, 3));
	fprintf(file, "\t\t\tsum += s->table[(i * %u + b) & 63];\n", 1 + below(state, 31));
	fprintf(file, "\t\telse\n\t\t\ts->table[i & 63] = sum - %u * i;\n\t}\n", below(state, 500));
	fprintf(file, "\tswitch ((a + sum) & 7) {\n");
	for (unsigned int i = 0; i < 7; i++)
		fprintf(file, "\tcase %u:\n\t\tsum = sum * %u + (s->%s << %u);\n\t\tbreak;\n", i,
			3 + below(state, 97), below(state, 2) ? "left" : "right", below(state, 9));
	fprintf(file, "\tdefault:\n\t\ts->left += sum / (1 + (b & %u));\n\t}\n", 1 + below(state, 15));
	if (number > 0)
		fprintf(file, "\tif (sum & %u)\n\t\tsum += step_%" PRIu64 "(s, b, sum);\n",
			1u << below(state, 6), number - 1);
	fprintf(file, "\ts->right ^= sum;\n\treturn sum;\n}\n");
}

void source_write(const char *path, uint64_t functions, uint64_t seed)
{
	FILE *file = fopen(path, "we");
	uint64_t state = seed;

	if (file == NULL)
		die(STATUS_FAILED, "Cannot write %s: %s.", path, strerror(errno));
	fprintf(file, "struct state {\n\tint table[64];\n\tint left, right;\n};\n");
	for (uint64_t i = 0; i < functions; i++)
		function(file, i, &state);
	fprintf(file, "\nint entry_%" PRIu64 "(struct state *s)\n{\n\treturn 0", seed);
	for (uint64_t i = 0; i < functions; i++)
		fprintf(file, "\n\t\t+ step_%" PRIu64 "(s, s->left, %u)", i, below(&state, 100));
	fprintf(file, ";\n}\n");
	if (fclose(file) != 0)
		die(STATUS_FAILED, "Cannot write %s: %s.", path, strerror(errno));
}
