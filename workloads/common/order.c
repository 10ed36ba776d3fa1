// SPDX-License-Identifier: GPL-2.0-only
#include "workload.h"

const char *const order_choices[] = { "sequential", "random", NULL };

static unsigned int bits_for(uint64_t count)
{
	return count < 2 ? 0 : 64u - (unsigned int)__builtin_clzll(count - 1);
}

void order_init(struct order *order, uint64_t count, bool random, uint64_t seed)
{
	unsigned int bits = bits_for(count);

	order->count = count;
	order->random = random;
	order->left_bits = bits / 2;
	order->right_bits = bits - bits / 2;
	for (size_t i = 0; i < COUNT_OF(order->keys); i++)
		order->keys[i] = (seed + i + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t scramble(uint64_t value, uint64_t key, unsigned int bits)
{
	value = (value + key) * UINT64_C(0xd6e8feb86659fd93);
	return (value >> 32) & ((UINT64_C(1) << bits) - 1);
}

/*
 * Four Feistel rounds: each half in turn is changed by the other, so it is a bijection.  Below
 * a few hundred values it is a poor shuffle; workloads have thousands of pages.
 */
static uint64_t encrypt(const struct order *order, uint64_t value)
{
	uint64_t left = value >> order->right_bits;
	uint64_t right = value & ((UINT64_C(1) << order->right_bits) - 1);

	left ^= scramble(right, order->keys[0], order->left_bits);
	right ^= scramble(left, order->keys[1], order->right_bits);
	left ^= scramble(right, order->keys[2], order->left_bits);
	right ^= scramble(left, order->keys[3], order->right_bits);
	return left << order->right_bits | right;
}

/*
 * The Feistel network permutes the next power of two; walking its cycle until
 * the value is in range again makes it a permutation of 0..count-1.
 */
uint64_t order_at(const struct order *order, uint64_t position)
{
	if (!order->random)
		return position;
	do {
		position = encrypt(order, position);
	} while (position >= order->count);
	return position;
}
