// SPDX-License-Identifier: GPL-2.0-only
/* Lets the tests call the workloads' library: one sub-command a function. */
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../workloads/common/workload.h"

static uint64_t number(const char *text)
{
	return strtoull(text, NULL, 10);
}

/* stdin: one value a line; stdout: "<index> <low of that bucket>" */
static int histogram_lines(void)
{
	uint64_t value;

	while (scanf("%" SCNu64, &value) == 1) {
		unsigned int index = histogram_index(value);

		printf("%u %" PRIu64 "\n", index, histogram_low(index));
	}
	printf("%u\n", HISTOGRAM_BUCKETS);
	return 0;
}

static int order_lines(const char *count, const char *kind, const char *seed)
{
	struct order order;

	order_init(&order, number(count), strcmp(kind, "random") == 0, number(seed));
	for (uint64_t i = 0; i < order.count; i++)
		printf("%" PRIu64 "\n", order_at(&order, i));
	return 0;
}

/* The raw pages first..first+count-1 on stdout. */
static int content_pages(const char *text, const char *seed, const char *first, const char *count)
{
	static uint64_t page[PAGE_WORDS];
	struct content content;

	if (!content_parse(text, &content))
		return 2;
	for (uint64_t i = 0; i < number(count); i++) {
		content_fill(&content, number(seed), number(first) + i, page);
		if (page[0] != content_tag(&content, number(seed), number(first) + i))
			return 1;
		fwrite(page, sizeof(page), 1, stdout);
	}
	return 0;
}

/* Compare pages on stdin, 64 at most, with what they should be; prints the bad ones. */
static int verify_pages(const char *text, const char *seed, const char *first)
{
	static uint64_t pages[64][PAGE_WORDS];
	size_t count = fread(pages, PAGE_BYTES, COUNT_OF(pages), stdin);
	struct content content;

	if (!content_parse(text, &content))
		return 2;
	printf("%" PRIu64 "\n",
	       content_verify(&content, number(seed), number(first), pages, count));
	return 0;
}

static int size_of(const char *text)
{
	uint64_t bytes;

	if (!parse_size(text, &bytes))
		return 2;
	printf("%" PRIu64 "\n", bytes);
	return 0;
}

/* The CPUs that process number n may run on, after it took its own. */
static int cpu_taken(const char *text)
{
	cpu_set_t set;

	take_cpu((unsigned int)number(text));
	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 1;
	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set))
			printf("%zu\n", cpu);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "histogram") == 0)
		return histogram_lines();
	if (argc == 5 && strcmp(argv[1], "order") == 0)
		return order_lines(argv[2], argv[3], argv[4]);
	if (argc == 6 && strcmp(argv[1], "content") == 0)
		return content_pages(argv[2], argv[3], argv[4], argv[5]);
	if (argc == 5 && strcmp(argv[1], "verify") == 0)
		return verify_pages(argv[2], argv[3], argv[4]);
	if (argc == 3 && strcmp(argv[1], "size") == 0)
		return size_of(argv[2]);
	if (argc == 3 && strcmp(argv[1], "cpu") == 0)
		return cpu_taken(argv[2]);
	if (argc == 3 && strcmp(argv[1], "mark") == 0) {
		mark(argv[2]);
		return 0;
	}
	return 2;
}
