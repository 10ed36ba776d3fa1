// SPDX-License-Identifier: GPL-2.0-only
#include "lockmodel.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 1024u

static void *allocate(size_t count, size_t size)
{
	void *made = calloc(count, size);

	if (made == NULL) {
		fprintf(stderr, "locks: no memory\n");
		abort();
	}
	return made;
}

bool lock_books_init(struct lock_books *books)
{
	memset(books, 0, sizeof(*books));
	books->uses_size = books->objects_size = FIRST_SIZE;
	books->uses = calloc(FIRST_SIZE, sizeof(*books->uses));
	books->objects = calloc(FIRST_SIZE, sizeof(*books->objects));
	return books->uses != NULL && books->objects != NULL;
}

void lock_books_free(struct lock_books *books)
{
	free(books->uses);
	free(books->objects);
	free(books->waiters);
}

static uint64_t mixed(uint64_t key)
{
	key *= UINT64_C(0x9e3779b97f4a7c15);
	return key ^ key >> 29;
}

static bool same_kind(struct lock_kind left, struct lock_kind right)
{
	return left.family == right.family && left.shared == right.shared;
}

static size_t kind_number(struct lock_kind kind)
{
	return (size_t)kind.family * 2 + kind.shared;
}

/* Where it is, or the free place where it belongs. */
static size_t object_place(const struct lock_object *objects, size_t size, uint64_t address)
{
	size_t i = mixed(address) & (size - 1);

	while (objects[i].used && objects[i].address != address)
		i = (i + 1) & (size - 1);
	return i;
}

static size_t use_place(const struct lock_use *uses, size_t size, uint64_t object, uint64_t site,
			struct lock_kind kind)
{
	size_t i = mixed(object ^ mixed(site + kind_number(kind))) & (size - 1);

	while (uses[i].used && !(uses[i].object == object && uses[i].site == site &&
				 same_kind(uses[i].kind, kind)))
		i = (i + 1) & (size - 1);
	return i;
}

static void grow_objects(struct lock_books *books)
{
	size_t size = books->objects_size * 2;
	struct lock_object *bigger = allocate(size, sizeof(*bigger));

	for (size_t i = 0; i < books->objects_size; i++)
		if (books->objects[i].used)
			bigger[object_place(bigger, size, books->objects[i].address)] =
				books->objects[i];
	free(books->objects);
	books->objects = bigger;
	books->objects_size = size;
}

/* Uses are known by their place, which moves. */
static void grow_uses(struct lock_books *books)
{
	size_t size = books->uses_size * 2;
	struct lock_use *bigger = allocate(size, sizeof(*bigger));
	size_t *moved = allocate(books->uses_size, sizeof(*moved));

	for (size_t i = 0; i < books->uses_size; i++) {
		const struct lock_use *use = &books->uses[i];

		if (!use->used)
			continue;
		moved[i] = use_place(bigger, size, use->object, use->site, use->kind);
		bigger[moved[i]] = *use;
	}
	for (size_t i = 0; i < books->objects_size; i++)
		books->objects[i].use = moved[books->objects[i].use];
	books->before.use = moved[books->before.use];
	books->last.use = moved[books->last.use];
	free(moved);
	free(books->uses);
	books->uses = bigger;
	books->uses_size = size;
}

static const struct lock_object *find(const struct lock_books *books, uint64_t address)
{
	const struct lock_object *object =
		&books->objects[object_place(books->objects, books->objects_size, address)];

	return object->used ? object : NULL;
}

static struct lock_object *object_of(struct lock_books *books, uint64_t address)
{
	struct lock_object *object;

	if (books->objects_count * 2 >= books->objects_size)
		grow_objects(books);
	object = &books->objects[object_place(books->objects, books->objects_size, address)];
	if (!object->used) {
		object->used = true;
		object->address = address;
		books->objects_count++;
	}
	return object;
}

static size_t use_of(struct lock_books *books, uint64_t object, uint64_t site,
		     struct lock_kind kind)
{
	size_t i = use_place(books->uses, books->uses_size, object, site, kind);

	if (!books->uses[i].used && books->uses_count * 2 >= books->uses_size) {
		grow_uses(books);
		i = use_place(books->uses, books->uses_size, object, site, kind);
	}
	if (!books->uses[i].used) {
		books->uses[i].used = true;
		books->uses[i].object = object;
		books->uses[i].site = site;
		books->uses[i].kind = kind;
		books->uses_count++;
	}
	return i;
}

static uint64_t time_of(const struct lock_books *books, unsigned int channel, uint64_t now)
{
	return books->elapsed[channel] + (books->open[channel] ? now - books->since[channel] : 0);
}

void lock_channel_clear(struct lock_books *books, unsigned int channel)
{
	for (size_t i = 0; i < books->uses_size; i++)
		memset(&books->uses[i].sums[channel], 0, sizeof(books->uses[i].sums[channel]));
	/* What is held goes on; only the time from here on is the channel's. */
	for (size_t i = 0; i < books->objects_size; i++)
		books->objects[i].begin[channel] = books->elapsed[channel];
	books->open[channel] = false;
}

void lock_channel_open(struct lock_books *books, unsigned int channel, uint64_t now)
{
	if (!books->open[channel])
		books->since[channel] = now;
	books->open[channel] = true;
}

void lock_channel_close(struct lock_books *books, unsigned int channel, uint64_t now)
{
	books->elapsed[channel] = time_of(books, channel, now);
	books->open[channel] = false;
}

bool lock_held(const struct lock_books *books, uint64_t address, struct lock_kind kind)
{
	const struct lock_object *object = find(books, address);

	return object != NULL && object->holders != 0 &&
	       same_kind(books->uses[object->use].kind, kind);
}

bool lock_free_for(const struct lock_books *books, uint64_t address, struct lock_kind kind)
{
	const struct lock_object *object = find(books, address);

	return object == NULL || object->holders == 0 ||
	       (kind.shared && books->uses[object->use].kind.shared);
}

static void grant(struct lock_books *books, struct lock_object *object, uint64_t site,
		  struct lock_kind kind, uint64_t now)
{
	size_t use = use_of(books, object->address, site, kind);

	for (unsigned int channel = 0; channel < LOCK_CHANNELS; channel++) {
		books->uses[use].sums[channel].acquired += books->open[channel];
		if (object->holders == 0)
			object->begin[channel] = time_of(books, channel, now);
	}
	if (object->holders == 0) {
		object->use = use;
		++*lock_hint(books, object->address);
	}
	object->holders++;
}

void lock_acquired(struct lock_books *books, uint64_t address, uint64_t site,
		   struct lock_kind kind, uint64_t now)
{
	size_t use = use_of(books, address, site, kind); /* no other use moves from here on */
	struct lock_object *object = object_of(books, address), before = *object;
	bool lost = !lock_free_for(books, address, kind);

	if (lost) {
		books->lost++;
		object->holders = 0;
		--*lock_hint(books, address);
	}
	grant(books, object, site, kind, now);
	/* No interrupt that comes before lock_waits() may take one of these. */
	if (kind.family == LOCK_MUTEX || kind.family == LOCK_RWSEM) {
		books->before = before;
		books->last = *object;
		books->last.use = use;
		books->last_lost = lost;
	}
}

static void add_waiter(struct lock_books *books, const struct lock_use *use)
{
	if (books->waiters_count == books->waiters_size) {
		size_t size = books->waiters_size * 2 + 16;
		struct lock_waiter *more = allocate(size, sizeof(*more));

		if (books->waiters_count != 0)
			memcpy(more, books->waiters, books->waiters_count * sizeof(*more));
		free(books->waiters);
		books->waiters = more;
		books->waiters_size = size;
	}
	books->waiters[books->waiters_count++] = (struct lock_waiter){
		.object = use->object, .site = use->site, .kind = use->kind,
	};
}

void lock_waits(struct lock_books *books)
{
	struct lock_use *use = &books->uses[books->last.use];

	/* Nobody holds it: only the flags of waiters that are gone kept it from the fast path. */
	if (!books->last.used || books->before.holders == 0)
		return;
	books->last.used = false;
	books->lost -= books->last_lost;
	for (unsigned int channel = 0; channel < LOCK_CHANNELS; channel++)
		use->sums[channel].acquired -= books->open[channel];
	/* It was held before, too, and goes on to be. */
	*object_of(books, use->object) = books->before;
	add_waiter(books, use);
}

/* The first who waits gets it; if that reads, all who read do. */
static void hand_over(struct lock_books *books, struct lock_object *object, uint64_t now)
{
	size_t kept = 0;

	for (size_t i = 0; i < books->waiters_count; i++) {
		struct lock_waiter waiter = books->waiters[i];

		if (waiter.object == object->address &&
		    lock_free_for(books, waiter.object, waiter.kind))
			grant(books, object, waiter.site, waiter.kind, now);
		else
			books->waiters[kept++] = waiter;
	}
	books->waiters_count = kept;
}

/* Whether nobody holds it any more. */
static bool end_hold(struct lock_books *books, struct lock_object *object, struct lock_kind kind,
		     uint64_t now)
{
	struct lock_use *use = &books->uses[object->use];

	if (object->holders == 0 || !same_kind(use->kind, kind)) {
		books->unmatched++;
		return false;
	}
	if (--object->holders != 0)
		return false;
	--*lock_hint(books, object->address);
	for (unsigned int channel = 0; channel < LOCK_CHANNELS; channel++) {
		struct lock_sums *sums = &use->sums[channel];
		uint64_t held = time_of(books, channel, now) - object->begin[channel];

		sums->held += held;
		if (held > sums->longest)
			sums->longest = held;
	}
	return true;
}

void lock_released(struct lock_books *books, uint64_t address, struct lock_kind kind, uint64_t now)
{
	struct lock_object *object = object_of(books, address);

	if (end_hold(books, object, kind, now) && books->waiters_count != 0)
		hand_over(books, object, now);
}

void lock_downgraded(struct lock_books *books, uint64_t address, uint64_t site, uint64_t now)
{
	const struct lock_kind writer = { LOCK_RWSEM, false }, reader = { LOCK_RWSEM, true };
	struct lock_object *object = object_of(books, address);

	if (end_hold(books, object, writer, now)) {
		grant(books, object, site, reader, now);
		hand_over(books, object, now);
	} else {
		lock_acquired(books, address, site, reader, now);
	}
}

static const char *const kinds[] = {
	"spin", "spin-read", "write", "read", "mutex", "mutex-read", "rwsem-write", "rwsem-read",
};

struct row {
	uint64_t key; /* site or object */
	struct lock_kind kind;
	struct lock_sums sums;
	uint64_t objects;
};

static int by_key(const void *left, const void *right)
{
	const struct row *a = left, *b = right;
	size_t ka = kind_number(a->kind), kb = kind_number(b->kind);

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	return ka < kb ? -1 : ka > kb;
}

const char *lock_kind_name(struct lock_kind kind)
{
	return kinds[kind_number(kind)];
}

static int by_held(const void *left, const void *right)
{
	const struct row *a = left, *b = right;

	if (a->sums.held != b->sums.held)
		return a->sums.held > b->sums.held ? -1 : 1;
	return a->key < b->key ? -1 : a->key > b->key;
}

/* The uses of a channel, those with one key and, unless it is of objects, one kind in one row. */
static size_t summed(const struct lock_books *books, unsigned int channel, bool of_objects,
		     struct row *rows)
{
	size_t count = 0, merged = 0;

	for (size_t i = 0; i < books->uses_size; i++) {
		const struct lock_use *use = &books->uses[i];

		if (use->used && (use->sums[channel].acquired | use->sums[channel].held) != 0)
			rows[count++] = (struct row){
				.key = of_objects ? use->object : use->site,
				.kind = of_objects ? (struct lock_kind){ LOCK_SPIN, false } :
						     use->kind,
				.sums = use->sums[channel], .objects = 1,
			};
	}
	qsort(rows, count, sizeof(*rows), by_key);
	for (size_t i = 0; i < count; i++) {
		struct row *into = &rows[merged - (merged != 0)];

		if (merged == 0 || by_key(into, &rows[i]) != 0) {
			rows[merged++] = rows[i];
			continue;
		}
		into->sums.acquired += rows[i].sums.acquired;
		into->sums.held += rows[i].sums.held;
		if (rows[i].sums.longest > into->sums.longest)
			into->sums.longest = rows[i].sums.longest;
		into->objects++;
	}
	return merged;
}

/* A use of one of the objects that were held longest, and how many were held longer. */
struct ranked {
	uint64_t object;
	size_t rank;
	const struct lock_use *use;
};

static int by_object(const void *left, const void *right)
{
	const struct ranked *a = left, *b = right;

	return a->object < b->object ? -1 : a->object > b->object;
}

static int by_rank(const void *left, const void *right)
{
	const struct ranked *a = left, *b = right;
	size_t ka = kind_number(a->use->kind), kb = kind_number(b->use->kind);

	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	if (a->use->site != b->use->site)
		return a->use->site < b->use->site ? -1 : 1;
	return ka < kb ? -1 : ka > kb;
}

static void write_object(const struct lock_use *use, unsigned int channel,
			 void (*write_line)(void *context, const char *line), void *context)
{
	const struct lock_sums *sums = &use->sums[channel];
	char line[256];

	snprintf(line, sizeof(line),
		 "object %" PRIx64 " %" PRIx64 " %s %" PRIu64 " %" PRIu64 " %" PRIu64, use->object,
		 use->site, lock_kind_name(use->kind), sums->acquired, sums->held, sums->longest);
	write_line(context, line);
}

/* The uses of some objects, which are in the order of their ranks; all are looked at once. */
static void write_objects(const struct lock_books *books, unsigned int channel,
			  const struct row *rows, size_t count, struct ranked *objects,
			  struct ranked *found,
			  void (*write_line)(void *context, const char *line), void *context)
{
	size_t found_count = 0;

	for (size_t i = 0; i < count; i++)
		objects[i] = (struct ranked){ .object = rows[i].key, .rank = i };
	qsort(objects, count, sizeof(*objects), by_object);
	for (size_t i = 0; i < books->uses_size; i++) {
		const struct lock_use *use = &books->uses[i];
		struct ranked wanted = { .object = use->object };
		const struct ranked *object;

		if (!use->used || (use->sums[channel].acquired | use->sums[channel].held) == 0)
			continue;
		object = bsearch(&wanted, objects, count, sizeof(*objects), by_object);
		if (object == NULL)
			continue;
		found[found_count] = *object;
		found[found_count++].use = use;
	}
	qsort(found, found_count, sizeof(*found), by_rank);
	for (size_t i = 0; i < found_count; i++)
		write_object(found[i].use, channel, write_line, context);
}

bool lock_channel_report(const struct lock_books *books, unsigned int channel, unsigned int most,
			 void (*write_line)(void *context, const char *line), void *context)
{
	struct row *rows = calloc(books->uses_count + 1, sizeof(*rows));
	struct ranked *found = calloc(books->uses_count + 1, sizeof(*found));
	struct ranked *objects = calloc(most + 1, sizeof(*objects));
	char line[256];

	if (rows == NULL || found == NULL || objects == NULL) {
		free(objects);
		free(rows);
		free(found);
		return false;
	}
	size_t count = summed(books, channel, false, rows);

	for (size_t i = 0; i < count; i++) {
		snprintf(line, sizeof(line),
			 "site %" PRIx64 " %s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64,
			 rows[i].key, kinds[kind_number(rows[i].kind)], rows[i].sums.acquired,
			 rows[i].sums.held, rows[i].sums.longest, rows[i].objects);
		write_line(context, line);
	}
	count = summed(books, channel, true, rows);
	qsort(rows, count, sizeof(*rows), by_held);
	write_objects(books, channel, rows, count < most ? count : most, objects, found,
		      write_line, context);
	snprintf(line, sizeof(line), "lost %" PRIu64, books->lost);
	write_line(context, line);
	snprintf(line, sizeof(line), "unmatched %" PRIu64, books->unmatched);
	write_line(context, line);
	free(objects);
	free(rows);
	free(found);
	return true;
}
