// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which locks of the kernel are taken where, how often, and for how many instructions they are
 * held, see lockmodel.h.  For one CPU: no spinlock is ever waited for.
 *
 *     qemu-system-x86_64 -plugin file=locks.so,out=FILE,functions=FILE
 *
 * The file of functions has a line "<address, hexadecimal> <bytes> <role>" for each function of
 * the kernel that takes or frees locks, see roles[] below.  What spin_unlock(), write_unlock() and
 * read_unlock() become is inlined, so their instructions are looked for everywhere: a byte
 * that is set to 0, and a subtraction, at the address of a lock that is held.  The file may have
 * kernel_data_line()'s lines, too: what locks are in is told by them when a sum is written.
 *
 * A lock is taken by the compare-exchange or exchange-and-add in such a function, and the place
 * that takes it is the call, or jump, by which that was entered.  Bit locks and
 * percpu_rw_semaphores have no such function and are not seen.
 *
 * The write sections of seqcounts are inlined, too: they begin and end with an increment of four
 * bytes, to an odd value and to an even one.  So does what any counter counts; the addresses of
 * increments tell them apart by the line tables of the kernel, which are not here.
 *
 * Interrupts come at any time, so the instructions of those that interrupt the kernel are not
 * counted as those of what they interrupt; what locks they hold themselves is.
 *
 * For each PUT there is a line "put <line> <channel>", "executed N" (instructions, interrupts
 * included), "percpu OFFSET" (hexadecimal: what is added to the address of a per-CPU symbol; only
 * if it is known), "named DATA OFFSET SITE KIND ACQUIRED HELD LONGEST OBJECTS" for each place that
 * takes locks in a data structure, "sequence DATA OFFSET SITE seqcount ..." likewise for each
 * increment to an odd value after which there was one to an even value (DATA: kernel_data_word()'s;
 * the offset in it is hexadecimal),
 * "in ADDRESS DATA OFFSET" for the locks that were held longest, what lock_channel_report() writes,
 * and "end".
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kerneldata.h"
#include "lockmodel.h"
#include "plugin.h"

#define IMAGE UINT64_C(0xffffffff80000000)
#define IMAGE_END UINT64_C(0xffffffffc0000000)
#define OBJECTS_MOST 64u
#define PENDING 16u
#define FRAMES 64u
/* Where interrupts of user space have their first stack; the frame moves from there. */
#define ENTRY_AREA UINT64_C(0xfffffe0000000000)
#define ENTRY_AREA_END UINT64_C(0xfffffe8000000000)

const char plugin_name[] = "locks";
const char plugin_usage[] = "out=FILE,functions=FILE";
const bool plugin_from_first_mark = false;

enum action { TAKE, TRY, FREE, DOWNGRADE, WAIT, SWITCH, INSIDE, INTERRUPT, ENTRY };

struct role {
	const char *name;
	enum action action;
	struct lock_kind kind;
};

static const struct role roles[] = {
	{ "spin", TAKE, { LOCK_SPIN, false } },
	{ "spin-try", TRY, { LOCK_SPIN, false } },
	{ "write", TAKE, { LOCK_RW, false } },
	{ "write-try", TRY, { LOCK_RW, false } },
	{ "read", TAKE, { LOCK_RW, true } },
	{ "read-try", TRY, { LOCK_RW, true } },
	{ "mutex", TAKE, { LOCK_MUTEX, false } },
	{ "mutex-try", TRY, { LOCK_MUTEX, false } },
	{ "mutex-free", FREE, { LOCK_MUTEX, false } },
	{ "rwsem-write", TAKE, { LOCK_RWSEM, false } },
	{ "rwsem-write-try", TRY, { LOCK_RWSEM, false } },
	{ "rwsem-write-free", FREE, { LOCK_RWSEM, false } },
	{ "rwsem-read", TAKE, { LOCK_RWSEM, true } },
	{ "rwsem-read-try", TRY, { LOCK_RWSEM, true } },
	{ "rwsem-read-free", FREE, { LOCK_RWSEM, true } },
	{ "downgrade", DOWNGRADE, { LOCK_RWSEM, false } },
	/* Entered by who has to wait for what it tried to take. */
	{ "wait", WAIT, { LOCK_MUTEX, false } },
	/* Changes locks in ways that mean nothing here. */
	{ "inside", INSIDE, { LOCK_SPIN, false } },
	/* Where interrupts come in, the function that they all call first, and the one that tasks
	 * change in. */
	{ "interrupt", INTERRUPT, { LOCK_SPIN, false } },
	{ "entry", ENTRY, { LOCK_SPIN, false } },
	{ "switch", SWITCH, { LOCK_SPIN, false } },
};

struct function {
	uint64_t begin, end;
	const struct role *role;
};

/* An instruction with a callback; it lasts as long as QEMU does. */
struct place {
	uint64_t address;
	uint64_t before; /* instructions of its block from it on, itself included */
	const struct function *function;
};

/* A function that was entered, and by which instruction; its lock is not yet known. */
struct entry {
	const struct function *function;
	uint64_t site;
};

/* An interrupt of the kernel: where the return address lies that it began with, and when. */
struct frame {
	uint64_t address, began;
};

static struct function *functions;
static size_t functions_count;
static struct lock_books books, sequences;
static struct entry pending[PENDING];
static size_t pending_count;
static struct entry caller; /* its function is not used */
static uint64_t caller_at;
static struct frame frames[FRAMES];
static size_t frames_count;
static uint64_t interrupted; /* instructions of interrupts that are over */
static uint64_t instructions[LOCK_CHANNELS];
static uint64_t percpu_offset;
static bool percpu_known;
static bool ram_found, armed; /* a mark was seen */
static uint64_t reported; /* the lock that the line before was of */

static int by_begin(const void *left, const void *right)
{
	const struct function *a = left, *b = right;

	return a->begin < b->begin ? -1 : a->begin > b->begin;
}

static const struct role *role_of(const char *name)
{
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (strcmp(roles[i].name, name) == 0)
			return &roles[i];
	return NULL;
}

static bool read_functions(const char *path)
{
	FILE *file = fopen(path, "re");
	size_t size = 0;
	char line[128], name[32];
	uint64_t begin, bytes;

	if (file == NULL) {
		fprintf(stderr, "locks: cannot open %s: %s\n", path, strerror(errno));
		return false;
	}
	while (fgets(line, sizeof(line), file) != NULL) {
		const struct role *role = NULL;

		if (kernel_data_line(line))
			continue;
		if (sscanf(line, "%" SCNx64 " %" SCNu64 " %31s", &begin, &bytes, name) == 3)
			role = role_of(name);
		if (role == NULL) {
			fprintf(stderr, "locks: %s: no function: %s", path, line);
			fclose(file);
			return false;
		}
		if (functions_count == size) {
			size = size * 2 + 64;
			functions = realloc(functions, size * sizeof(*functions));
			if (functions == NULL)
				abort();
		}
		functions[functions_count++] =
			(struct function){ .begin = begin, .end = begin + bytes, .role = role };
	}
	fclose(file);
	if (functions_count != 0)
		qsort(functions, functions_count, sizeof(*functions), by_begin);
	return true;
}

static const struct function *function_at(uint64_t address)
{
	size_t low = 0, high = functions_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (functions[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < functions_count && functions[low].begin <= address ? &functions[low] : NULL;
}

/* Instructions executed, without interrupts, up to the one at a place, that one included. */
static uint64_t now_at(const struct place *place)
{
	return executed() - interrupted - place->before + 1;
}

static void on_call(unsigned int vcpu, void *data)
{
	const struct place *place = data;

	(void)vcpu;
	caller.site = place->address;
	caller_at = now_at(place);
}

static void on_entry(unsigned int vcpu, void *data)
{
	const struct place *place = data;

	(void)vcpu;
	if (place->function->role->action == WAIT) {
		lock_waits(&books);
		return;
	}
	if (place->function->role->action == SWITCH) {
		/* Preempted on the way out of an interrupt: what follows is not its. */
		if (frames_count != 0)
			interrupted += now_at(place) - frames[0].began;
		frames_count = 0;
		return;
	}
	/* What tried and did not even try to exchange stays, and goes when there is no room. */
	if (pending_count == PENDING) {
		memmove(pending, pending + 1, (PENDING - 1) * sizeof(*pending));
		pending_count--;
	}
	pending[pending_count++] = (struct entry){
		.function = place->function,
		.site = caller_at == now_at(place) - 1 ? caller.site : 0,
	};
}

/* The last that entered this function; interrupts came and went since. */
static bool entered(const struct function *function, uint64_t *site)
{
	for (size_t i = pending_count; i > 0; i--)
		if (pending[i - 1].function == function) {
			*site = pending[i - 1].site;
			pending_count = i - 1;
			return true;
		}
	return false;
}

static void on_exchange(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
	const struct place *place = data;
	const struct role *role = place->function->role;
	uint64_t site;

	(void)vcpu;
	if (!qemu_plugin_mem_is_store(info) || !entered(place->function, &site))
		return; /* or it is another turn of its loop */
	switch (role->action) {
	case TRY:
		if (!lock_free_for(&books, address, role->kind))
			break;
		/* fall through */
	case TAKE:
		lock_acquired(&books, address, site, role->kind, now_at(place));
		break;
	case DOWNGRADE:
		lock_downgraded(&books, address, site, now_at(place));
		break;
	case FREE:
		lock_released(&books, address, role->kind, now_at(place));
		break;
	default:
		break;
	}
}

/* The call of "entry": its return address lies below the error code, and that below the frame. */
static void on_interrupt(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address,
			 void *data)
{
	(void)vcpu;
	if (qemu_plugin_mem_is_store(info) && frames_count < FRAMES &&
	    !(address >= ENTRY_AREA && address < ENTRY_AREA_END))
		frames[frames_count++] = (struct frame){ .address = address + 16,
							 .began = now_at(data) };
}

/* mutex_lock() reads current, which is a per-CPU symbol. */
static void on_percpu(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
	const struct place *place = data;

	(void)vcpu;
	(void)info;
	percpu_offset = address - place->address;
	percpu_known = true;
}

/* iret reads its frame, the return address first. */
static void on_return(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
	(void)vcpu;
	if (!qemu_plugin_mem_is_store(info) && frames_count != 0 &&
	    frames[frames_count - 1].address == address)
		interrupted += now_at(data) - frames[--frames_count].began;
}

static void on_byte(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
	static const struct lock_kind kinds[] = { { LOCK_SPIN, false }, { LOCK_RW, false } };

	(void)vcpu;
	/* Most bytes are no locks, and that is told fastest. */
	if (!lock_perhaps(&books, address) || !qemu_plugin_mem_is_store(info))
		return;
	for (size_t i = 0; i < 2; i++)
		if (lock_held(&books, address, kinds[i])) {
			lock_released(&books, address, kinds[i], now_at(data));
			return;
		}
}

static void on_subtraction(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address,
			   void *data)
{
	struct lock_kind kind = { LOCK_RW, true };

	(void)vcpu;
	if (lock_perhaps(&books, address) && qemu_plugin_mem_is_store(info) &&
	    lock_held(&books, address, kind))
		lock_released(&books, address, kind, now_at(data));
}

/* Of four bytes by one, not atomic: perhaps the begin or the end of a seqcount's write section. */
static void on_increment(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address,
			 void *data)
{
	const struct place *place = data;
	struct lock_kind kind = { LOCK_SPIN, false };
	uint32_t value;

	(void)vcpu;
	if (!armed || !qemu_plugin_mem_is_store(info) || (address & 3) != 0 ||
	    !kernel_data_read(address, &value, sizeof(value)))
		return;
	if ((value & 1) != 0)
		lock_acquired(&sequences, address, place->address, kind, now_at(place));
	else if (lock_held(&sequences, address, kind))
		lock_released(&sequences, address, kind, now_at(place));
}

/* What an instruction is, as far as it matters. */
struct decoded {
	bool exchange;	  /* cmpxchg or xadd, of more than a byte, with memory */
	bool byte;	  /* stores a byte that may be 0 */
	bool subtraction; /* adds or subtracts a constant of 4 bytes in memory, or xadd */
	bool increment;	  /* of 4 bytes in memory by one, not atomic */
	bool branch;	  /* call, jmp or jcc */
	bool iret;
	bool percpu; /* of a symbol at distance */
	int32_t distance;
};

static bool is_prefix(unsigned char byte)
{
	static const unsigned char prefixes[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64,
						  0x65, 0x66, 0xf0, 0xf2, 0xf3 };

	return memchr(prefixes, byte, sizeof(prefixes)) != NULL || (byte & 0xf0) == 0x40;
}

static struct decoded decode(const unsigned char *bytes, size_t size)
{
	struct decoded is = { 0 };
	size_t i = 0;

	while (i < size && is_prefix(bytes[i]))
		i++;
	is.iret = i + 1 == size && bytes[i] == 0xcf;
	if (i + 1 >= size)
		return is;

	bool two = bytes[i] == 0x0f;
	unsigned char code = bytes[i + two];

	/* With a distance of 4 bytes and of one. */
	if ((two && (code & 0xf0) == 0x80) || (!two && (code == 0xe8 || code == 0xe9))) {
		is.branch = i + two + 5 == size;
		if (is.branch)
			memcpy(&is.distance, bytes + size - 4, sizeof(is.distance));
		return is;
	}
	if (!two && (code == 0xeb || (code & 0xf0) == 0x70)) {
		is.branch = true;
		is.distance = (int8_t)bytes[size - 1];
		return is;
	}
	if (i + two + 1 >= size)
		return is;

	unsigned char modrm = bytes[i + two + 1];
	bool memory = modrm >> 6 != 3;

	is.percpu = bytes[0] == 0x65 && (modrm & 0xc7) == 5 && i + two + 6 <= size;
	if (is.percpu)
		memcpy(&is.distance, bytes + i + two + 2, sizeof(is.distance));

	is.exchange = memory && two && (code == 0xb1 || code == 0xc1);
	/* movb $0 is what compilers make of a release; a register may have that 0, too. */
	is.byte = memory && !two &&
		  ((code == 0xc6 && (modrm & 0x38) == 0 && bytes[size - 1] == 0) || code == 0x88);
	is.increment = memory && !two && i == (bytes[0] >> 4 == 4 && (bytes[0] & 8) == 0) &&
		       (modrm & 0x38) == 0 &&
		       (code == 0xff || (code == 0x83 && bytes[size - 1] == 1));
	is.subtraction = memory && ((two && code == 0xc1) ||
				    (!two && code == 0x81 &&
				     ((modrm & 0x38) == 0 || (modrm & 0x38) == 0x28)));
	return is;
}

static struct place *new_place(uint64_t address, size_t before, const struct function *function)
{
	struct place *place = malloc(sizeof(*place));

	if (place == NULL)
		abort();
	*place = (struct place){ .address = address, .before = before, .function = function };
	return place;
}

/* For loads and stores: QEMU 7.2 takes one for the other where only one is asked for. */
static void watch_memory(struct qemu_plugin_insn *insn, qemu_plugin_vcpu_mem_cb_t function,
			 struct place *place)
{
	qemu_plugin_register_vcpu_mem_cb(insn, function, QEMU_PLUGIN_CB_NO_REGS,
					 QEMU_PLUGIN_MEM_RW, place);
}

static void watch_branch(struct qemu_plugin_insn *insn, uint64_t address, size_t before,
			 const struct function *function, uint64_t to)
{
	const struct function *target = function_at(to);

	if (target == NULL || target->begin != to)
		return;
	if (target->role->action != ENTRY)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_call, QEMU_PLUGIN_CB_NO_REGS,
						       new_place(address, before, NULL));
	else if (function != NULL && function->role->action == INTERRUPT)
		watch_memory(insn, on_interrupt, new_place(address, before, NULL));
}

static void watch(struct qemu_plugin_insn *insn, uint64_t address, size_t before)
{
	const struct function *function = function_at(address);
	unsigned char bytes[INSN_MOST];
	size_t size = insn_bytes(insn, bytes, sizeof(bytes));
	struct decoded is = decode(bytes, size);
	qemu_plugin_vcpu_mem_cb_t on_store = NULL;

	if (function != NULL && address == function->begin && function->role->action < INSIDE)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_entry, QEMU_PLUGIN_CB_NO_REGS,
						       new_place(address, before, function));
	if (is.branch)
		watch_branch(insn, address, before, function,
			     address + size + (uint64_t)(int64_t)is.distance);
	if (is.percpu && function != NULL && function->role->kind.family == LOCK_MUTEX)
		watch_memory(insn, on_percpu,
			     new_place(address + size + (uint64_t)(int64_t)is.distance, before,
				       NULL));
	if (is.iret)
		watch_memory(insn, on_return, new_place(address, before, NULL));
	if (function != NULL && function->role->action <= INSIDE)
		on_store = is.exchange && function->role->action <= DOWNGRADE ? on_exchange : NULL;
	else if (is.byte)
		on_store = on_byte;
	else if (is.subtraction)
		on_store = on_subtraction;
	if (is.increment)
		watch_memory(insn, on_increment, new_place(address, before, function));
	if (on_store != NULL)
		watch_memory(insn, on_store, new_place(address, before, function));
}

bool plugin_option(const char *key, const char *value)
{
	return strcmp(key, "functions") == 0 && read_functions(value);
}

bool plugin_start(qemu_plugin_id_t id, const qemu_info_t *info)
{
	(void)id;
	(void)info;
	if (functions_count == 0) {
		fprintf(stderr, "locks: wants %s\n", plugin_usage);
		return false;
	}
	return lock_books_init(&books) && lock_books_init(&sequences);
}

/* The kernel's image begins at physical address 0, at IMAGE, without KASLR. */
static void find_ram(const struct qemu_plugin_insn *insn, uint64_t address)
{
	uintptr_t host = (uintptr_t)qemu_plugin_insn_haddr(insn);

	if (host != 0 && address >= IMAGE && address < IMAGE_END) {
		kernel_data_ram(host - (uintptr_t)(address - IMAGE));
		ram_found = true;
	}
}

void plugin_block(struct qemu_plugin_tb *tb, size_t insns)
{
	executed_add(tb, insns);
	if (!ram_found)
		find_ram(qemu_plugin_tb_get_insn(tb, 0), qemu_plugin_tb_vaddr(tb));
	for (size_t i = 0; i < insns; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t address = qemu_plugin_insn_vaddr(insn);

		if (address >= KERNEL)
			watch(insn, address, insns - i);
	}
}

/* What a use's lock is in; that of an array in vmalloc's memory is not told by its offset. */
struct named {
	char word[DATA_WORD];
	uint64_t offset;
	const struct lock_use *use;
};

static int by_name(const void *left, const void *right)
{
	const struct named *a = left, *b = right;
	int order = strcmp(a->word, b->word);

	if (order != 0)
		return order;
	if (a->offset != b->offset)
		return a->offset < b->offset ? -1 : 1;
	if (a->use->site != b->use->site)
		return a->use->site < b->use->site ? -1 : 1;
	return strcmp(lock_kind_name(a->use->kind), lock_kind_name(b->use->kind));
}

static int by_name_and_lock(const void *left, const void *right)
{
	const struct named *a = left, *b = right;
	int order = by_name(left, right);

	return order != 0 ? order :
	       a->use->object < b->use->object ? -1 : a->use->object > b->use->object;
}

static struct named name_of(const struct lock_use *use)
{
	struct kernel_data data = kernel_data_of(use->object);
	struct named named = { .use = use, .offset = data.kind == DATA_VMALLOC ? 0 : data.offset };

	kernel_data_word(&data, named.word);
	return named;
}

static void put_named(FILE *file, const char *head, const struct named *named, size_t count,
		      unsigned int channel)
{
	bool is_lock = strcmp(head, "named") == 0;
	struct lock_sums all = { 0 };

	/* A place takes a lock in one way, so each use is another lock. */
	for (size_t i = 0; i < count; i++) {
		const struct lock_sums *one = &named[i].use->sums[channel];

		all.acquired += one->acquired;
		all.held += one->held;
		all.longest = one->longest > all.longest ? one->longest : all.longest;
	}
	fprintf(file, "%s %s %" PRIx64 " %" PRIx64 " %s %" PRIu64 " %" PRIu64 " %" PRIu64
		" %zu\n", head, named->word, named->offset, named->use->site,
		is_lock ? lock_kind_name(named->use->kind) : "seqcount", all.acquired, all.held,
		all.longest, count);
}

static void put_names(FILE *file, const char *head, const struct lock_books *of,
		      unsigned int channel)
{
	struct named *named = calloc(of->uses_count + 1, sizeof(*named));
	size_t count = 0, first = 0;

	if (named == NULL)
		abort();
	for (size_t i = 0; i < of->uses_size; i++) {
		const struct lock_use *use = &of->uses[i];

		if (use->used && (use->sums[channel].acquired | use->sums[channel].held) != 0)
			named[count++] = name_of(use);
	}
	qsort(named, count, sizeof(*named), by_name_and_lock);
	for (size_t i = 1; i <= count; i++)
		if (i == count || by_name(&named[first], &named[i]) != 0) {
			put_named(file, head, &named[first], i - first, channel);
			first = i;
		}
	free(named);
}

static void write_report(void *context, const char *line)
{
	uint64_t object;

	if (sscanf(line, "object %" SCNx64, &object) == 1 && object != reported) {
		struct lock_use use = { .object = object };
		struct named named = name_of(&use);

		fprintf(context, "in %" PRIx64 " %s %" PRIx64 "\n", object, named.word,
			named.offset);
		reported = object;
	}
	fprintf(context, "%s\n", line);
}

static void put(unsigned int channel, unsigned int line)
{
	char *text = NULL;
	size_t size = 0;
	FILE *memory = open_memstream(&text, &size);

	if (memory == NULL)
		abort();
	fprintf(memory, "put %u %u\nexecuted %" PRIu64 "\n", line, channel, instructions[channel]);
	if (percpu_known)
		fprintf(memory, "percpu %" PRIx64 "\n", percpu_offset);
	put_names(memory, "named", &books, channel);
	put_names(memory, "sequence", &sequences, channel);
	reported = 0;
	if (!lock_channel_report(&books, channel, OBJECTS_MOST, write_report, memory))
		abort();
	fprintf(memory, "end\n");
	fclose(memory);
	out_write(text, size);
	free(text);
}

void plugin_mark(enum operation operation, unsigned int channel, unsigned int line)
{
	uint64_t now = executed();

	armed = true;
	switch (operation) {
	case CLEAR:
		instructions[channel] = 0;
		lock_channel_clear(&books, channel);
		lock_channel_clear(&sequences, channel);
		break;
	case BEGIN:
		instructions[channel] -= now;
		lock_channel_open(&books, channel, now - interrupted);
		lock_channel_open(&sequences, channel, now - interrupted);
		break;
	case END:
		instructions[channel] += now;
		lock_channel_close(&books, channel, now - interrupted);
		lock_channel_close(&sequences, channel, now - interrupted);
		break;
	case PUT:
		put(channel, line);
		break;
	case OPERATIONS:
		break;
	}
}
