// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "workload.h"

#define HUGE_BYTES (UINT64_C(2) << 20)
#define BLOCK_PAGES 512
#define SETTLE_TRIES 100
#define SETTLE_WAIT_NS UINT64_C(20000000)
#define REQUIRED_PERCENT 99

const char *const hugepages_choices[] = { "never", "always", "system", NULL };
const char *const access_choices[] = { "read", "write", NULL };

uint64_t pages_of_all(uint64_t size, uint64_t procs)
{
	uint64_t pages = size / PAGE_BYTES / procs * procs;

	if (pages == 0)
		die(STATUS_USAGE, "--size=%" PRIu64 " is less than a page for each of %" PRIu64
		    " processes.", size, procs);
	return pages;
}

void lock_program(void)
{
	if (mlockall(MCL_CURRENT) != 0)
		die(STATUS_FAILED, "Cannot lock the program in memory (%s); run it as root or raise "
		    "the limit on locked memory.", strerror(errno));
}

void lock_program_except(void *base, uint64_t bytes)
{
	/* On fault: locking at once would bring the whole mapping in. */
	if (mlockall(MCL_CURRENT | MCL_ONFAULT) != 0 || munlock(base, bytes) != 0)
		die(STATUS_FAILED, "Cannot lock the program in memory (%s); run it as root or raise "
		    "the limit on locked memory.", strerror(errno));
}

static void advise_hugepages(void *base, uint64_t bytes, enum hugepages hugepages)
{
	if (hugepages == HUGEPAGES_SYSTEM)
		return;
	if (hugepages == HUGEPAGES_ALWAYS) {
		if (madvise(base, bytes, MADV_HUGEPAGE) != 0)
			die(STATUS_FAILED, "Cannot ask for huge pages (%s); the kernel needs "
			    "CONFIG_TRANSPARENT_HUGEPAGE.", strerror(errno));
		return;
	}
	/* EINVAL: a kernel that has no huge pages gives none, which is what we want. */
	if (madvise(base, bytes, MADV_NOHUGEPAGE) != 0 && errno != EINVAL)
		die(STATUS_FAILED, "Cannot turn huge pages off: %s.", strerror(errno));
}

static void *map_anonymous(uint64_t bytes)
{
	/* Not reserved: most of it will be in swap, which overcommit does not know. */
	void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		die(STATUS_FAILED, "Cannot map %" PRIu64 " bytes: %s.", bytes, strerror(errno));
	return base;
}

void *memory_map(uint64_t bytes, enum hugepages hugepages)
{
	char *raw = map_anonymous(bytes + HUGE_BYTES);
	uint64_t lead = (HUGE_BYTES - (uintptr_t)raw % HUGE_BYTES) % HUGE_BYTES;

	if (lead > 0)
		memory_unmap(raw, lead);
	memory_unmap(raw + lead + bytes, HUGE_BYTES - lead);
	advise_hugepages(raw + lead, bytes, hugepages);
	return raw + lead;
}

void *memory_map_locked(uint64_t bytes)
{
	void *base = map_anonymous(bytes);

	if (mlock(base, bytes) != 0)
		die(STATUS_FAILED, "Cannot lock %" PRIu64 " bytes (%s); run it as root or raise "
		    "the limit on locked memory.", bytes, strerror(errno));
	return base;
}

void *memory_map_shared(uint64_t bytes)
{
	void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (base == MAP_FAILED || mlock(base, bytes) != 0)
		die(STATUS_FAILED, "Cannot get %" PRIu64 " bytes of locked shared memory: %s.",
		    bytes, strerror(errno));
	return base;
}

void memory_unmap(void *base, uint64_t bytes)
{
	if (bytes > 0 && munmap(base, bytes) != 0)
		die(STATUS_FAILED, "Cannot unmap memory: %s.", strerror(errno));
}

void memory_forget(void *base, uint64_t bytes)
{
	if (madvise(base, bytes, MADV_DONTNEED) != 0)
		die(STATUS_FAILED, "Cannot drop memory: %s.", strerror(errno));
}

void memory_pageout(void *base, uint64_t bytes, uint64_t chunk)
{
	for (uint64_t done = 0; done < bytes; done += chunk) {
		uint64_t length = bytes - done < chunk ? bytes - done : chunk;

		if (madvise((char *)base + done, length, MADV_PAGEOUT) != 0)
			die(STATUS_FAILED, "MADV_PAGEOUT failed (%s); the kernel needs "
			    "CONFIG_SWAP and Linux 5.4 or later.", strerror(errno));
	}
}

/* Fill vector with one byte a page: bit 0 set if it is in memory; returns the pages covered. */
static uint64_t read_block(const void *base, uint64_t first, uint64_t pages, unsigned char *vector)
{
	uint64_t length = pages - first < BLOCK_PAGES ? pages - first : BLOCK_PAGES;
	/* mincore takes no const pointer, but writes nothing there. */
	char *start = (char *)(uintptr_t)base + first * PAGE_BYTES;

	if (mincore(start, length * PAGE_BYTES, vector) != 0)
		die(STATUS_FAILED, "mincore failed: %s.", strerror(errno));
	return length;
}

uint64_t memory_swapped_every(const void *base, uint64_t pages, uint64_t stride, uint64_t offset)
{
	static unsigned char vector[BLOCK_PAGES];
	uint64_t swapped = 0;

	for (uint64_t first = 0; first < pages; first += BLOCK_PAGES) {
		uint64_t length = read_block(base, first, pages, vector);

		for (uint64_t i = 0; i < length; i++)
			if ((first + i) % stride == offset)
				swapped += !(vector[i] & 1);
	}
	return swapped;
}

uint64_t memory_swapped_pages(const void *base, uint64_t pages)
{
	return memory_swapped_every(base, pages, 1, 0);
}

/*
 * Writes to a disk may still be under way.  Under the instruction clock a sleep
 * would pass at once while the disk needs host time, so this spins.
 */
static void wait_for_writes(void)
{
	uint64_t begin = now_ns();

	while (now_ns() - begin < SETTLE_WAIT_NS)
		;
}

/*
 * A clean page in the swap cache leaves memory only if reclaim finds it mapped
 * and cold: so map it again by reading it, then push it out.
 */
static uint64_t push_resident(void *base, uint64_t pages, uint64_t chunk)
{
	static unsigned char vector[BLOCK_PAGES];
	uint64_t calls = 0;

	for (uint64_t first = 0; first < pages; first += BLOCK_PAGES) {
		uint64_t length = read_block(base, first, pages, vector);
		uint64_t resident = 0;

		for (uint64_t i = 0; i < length; i++) {
			if (!(vector[i] & 1))
				continue;
			resident++;
			memory_touch(base, first + i, ACCESS_READ);
		}
		if (resident == 0)
			continue;
		memory_pageout((char *)base + first * PAGE_BYTES, length * PAGE_BYTES, chunk);
		calls += (length * PAGE_BYTES + chunk - 1) / chunk;
	}
	return calls;
}

/*
 * With more than half of all slots in use a page that is read gives its slot up, as the kernel's
 * vm_swap_full() says, and would have to be written again, for ever.  What was written and stays
 * in the swap cache is left to reclaim of this memcg then.
 */
static bool slots_are_scarce(void)
{
	return meminfo_bytes("SwapFree") < meminfo_bytes("SwapTotal") / 2;
}

uint64_t memory_settle(void *base, uint64_t pages, uint64_t chunk)
{
	uint64_t calls = 0;
	uint64_t before = memory_swapped_pages(base, pages);
	unsigned int useless = 0;

	for (int tries = 0; tries < SETTLE_TRIES && before < pages && useless < 10; tries++) {
		uint64_t after;

		wait_for_writes();
		if (!slots_are_scarce() || !group_reclaim((pages - before) * PAGE_BYTES))
			calls += push_resident(base, pages, chunk);
		after = memory_swapped_pages(base, pages);
		useless = after > before ? 0 : useless + 1;
		before = after;
	}
	return calls;
}

void memory_require_swapped(uint64_t swapped, uint64_t pages)
{
	if (swapped >= (pages * REQUIRED_PERCENT + 99) / 100)
		return;
	die(STATUS_FAILED, "%" PRIu64 " of %" PRIu64 " pages went out, less than %d %%: turn swap on "
	    "and make it large enough (SwapTotal is %" PRIu64 " bytes, SwapFree %" PRIu64 "), or "
	    "give --allow-resident.", swapped, pages, REQUIRED_PERCENT,
	    meminfo_bytes("SwapTotal"), meminfo_bytes("SwapFree"));
}

uint64_t meminfo_bytes(const char *field)
{
	static char text[8192];
	char key[32];
	const char *line;
	size_t length;
	FILE *file = fopen("/proc/meminfo", "re");

	if (file == NULL)
		die(STATUS_FAILED, "Cannot open /proc/meminfo: %s.", strerror(errno));
	length = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[length] = '\0';
	snprintf(key, sizeof(key), "\n%s:", field);
	line = strstr(text, key);
	if (line == NULL)
		die(STATUS_FAILED, "/proc/meminfo has no line '%s'.", field);
	return strtoull(line + strlen(key), NULL, 10) * 1024;
}
