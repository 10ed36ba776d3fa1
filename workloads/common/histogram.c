// SPDX-License-Identifier: GPL-2.0-only
#include "workload.h"

/*
 * With m = HISTOGRAM_SUB_BITS: values below 2^(m+1) have a bucket each.  Above,
 * with k = floor(log2(value)) - m, the bucket is k * 2^m + (value >> k): 2^m
 * buckets for each power of two, each 1 << k wide.
 */
unsigned int histogram_index(uint64_t value)
{
	unsigned int shift;

	if (value < (UINT64_C(1) << (HISTOGRAM_SUB_BITS + 1)))
		return (unsigned int)value;
	shift = 63u - (unsigned int)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
	return (shift << HISTOGRAM_SUB_BITS) + (unsigned int)(value >> shift);
}

uint64_t histogram_low(unsigned int index)
{
	unsigned int shift;

	if (index < (1u << (HISTOGRAM_SUB_BITS + 1)))
		return index;
	shift = (index >> HISTOGRAM_SUB_BITS) - 1u;
	return (uint64_t)(index - (shift << HISTOGRAM_SUB_BITS)) << shift;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->counts[i] += from->counts[i];
}
