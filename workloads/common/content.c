// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workload.h"

#define REPORTED_BAD_PAGES 5
/* A tag is a 24-bit hash of the seed above a 40-bit page number, counted from 1. */
#define TAG_INDEX_BITS 40
#define TAG_INDEX_MASK ((UINT64_C(1) << TAG_INDEX_BITS) - 1)

/* The finaliser of splitmix64: a bijection. */
static uint64_t mix(uint64_t value)
{
	value += UINT64_C(0x9e3779b97f4a7c15);
	value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
	return value ^ (value >> 31);
}

static bool parse_hex_byte(const char *text, uint64_t *word)
{
	char *end;
	unsigned long value;

	if (strspn(text, "0123456789abcdefABCDEF") != strlen(text) || strlen(text) > 2)
		return false;
	value = strtoul(text, &end, 16);
	if (end == text)
		return false;
	*word = value * UINT64_C(0x0101010101010101);
	return true;
}

static bool parse_percent(const char *text, unsigned int *percent)
{
	char *end;
	unsigned long value;

	if (text[0] < '0' || text[0] > '9')
		return false;
	value = strtoul(text, &end, 10);
	if (*end != '\0' || value > 100)
		return false;
	*percent = (unsigned int)value;
	return true;
}

static void set_percent(struct content *content, unsigned int percent)
{
	content->kind = CONTENT_MIXED;
	content->random_words = percent * (unsigned int)PAGE_WORDS / 100;
	/* The tag is always there: without it pages would not differ. */
	if (content->random_words == 0)
		content->random_words = 1;
}

bool content_parse(const char *text, struct content *content)
{
	unsigned int percent;

	memset(content, 0, sizeof(*content));
	if (strlen(text) >= sizeof(content->text))
		return false;
	memcpy(content->text, text, strlen(text) + 1);
	if (strcmp(text, "zero") == 0) {
		content->kind = CONTENT_ZERO;
		return true;
	}
	if (strncmp(text, "same:", 5) == 0) {
		content->kind = CONTENT_SAME;
		return parse_hex_byte(text + 5, &content->same_word);
	}
	if (strncmp(text, "compressible:", 13) == 0) {
		if (!parse_percent(text + 13, &percent))
			return false;
		set_percent(content, percent);
		return true;
	}
	if (strcmp(text, "random") == 0) {
		set_percent(content, 100);
		return true;
	}
	return false;
}

uint64_t content_tag(const struct content *content, uint64_t seed, uint64_t index)
{
	if (content->kind == CONTENT_MIXED)
		return (mix(seed) << TAG_INDEX_BITS) | ((index + 1) & TAG_INDEX_MASK);
	return content->same_word;
}

/*
 * No page is same-filled and no two are equal: the tag is unique and never
 * zero; if no zero word follows, then successive states of xorshift64 do, and
 * they differ from each other.
 */
void content_fill(const struct content *content, uint64_t seed, uint64_t index, void *page)
{
	uint64_t *words = page;
	uint64_t state;

	if (content->kind != CONTENT_MIXED) {
		for (size_t i = 0; i < PAGE_WORDS; i++)
			words[i] = content->same_word;
		return;
	}
	state = mix(mix(seed) ^ index);
	if (state == 0)
		state = 1;
	words[0] = content_tag(content, seed, index);
	for (size_t i = 1; i < content->random_words; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		words[i] = state;
	}
	for (size_t i = content->random_words; i < PAGE_WORDS; i++)
		words[i] = 0;
}

static void report_bad(const struct content *content, uint64_t seed, uint64_t index,
		       const unsigned char *expected, const unsigned char *got)
{
	uint64_t tag;
	size_t offset = 0;

	while (expected[offset] == got[offset])
		offset++;
	fprintf(stderr, "%s: page %" PRIu64 " offset %zu: expected 0x%02x, got 0x%02x",
		program_invocation_short_name, index, offset, expected[offset], got[offset]);
	memcpy(&tag, got, sizeof(tag));
	if (content->kind == CONTENT_MIXED && offset < sizeof(tag) &&
	    tag == content_tag(content, seed, tag - 1))
		fprintf(stderr, " (this is the content of page %" PRIu64 ")",
			(tag & TAG_INDEX_MASK) - 1);
	fputc('\n', stderr);
}

uint64_t content_verify(const struct content *content, uint64_t seed, uint64_t first_index,
			const void *base, uint64_t pages)
{
	static uint64_t expected[PAGE_WORDS];
	uint64_t bad = 0;

	for (uint64_t i = 0; i < pages; i++) {
		const unsigned char *page = (const unsigned char *)base + i * PAGE_BYTES;

		content_fill(content, seed, first_index + i, expected);
		if (memcmp(expected, page, PAGE_BYTES) == 0)
			continue;
		if (bad++ < REPORTED_BAD_PAGES)
			report_bad(content, seed, first_index + i,
				   (const unsigned char *)expected, page);
	}
	return bad;
}

void require_content(unsigned int round, const struct content *content, uint64_t seed,
		     const void *base, uint64_t pages)
{
	require_intact(round, pages, content_verify(content, seed, 0, base, pages));
}
