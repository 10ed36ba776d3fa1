// SPDX-License-Identifier: GPL-2.0-only
/*
 * Count where a guest executes its instructions: by block of translated code and by chain of
 * calls, between the marks of a workload.
 *
 *     -plugin file=profile.so,out=FILE,functions=FILE
 *
 * functions: lines "<address> <kind>" in ascending order, hexadecimal: where each function of the
 * kernel begins, and what it is (enum kind).  Another address at the end of a line is the function
 * that it is a part of.
 *
 * A block is known by its address and its bytes, so code that is patched counts where it runs.
 * The chain of calls is followed block by block: what ends a block (call, return, return from an
 * interrupt) and what function the next one lies in.  A chain that does not fit (a return to
 * where nobody called from) goes on in the function that runs, so each instruction is counted in
 * its function whatever happens.  Each task has a chain; the load of the next task's stack pointer
 * in __switch_to_asm tells the tasks apart.  Chains begin at a root: the workload's tasks (those
 * that execute marks, and all that begin later and are no kernel threads), interrupts, softirqs,
 * other tasks of user space, kernel threads, and the idle task.
 *
 * A block that is left early, by a fault or because QEMU wants an access to a device to be the last
 * instruction of a block, is entered again inside; what was not executed is taken off, as a block
 * that was entered so many times less.
 *
 * The output, in lines; a number is decimal, an address hexadecimal:
 *
 *     profile 1
 *     b ID FUNCTION ADDRESS HASH SIZES     a block; SIZES: a digit for each instruction, in bytes
 *     n ID PARENT FUNCTION                 a chain: FUNCTION called by PARENT; PARENT 0: a root
 *     p LINE CHANNEL INSNS                 a sum that was asked for (LINE 0: one that had no end when
 *                                          the guest ended), followed by its parts:
 *     x ID WORK INTERRUPT SOFTIRQ OTHER    how often a block was entered, by whom
 *     t ID INSNS CALLS                     instructions in a chain's last function itself
 *     e LINE                               its end
 *     s LINE EARLIER                       the sum is the same as that of an earlier line
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

#define LONGEST 512u /* instructions of a block */
#define DEEPEST 512u /* calls */
#define USER_END UINT64_C(0x800000000000)

const char plugin_name[] = "profile";
const char plugin_usage[] = "out=FILE,functions=FILE";
const bool plugin_from_first_mark = false;

/* What a function is, as a letter of its line. */
enum kind {
	PLAIN = '-',
	EXCEPTION = 'x', /* its entry from the CPU */
	INTERRUPT = 'i', /* likewise */
	VECTORS = 'v',   /* likewise, an entry for each of many; they jump to one of the former */
	SYSCALL = 'c',   /* likewise */
	SOFTIRQS = 's',  /* runs softirqs */
	FORKED = 'n',    /* where a new task begins */
	KTHREAD = 'k',   /* where all kernel threads go on */
};

enum group { WORK, INTERRUPTS, SOFTIRQ, OTHERS, GROUPS };

/* How a block ends, as far as the chain of calls depends on it. */
enum ending { ONWARD, CALL, RETURN, IRET, SYSRET };

struct function {
	uint64_t address;
	const struct function *whole; /* what it is a part of, or itself */
	enum kind kind;
};

/*
 * What is looked at whenever a block is entered: one line of the host's cache.  The rest of it is
 * in its chunk.
 */
struct block {
	_Alignas(64) const struct function *function;
	uint64_t address;
	struct node *memo; /* what was found last for the calls and jumps that end it */
	unsigned short size; /* in bytes */
	unsigned short inside; /* bytes from its second on at which it may be entered again */
	unsigned short insns;
	unsigned char ending;
	int64_t entered[GROUPS]; /* how often; means nothing in user space */
};

struct block_rest {
	struct block *next; /* in its bucket */
	uint64_t hash;
	uint64_t target; /* where its last instruction jumps to, if it says so itself */
	unsigned char *sizes; /* by instruction */
	unsigned int id; /* in the output; 0: not there yet */
};

struct node {
	_Alignas(64) struct node *next; /* in its bucket */
	struct node *parent;
	const struct function *function; /* NULL: a root */
	int64_t self, calls;
	enum group group;
	unsigned int id;
	bool written;
};

/*
 * Blocks and nodes are kept in chunks, each at a multiple of its size: nothing but them, so that
 * they use all sets of the host's caches alike.  The sums of each channel lie side by side.
 */
#define CHUNK_BYTES (1u << 20)
#define CHUNK (CHUNK_BYTES / 64 - 1)

struct block_chunk {
	_Alignas(64) struct block_rest *rests;
	int64_t (*sums[CHANNELS])[GROUPS];
	struct block blocks[CHUNK];
};

struct node_chunk {
	_Alignas(64) int64_t *self[CHANNELS];
	int64_t *calls[CHANNELS];
	struct node nodes[CHUNK];
};

_Static_assert(sizeof(struct block_chunk) == CHUNK_BYTES, "a chunk is found by its address");
_Static_assert(sizeof(struct node_chunk) == CHUNK_BYTES, "chunks have one size");

struct frame {
	struct node *node;
	struct block *block; /* the last one before */
	uint64_t back; /* the address to return to */
	enum kind kind; /* PLAIN: a call */
	enum ending pending;
};

struct task {
	struct task *next;
	uint64_t id;
	struct node *root, *here;
	struct node *user; /* its node of user space */
	unsigned int depth;
	struct frame frames[DEEPEST];
};

#define BUCKET_BITS 18
#define BUCKETS (1u << BUCKET_BITS)

static struct block *blocks[BUCKETS];
static struct node *nodes[BUCKETS];
static struct task *tasks[256];
/* Addresses that no function has. */
static struct function user = { .address = 0, .kind = PLAIN };
static struct function unknown = { .address = 1, .kind = PLAIN };
static struct function *functions;
static size_t function_count;
static struct block_chunk **block_chunks;
static struct node_chunk **node_chunks;
static unsigned int block_count, node_count, said_count;

static struct node *work_root, *interrupt_root, *softirq_root, *user_root, *thread_root, *idle_root;
static struct task *task;
static struct node *here;
static struct block nothing, *last = &nothing;
/* The function of the next block, if it is only a step further; else NULL. */
static const struct function *expected;
static enum ending pending; /* of the last block, while the next one is looked at */
static bool working; /* the workload has begun */

static struct {
	bool changed, open;
	unsigned int line; /* where it was last put */
} channels[CHANNELS];

_Noreturn static void no_memory(void)
{
	fprintf(stderr, "profile: no memory\n");
	exit(EXIT_FAILURE);
}

/* An array of chunks with the one that a next block or node is in. */
static void *chunk_made(void *chunks, unsigned int count)
{
	void *chunk = aligned_alloc(CHUNK_BYTES, CHUNK_BYTES);

	chunks = realloc(chunks, (count / CHUNK + 1) * sizeof(void *));
	if (chunk == NULL || chunks == NULL)
		no_memory();
	((void **)chunks)[count / CHUNK] = memset(chunk, 0, CHUNK_BYTES);
	return chunks;
}

static struct block_rest *rest_of(const struct block *block)
{
	uintptr_t chunk = (uintptr_t)block & ~(uintptr_t)(CHUNK_BYTES - 1);
	struct block_chunk *of = (struct block_chunk *)chunk;

	return &of->rests[block - of->blocks];
}

static size_t bucket_of(uint64_t a, uint64_t b)
{
	return (size_t)(((a ^ b >> 7) * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - BUCKET_BITS));
}

/* --- output --- */

static char buffer[1 << 16];
static size_t buffered;

static void flush(void)
{
	out_write(buffer, buffered);
	buffered = 0;
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	va_list list;

	if (sizeof(buffer) - buffered < 1024)
		flush();
	va_start(list, format);
	buffered += (size_t)vsnprintf(buffer + buffered, sizeof(buffer) - buffered, format, list);
	va_end(list);
}

/* --- functions --- */

static const struct function *function_at(uint64_t address)
{
	size_t low = 0, high = function_count;

	if (address < USER_END)
		return &user;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (functions[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low == 0 ? &unknown : functions[low - 1].whole;
}

static struct function *function_exactly(uint64_t address)
{
	for (size_t i = 0; i < function_count; i++)
		if (functions[i].address == address)
			return &functions[i];
	return NULL;
}

static bool read_functions(const char *path)
{
	FILE *file = fopen(path, "r");
	size_t room = 0;
	char line[128];

	if (file == NULL) {
		fprintf(stderr, "profile: cannot open %s: %s\n", path, strerror(errno));
		return false;
	}
	while (fgets(line, sizeof(line), file) != NULL) {
		uint64_t address, whole;
		char kind;
		int got = sscanf(line, "%" SCNx64 " %c %" SCNx64, &address, &kind, &whole);
		struct function *one;

		if (got < 2 || (function_count > 0 &&
				functions[function_count - 1].address >= address)) {
			fprintf(stderr, "profile: %s has a line that is none: %s\n", path, line);
			fclose(file);
			return false;
		}
		if (function_count == room) {
			room = room > 0 ? 2 * room : 4096;
			functions = realloc(functions, room * sizeof(*functions));
			if (functions == NULL)
				return false;
		}
		one = &functions[function_count++];
		*one = (struct function){ .address = address, .kind = (enum kind)kind };
		one->whole = (const struct function *)(uintptr_t)(got == 3 ? whole : 0);
	}
	fclose(file);
	/* Only now they stay where they are. */
	for (size_t i = 0; i < function_count; i++) {
		uint64_t whole = (uint64_t)(uintptr_t)functions[i].whole;

		functions[i].whole = whole != 0 ? function_exactly(whole) : &functions[i];
		if (functions[i].whole == NULL)
			functions[i].whole = &functions[i];
	}
	return true;
}

/* --- chains of calls --- */

static struct node *node_make(struct node *parent, const struct function *function,
			      enum group group)
{
	struct node *node;

	if (node_count % CHUNK == 0) {
		struct node_chunk *chunk;

		node_chunks = chunk_made(node_chunks, node_count);
		chunk = node_chunks[node_count / CHUNK];
		for (unsigned int i = 0; i < CHANNELS; i++) {
			chunk->self[i] = zeroed(CHUNK, sizeof(*chunk->self[i]));
			chunk->calls[i] = zeroed(CHUNK, sizeof(*chunk->calls[i]));
		}
	}
	node = &node_chunks[node_count / CHUNK]->nodes[node_count % CHUNK];
	node->parent = parent != NULL ? parent : node;
	node->function = function;
	node->group = group;
	node->id = ++node_count;
	return node;
}

static struct node *child_found(struct node *parent, const struct function *function)
{
	struct node **bucket =
		&nodes[bucket_of((uintptr_t)parent, (uint64_t)(uintptr_t)function << 4)];
	struct node *node;

	for (node = *bucket; node != NULL; node = node->next)
		if (node->parent == parent && node->function == function)
			return node;
	node = node_make(parent, function, parent->group);
	node->next = *bucket;
	*bucket = node;
	return node;
}

static struct node *child_of(struct node **memo, struct node *parent,
			     const struct function *function)
{
	if (*memo == NULL || (*memo)->parent != parent || (*memo)->function != function)
		*memo = child_found(parent, function);
	return *memo;
}

static void push(enum kind kind, uint64_t back)
{
	struct frame *frame;

	if (task->depth == DEEPEST) /* nothing in a kernel is as deep: start again */
		task->depth = 0;
	frame = &task->frames[task->depth++];
	*frame = (struct frame){ .node = here, .block = last, .back = back, .kind = kind,
				 .pending = pending };
}

/* Most that a block calls or jumps to is the same again. */
static void enter(struct block *from, struct node *parent, const struct function *function)
{
	here = child_of(&from->memo, parent, function);
	here->calls++;
}

static struct block *tail_of(const struct block *block, size_t first);

/* A block of a chain was left before the instruction at an address; false if there is none. */
static bool take_back(const struct block *block, struct node *node, uint64_t address)
{
	uint64_t at = block->address;

	for (size_t i = 0; i < block->insns; i++) {
		if (at == address) {
			node->self -= (int64_t)(block->insns - i);
			if (block->function != &user)
				tail_of(block, i)->entered[node->group]--;
			return true;
		}
		at += rest_of(block)->sizes[i];
	}
	return false;
}

/* Whether the exception that a frame is for goes on inside the block that it came from. */
static bool is_resumed(const struct frame *frame, uint64_t address)
{
	return frame->kind == EXCEPTION && frame->block != NULL &&
	       take_back(frame->block, frame->node, address);
}

static void begin_user(const struct block *block)
{
	if (task->depth > 0)
		is_resumed(&task->frames[0], block->address);
	task->depth = 0;
	here = child_of(&task->user, task->root, &user);
}

static void begin_task(struct block *block)
{
	task->depth = 0;
	task->root = working ? work_root : user_root;
	enter(block, task->root, block->function);
}

/* Back from an interrupt or an exception; what was under way there goes on. */
static void end_interrupt(const struct block *block)
{
	pending = ONWARD;
	for (unsigned int i = task->depth; i-- > 0;) {
		struct frame *frame = &task->frames[i];

		if (frame->kind == PLAIN)
			continue;
		task->depth = i;
		here = frame->node;
		if (!is_resumed(frame, block->address)) {
			pending = frame->pending;
			last = frame->block;
		}
		return;
	}
}

static void end_call(uint64_t address)
{
	for (unsigned int i = task->depth; i-- > 0 && task->frames[i].kind == PLAIN;)
		if (task->frames[i].back == address) {
			task->depth = i;
			here = task->frames[i].node;
			return;
		}
}

/* Whether the CPU came to a block by itself, and not by a jump or a return. */
static bool is_entry(const struct block *block)
{
	const struct function *function = block->function;

	switch (function->kind) {
	case VECTORS:
		return function != here->function;
	case INTERRUPT:
		if (here->function != NULL && here->function->kind == VECTORS)
			return false;
		/* fall through */
	case EXCEPTION:
	case SYSCALL:
		return block->address == function->address;
	default:
		return false;
	}
}

/*
 * Whether QEMU left the last block before its end, which may be a call or a return: nothing calls
 * or returns into the block that it comes from, but to its begin.
 */
static bool is_left_early(const struct block *block)
{
	return pending != ONWARD && block->address - last->address - 1 < last->inside &&
	       take_back(last, here, block->address);
}

/* The next block lies in another function, or a call or a return came before it. */
static void follow(struct block *block)
{
	const struct function *function = block->function;
	enum kind kind = function->kind;

	pending = (enum ending)last->ending;
	if (function == &user) {
		begin_user(block);
		return;
	}
	if (pending == SYSRET) { /* even if an interrupt comes before the first block there */
		task->depth = 0;
		here = child_of(&task->user, task->root, &user);
		pending = ONWARD;
	}
	if (is_entry(block)) {
		push(kind, 0);
		enter(block, kind == EXCEPTION || kind == SYSCALL ? here : interrupt_root,
		      function);
		return;
	}
	if (is_left_early(block))
		pending = ONWARD;
	/* Another interrupt may have come before the first block after one. */
	while (pending == IRET) {
		end_interrupt(block);
		if (is_left_early(block))
			pending = ONWARD;
	}
	if (pending == CALL) {
		push(PLAIN, last->address + last->size);
		enter(last, kind == SOFTIRQS && here->group != SOFTIRQ ? softirq_root :
		      kind == KTHREAD ? (task->root = thread_root) : here, function);
	} else if (pending == RETURN) {
		end_call(block->address);
	}
	if (kind == FORKED && here->function != function)
		begin_task(block);
	if (here->function != function)
		enter(last, here->parent, function); /* a jump: the same caller */
}

static void count(struct block *block)
{
	here->self += block->insns;
	block->entered[here->group]++;
	expected = block->ending == ONWARD ? block->function : NULL;
	last = block;
}

__attribute__((noinline)) static void on_other_block(struct block *block)
{
	if (block->function != expected)
		follow(block);
	else if (block->address != rest_of(last)->target)
		take_back(last, here, block->address);
	count(block);
}

/* Most blocks follow the one before in a function, and that is told and counted fastest. */
static void on_block(unsigned int vcpu, void *data)
{
	struct block *block = data;

	(void)vcpu;
	if (__builtin_expect(block->function != expected ||
			     block->address - last->address - 1 < last->inside, 0))
		on_other_block(block);
	else
		count(block);
}

static struct task *task_of(uint64_t id)
{
	struct task **bucket = &tasks[(id >> 6) % 256], *one;

	for (one = *bucket; one != NULL; one = one->next)
		if (one->id == id)
			return one;
	one = zeroed(1, sizeof(*one));
	one->id = id;
	one->root = one->here = idle_root;
	one->next = *bucket;
	*bucket = one;
	return one;
}

static void on_switch(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
	(void)vcpu;
	(void)info;
	(void)data;
	task->here = here;
	task = task_of(address);
	here = task->here;
	last = &nothing;
	expected = here->function;
}

/* --- translation --- */

/* Where the opcode of an instruction is, behind its prefixes; its size if there is none. */
static size_t opcode_of(const unsigned char *bytes, size_t size)
{
	static const unsigned char prefixes[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64,
						  0x65, 0x66, 0xf2, 0xf3 };
	size_t at = 0;

	while (at < size && memchr(prefixes, bytes[at], sizeof(prefixes)) != NULL)
		at++;
	return at + (at < size && (bytes[at] & 0xf0) == 0x40);
}

static enum ending ending_of(const unsigned char *bytes, size_t size)
{
	size_t at = opcode_of(bytes, size);

	if (at >= size)
		return ONWARD;
	switch (bytes[at]) {
	case 0xe8:
		return CALL;
	case 0xff: /* /2 and /3 */
		return at + 1 < size && ((bytes[at + 1] >> 3 & 7) == 2 ||
					 (bytes[at + 1] >> 3 & 7) == 3) ? CALL : ONWARD;
	case 0xc2:
	case 0xc3:
		return RETURN;
	case 0xcf:
		return IRET;
	case 0x0f:
		return at + 1 < size && bytes[at + 1] == 0x07 ? SYSRET : ONWARD;
	default:
		return ONWARD;
	}
}

/* The target of a direct jump that ends at an address; 0 for any other instruction. */
static uint64_t target_of(const unsigned char *bytes, size_t size, uint64_t end)
{
	bool is_near = (size == 5 && bytes[0] == 0xe9) ||
		       (size == 6 && bytes[0] == 0x0f && (bytes[1] & 0xf0) == 0x80);
	bool is_short = size == 2 && (bytes[0] == 0xeb || (bytes[0] & 0xf0) == 0x70 ||
				      (bytes[0] & 0xfc) == 0xe0);
	int32_t far;

	if (is_short)
		return end + (uint64_t)(int64_t)(signed char)bytes[1];
	if (!is_near)
		return 0;
	memcpy(&far, bytes + size - sizeof(far), sizeof(far));
	return end + (uint64_t)(int64_t)far;
}

/* A string instruction that repeats: QEMU enters it again for each turn, which counts. */
static bool is_repeated(const unsigned char *bytes, size_t size)
{
	size_t at = opcode_of(bytes, size);

	return at + 1 == size &&
	       (memchr(bytes, 0xf2, at) != NULL || memchr(bytes, 0xf3, at) != NULL) &&
	       ((bytes[at] >= 0xa4 && bytes[at] <= 0xaf) || (bytes[at] & 0xfc) == 0x6c);
}

/* mov disp32(%rsi),%rsp: __switch_to_asm goes over to another task's stack. */
static bool is_switch(const unsigned char *bytes, size_t size)
{
	return size == 7 && bytes[0] == 0x48 && bytes[1] == 0x8b && bytes[2] == 0xa6;
}

static struct block *block_find(uint64_t address, uint64_t hash, unsigned int insns)
{
	struct block *block = blocks[bucket_of(address, hash)];

	while (block != NULL && (block->address != address || rest_of(block)->hash != hash ||
				 block->insns != insns))
		block = rest_of(block)->next;
	return block;
}

static struct block *block_make(uint64_t address, uint64_t hash, const unsigned char *sizes,
				unsigned int insns)
{
	struct block **bucket = &blocks[bucket_of(address, hash)];
	struct block *block;
	struct block_rest *rest;

	if (block_count % CHUNK == 0) {
		struct block_chunk *chunk;

		block_chunks = chunk_made(block_chunks, block_count);
		chunk = block_chunks[block_count / CHUNK];
		chunk->rests = zeroed(CHUNK, sizeof(*chunk->rests));
		for (unsigned int i = 0; i < CHANNELS; i++)
			chunk->sums[i] = zeroed(CHUNK, sizeof(*chunk->sums[i]));
	}
	block = &block_chunks[block_count / CHUNK]->blocks[block_count % CHUNK];
	block_count++;
	rest = rest_of(block);
	*block = (struct block){ .address = address, .insns = (unsigned short)insns,
				 .function = function_at(address) };
	*rest = (struct block_rest){ .next = *bucket, .hash = hash };
	*bucket = block;
	rest->sizes = zeroed(1, insns);
	memcpy(rest->sizes, sizes, insns);
	for (unsigned int i = 0; i < insns; i++)
		block->size += sizes[i];
	if (insns > 1)
		block->inside = (unsigned short)(block->size - 1);
	return block;
}

/* From an instruction of a block to its end.  Its bytes are those of the block. */
static struct block *tail_of(const struct block *block, size_t first)
{
	const struct block_rest *rest = rest_of(block);
	uint64_t address = block->address;
	unsigned int insns = (unsigned int)(block->insns - first);
	struct block *tail;

	for (size_t i = 0; i < first; i++)
		address += rest->sizes[i];
	tail = block_find(address, rest->hash, insns);
	return tail != NULL ? tail : block_make(address, rest->hash, rest->sizes + first, insns);
}

void plugin_block(struct qemu_plugin_tb *tb, size_t insns)
{
	uint64_t address = qemu_plugin_tb_vaddr(tb), hash = UINT64_C(0xcbf29ce484222325);
	size_t size = 0;
	unsigned char bytes[INSN_MOST], sizes[LONGEST];
	struct block *block;

	if (insns > LONGEST)
		insns = LONGEST;
	for (size_t i = 0; i < insns; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		size = insn_bytes(insn, bytes, sizeof(bytes));
		sizes[i] = (unsigned char)size;
		for (size_t j = 0; j < size; j++)
			hash = (hash ^ bytes[j]) * UINT64_C(0x100000001b3);
		/* Not QEMU_PLUGIN_MEM_R: QEMU 7.2 takes that for stores.  It only loads. */
		if (is_switch(bytes, size) && address >= USER_END)
			qemu_plugin_register_vcpu_mem_cb(insn, on_switch, QEMU_PLUGIN_CB_NO_REGS,
							 QEMU_PLUGIN_MEM_RW, NULL);
	}
	block = block_find(address, hash, (unsigned int)insns);
	if (block == NULL)
		block = block_make(address, hash, sizes, (unsigned int)insns);
	if (block->function != &user && insns > 0)
		block->ending = (unsigned char)ending_of(bytes, size);
	if (insns > 1 && is_repeated(bytes, size))
		block->inside = (unsigned short)(block->size - size - 1);
	rest_of(block)->target = target_of(bytes, size, block->address + block->size);
	qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS, block);
}

/* --- marks --- */

static void add(int64_t *sum, int64_t count, enum operation operation)
{
	*sum = operation == CLEAR ? 0 : operation == BEGIN ? *sum - count : *sum + count;
}

static void add_all(unsigned int channel, enum operation operation)
{
	for (unsigned int i = 0; i < block_count; i++) {
		struct block_chunk *chunk = block_chunks[i / CHUNK];

		for (unsigned int j = 0; j < GROUPS; j++)
			add(&chunk->sums[channel][i % CHUNK][j],
			    chunk->blocks[i % CHUNK].entered[j], operation);
	}
	for (unsigned int i = 0; i < node_count; i++) {
		struct node_chunk *chunk = node_chunks[i / CHUNK];

		add(&chunk->self[channel][i % CHUNK], chunk->nodes[i % CHUNK].self, operation);
		add(&chunk->calls[channel][i % CHUNK], chunk->nodes[i % CHUNK].calls, operation);
	}
}

static void say_block(const struct block *block)
{
	struct block_rest *rest = rest_of(block);
	char sizes[LONGEST + 1];

	for (unsigned int i = 0; i < block->insns; i++)
		sizes[i] = "0123456789abcdef"[rest->sizes[i] & 15];
	sizes[block->insns] = '\0';
	rest->id = ++said_count;
	say("b %u %" PRIx64 " %" PRIx64 " %" PRIx64 " %s\n", rest->id, block->function->address,
	    block->address, rest->hash, sizes);
}

static void say_node(struct node *node)
{
	bool is_root = node->parent == node;

	if (node->written)
		return;
	if (!is_root)
		say_node(node->parent);
	node->written = true;
	say("n %u %u %" PRIx64 "\n", node->id, is_root ? 0 : node->parent->id,
	    node->function != NULL ? node->function->address : 0);
}

static void put_block(const struct block *block, const int64_t times[GROUPS])
{
	if (block->function == &user ||
	    (times[WORK] | times[INTERRUPTS] | times[SOFTIRQ] | times[OTHERS]) == 0)
		return;
	if (rest_of(block)->id == 0)
		say_block(block);
	say("x %u %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 "\n", rest_of(block)->id,
	    times[WORK], times[INTERRUPTS], times[SOFTIRQ], times[OTHERS]);
}

static void put_node(struct node *node, int64_t self, int64_t calls)
{
	if (self == 0 && calls == 0)
		return;
	say_node(node);
	say("t %u %" PRId64 " %" PRId64 "\n", node->id, self, calls);
}

static void put(unsigned int channel, unsigned int line)
{
	int64_t total = 0;

	if (!channels[channel].changed && channels[channel].line > 0) {
		say("s %u %u\n", line, channels[channel].line);
		flush();
		return;
	}
	for (unsigned int i = 0; i < node_count; i++)
		total += node_chunks[i / CHUNK]->self[channel][i % CHUNK];
	say("p %u %u %" PRId64 "\n", line, channel, total);
	for (unsigned int i = 0; i < block_count; i++) {
		struct block_chunk *chunk = block_chunks[i / CHUNK];

		put_block(&chunk->blocks[i % CHUNK], chunk->sums[channel][i % CHUNK]);
	}
	for (unsigned int i = 0; i < node_count; i++) {
		struct node_chunk *chunk = node_chunks[i / CHUNK];

		put_node(&chunk->nodes[i % CHUNK], chunk->self[channel][i % CHUNK],
			 chunk->calls[channel][i % CHUNK]);
	}
	say("e %u\n", line);
	flush();
	channels[channel].changed = false;
	channels[channel].line = line;
}

void plugin_mark(enum operation operation, unsigned int channel, unsigned int line)
{
	working = true;
	if (task->root != work_root) {
		task->root = work_root;
		here = child_found(work_root, here->function);
	}
	if (operation == PUT) {
		put(channel, line);
		return;
	}
	channels[channel].changed = true;
	channels[channel].open = operation == BEGIN;
	add_all(channel, operation);
}

/* Whatever ended the guest: what was begun and has no end is put as line 0. */
static void on_end(qemu_plugin_id_t id, void *data)
{
	(void)id;
	(void)data;
	for (unsigned int channel = 0; channel < CHANNELS; channel++) {
		if (!channels[channel].open)
			continue;
		add_all(channel, END);
		put(channel, 0);
	}
}

/* --- arguments --- */

static const char *functions_path;

bool plugin_option(const char *key, const char *value)
{
	functions_path = value;
	return strcmp(key, "functions") == 0;
}

bool plugin_start(qemu_plugin_id_t id, const qemu_info_t *info)
{
	if (functions_path == NULL) {
		fprintf(stderr, "profile: wants %s\n", plugin_usage);
		return false;
	}
	if (info->system.smp_vcpus > 1) {
		fprintf(stderr, "profile: counts one vCPU, and this machine has %d\n",
			info->system.smp_vcpus);
		return false;
	}
	if (!read_functions(functions_path))
		return false;
	user.whole = &user;
	unknown.whole = &unknown;
	work_root = node_make(NULL, NULL, WORK);
	interrupt_root = node_make(NULL, NULL, INTERRUPTS);
	softirq_root = node_make(NULL, NULL, SOFTIRQ);
	user_root = node_make(NULL, NULL, OTHERS);
	thread_root = node_make(NULL, NULL, OTHERS);
	idle_root = node_make(NULL, NULL, OTHERS);
	task = task_of(0);
	here = task->here;
	qemu_plugin_register_atexit_cb(id, on_end, NULL);
	say("profile 1\n");
	flush();
	return true;
}
