// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run accesses through the cache model and print what they miss.
 *
 *     cachemodel_driver MODEL <ACCESSES
 *
 * MODEL is hierarchy_init()'s line.  Each line of input, "PASSES KIND FIRST STRIDE COUNT SIZE
 * PAGE_SHIFT OFFSET MULTIPLIER", accesses COUNT addresses, PASSES times: FIRST plus STRIDE times
 * (0, 1, ... times MULTIPLIER modulo COUNT).  KIND is fetch or data; physical addresses are the
 * virtual ones plus OFFSET.  For each pass the misses by event are printed, and the lines that it
 * touched.
 *
 *     cachemodel_driver MODEL MODEL SEED COUNT
 *
 * makes COUNT accesses near each other through both models by recent_access(), unless recent_hit(),
 * and prints how many missed anything, how many differ from hierarchy_access(), and how many lines of
 * operations, which begin at any time, are not counted as without what is remembered.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../vm-images/plugins/cachemodel.h"

static uint64_t state;

static uint64_t drawn(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % below;
}

/* Most accesses are within a few lines of one before; some cross lines, or change the page. */
static int compare(char **argv)
{
	static const unsigned int sizes[] = { 1, 8, 8, 16, 64 };
	struct hierarchy filtered[2], plain[2];
	struct recent recent[2];
	uint64_t near[4] = { 0, 1u << 20, 5u << 20, 77u << 20 };
	struct footprint some, all;
	unsigned long missed = 0, wrong = 0, lines = 0;

	for (int i = 0; i < 2; i++)
		if (!hierarchy_init(&filtered[i], argv[1 + i]) ||
		    !hierarchy_init(&plain[i], argv[1 + i]))
			return 2;
	for (unsigned int fetch = 0; fetch < 2; fetch++)
		recent_init(&recent[fetch], fetch != 0, filtered, 2);
	if (!footprint_init(&some, filtered[0].line_shift) ||
	    !footprint_init(&all, filtered[0].line_shift))
		return 2;
	state = strtoull(argv[3], NULL, 10) + 1;
	for (unsigned long left = strtoul(argv[4], NULL, 10); left > 0; left--) {
		bool fetch = drawn(3) == 0, wide = drawn(4) == 0;
		unsigned int size = sizes[drawn(5)], shift = wide ? 21 : 12;
		uint64_t *at = &near[drawn(4)], offset = drawn(50) == 0 ? UINT64_C(1) << 30 : 0;
		cache_misses misses[2] = { 0, 0 };
		struct access access;
		bool any = false;

		if (drawn(100) == 0) {
			footprint_next(&some);
			footprint_next(&all);
			recent_forget(&recent[false]);
			recent_forget(&recent[true]);
		}
		if (drawn(40) == 0)
			*at = drawn(UINT64_C(1) << 28);
		else if (drawn(3) == 0 && *at >= 48)
			*at -= drawn(48);
		else
			*at += drawn(48);
		access = access_made(*at, *at + offset, size, shift, filtered[0].line_shift);
		lines += footprint_touch(&all, access.first, access.last);
		/* As caches.c does. */
		if (access.first != access.last ||
		    !recent_hit(&recent[fetch], access.tag, access.first)) {
			bool is_new = access.first != access.last ||
				      !recent_line(&recent[fetch], access.first);

			any = recent_access(&recent[fetch], filtered, 2, fetch, &access, misses);
			if (is_new)
				lines -= footprint_touch(&some, access.first, access.last);
		}
		missed += any;
		for (int i = 0; i < 2; i++)
			wrong += hierarchy_access(&plain[i], fetch, &access) !=
				 (any ? misses[i] : 0);
	}
	printf("%lu %lu %lu\n", missed, wrong, lines);
	return 0;
}

int main(int argc, char **argv)
{
	struct hierarchy hierarchy;
	struct footprint footprint;
	uint64_t first, stride, count, offset, multiplier;
	unsigned int passes, size, page_shift;
	char line[256], kind[8];

	if (argc == 5)
		return compare(argv);
	if (argc != 2 || !hierarchy_init(&hierarchy, argv[1])) {
		fprintf(stderr, "cachemodel_driver: no model\n");
		return 2;
	}
	if (!footprint_init(&footprint, hierarchy.line_shift))
		return 3;
	while (fgets(line, sizeof(line), stdin) != NULL) {
		if (sscanf(line, "%u %7s %" SCNu64 " %" SCNu64 " %" SCNu64 " %u %u %" SCNu64
			   " %" SCNu64, &passes, kind, &first, &stride, &count, &size, &page_shift,
			   &offset, &multiplier) != 9)
			return 4;
		for (unsigned int pass = 0; pass < passes; pass++) {
			uint64_t sums[CACHE_EVENTS] = { 0 }, fresh = 0;

			footprint_next(&footprint);
			for (uint64_t i = 0; i < count; i++) {
				uint64_t at = first + i * multiplier % count * stride;
				struct access access = access_made(at, at + offset, size,
								   page_shift,
								   hierarchy.line_shift);
				cache_misses misses = hierarchy_access(
					&hierarchy, strcmp(kind, "fetch") == 0, &access);

				for (unsigned int event = 0; event < CACHE_EVENTS; event++)
					sums[event] += misses_of(misses, event);
				fresh += footprint_touch(&footprint, access.first, access.last);
			}
			for (unsigned int event = 0; event < CACHE_EVENTS; event++)
				printf("%" PRIu64 " ", sums[event]);
			printf("%" PRIu64 "\n", fresh);
		}
	}
	hierarchy_free(&hierarchy);
	return 0;
}
