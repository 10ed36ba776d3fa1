/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who holds which lock from when to when: the books of the locks plugin.  Time is counted in
 * instructions, by the caller.
 *
 * A lock is known by its address, a use by lock, place that takes it and kind.  A use has sums
 * for each channel, over the stretches in which that is open: of a hold that begins before or ends
 * after one, the part inside counts once the lock is released.
 */
#ifndef LOCKMODEL_H
#define LOCKMODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOCK_CHANNELS 4u
#define LOCK_HINTS 4096u

enum lock_family { LOCK_SPIN, LOCK_RW, LOCK_MUTEX, LOCK_RWSEM };

struct lock_kind {
	enum lock_family family;
	bool shared; /* readers */
};

struct lock_sums {
	uint64_t acquired, held, longest;
};

struct lock_use {
	uint64_t object, site; /* site 0: not known */
	struct lock_kind kind;
	bool used;
	struct lock_sums sums[LOCK_CHANNELS];
};

struct lock_object {
	uint64_t address;
	size_t use; /* of the one that holds it, or of the first reader */
	unsigned int holders;
	bool used;
	uint64_t begin[LOCK_CHANNELS]; /* the channels' time then */
};

struct lock_waiter {
	uint64_t object, site;
	struct lock_kind kind;
};

struct lock_books {
	struct lock_use *uses;
	size_t uses_count, uses_size;
	struct lock_object *objects;
	size_t objects_count, objects_size;
	struct lock_waiter *waiters;
	size_t waiters_count, waiters_size;
	uint32_t hints[LOCK_HINTS]; /* how many locks are held, by their addresses' hashes */
	uint64_t lost; /* locks that were taken while somebody held them: a release was not seen */
	uint64_t unmatched; /* releases of locks that nobody held */
	bool open[LOCK_CHANNELS];
	uint64_t since[LOCK_CHANNELS], elapsed[LOCK_CHANNELS];
	/* The lock that may be slept for and was taken last, now and before: for lock_waits(). */
	struct lock_object last, before;
	bool last_lost;
};

bool lock_books_init(struct lock_books *books);
void lock_books_free(struct lock_books *books);

void lock_channel_clear(struct lock_books *books, unsigned int channel);
void lock_channel_open(struct lock_books *books, unsigned int channel, uint64_t now);
void lock_channel_close(struct lock_books *books, unsigned int channel, uint64_t now);

void lock_acquired(struct lock_books *books, uint64_t object, uint64_t site, struct lock_kind kind,
		   uint64_t now);
/* Whether it can be taken: by a trylock, whose own answer is not seen. */
bool lock_free_for(const struct lock_books *books, uint64_t object, struct lock_kind kind);
/*
 * The mutex or rwsem that was acquired last was not: the task has to wait.  It gets the lock when
 * the holder releases it, so the time until it runs counts as held.
 */
void lock_waits(struct lock_books *books);
/* A release by family; shared ones by readers. */
void lock_released(struct lock_books *books, uint64_t object, struct lock_kind kind, uint64_t now);
/* The writer of an rwsem becomes its reader, before those who wait. */
void lock_downgraded(struct lock_books *books, uint64_t object, uint64_t site, uint64_t now);

static inline uint32_t *lock_hint(struct lock_books *books, uint64_t address)
{
	return &books->hints[(address >> 2 ^ address >> 14) % LOCK_HINTS];
}

/* Whether it may be held: most of what is no lock is told by that. */
static inline bool lock_perhaps(struct lock_books *books, uint64_t address)
{
	return *lock_hint(books, address) != 0;
}

/* Whether it is held in this way. */
bool lock_held(const struct lock_books *books, uint64_t object, struct lock_kind kind);

/* spin, read, write, mutex, rwsem-read or rwsem-write. */
const char *lock_kind_name(struct lock_kind kind);

/*
 * What a channel has: for each place "site SITE KIND ACQUIRED HELD LONGEST OBJECTS", for each use
 * of the most objects that were held longest "object ADDRESS SITE KIND ACQUIRED HELD LONGEST",
 * then "lost N" and "unmatched N" since the start.  Addresses are hexadecimal; KIND is
 * lock_kind_name()'s.  write_line gets one line at a time.
 */
bool lock_channel_report(const struct lock_books *books, unsigned int channel, unsigned int most,
			 void (*write_line)(void *context, const char *line), void *context);

#endif
