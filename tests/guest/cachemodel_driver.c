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
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../../vm-images/plugins/cachemodel.h"

int main(int argc, char **argv)
{
	struct hierarchy hierarchy;
	struct footprint footprint;
	uint64_t first, stride, count, offset, multiplier;
	unsigned int passes, size, page_shift;
	char line[256], kind[8];

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
				cache_misses misses = hierarchy_access(
					&hierarchy, strcmp(kind, "fetch") == 0, at, at + offset,
					size, page_shift);

				for (unsigned int event = 0; event < CACHE_EVENTS; event++)
					sums[event] += misses_of(misses, event);
				fresh += footprint_touch(&footprint, at + offset, size);
			}
			for (unsigned int event = 0; event < CACHE_EVENTS; event++)
				printf("%" PRIu64 " ", sums[event]);
			printf("%" PRIu64 "\n", fresh);
		}
	}
	hierarchy_free(&hierarchy);
	return 0;
}
