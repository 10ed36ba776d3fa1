/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * To which data structure of the guest's kernel an address belongs, read from the guest's memory
 * at that moment; the guest does nothing for it.
 *
 * No debug information has the layouts, so they are learned from known answers: the list
 * slab_caches has an entry of the name "kmem_cache" at the address that the pointer kmem_cache
 * has; the page of that object has a word with that pointer; and so on.  All other slab caches
 * must then fit, or nothing is known.  Of struct page the flags (0), mapping (24), page_type (48)
 * and memcg_data (56) are where they have been since Linux 5.16.
 *
 * They are learned when something is asked for the first time: not before the kernel is up.
 * Memory up to 2 GiB is known.  The kernel is not moved (no KASLR), and this is one CPU's.
 */
#ifndef KERNELDATA_H
#define KERNELDATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum data_kind {
	DATA_UNKNOWN,	  /* nothing could be told */
	DATA_UNTYPED,	  /* a page that says nothing of itself: just allocated, a buffer */
	DATA_USER,	  /* by an address of user space */
	DATA_CODE,	  /* fetches of the kernel's instructions */
	DATA_IMAGE,	  /* static data; value: the symbol */
	DATA_PERCPU,	  /* static per-CPU data; value: the symbol */
	DATA_PERCPU_MORE, /* allocated per-CPU data of the first chunk */
	DATA_STRUCT_PAGE,
	DATA_SLAB,	/* value: the slab cache */
	DATA_KMALLOC,	/* a large kmalloc() */
	DATA_VMALLOC,	/* value: who called vmalloc(), 0 if not known */
	DATA_ZSMALLOC,
	DATA_TABLE,	/* a page table */
	DATA_ANON,	/* contents of pages: anonymous, of files, of neither yet */
	DATA_FILE,
	DATA_CHARGED,
	DATA_KERNEL,	/* a page of the kernel that is charged to a memory cgroup */
	DATA_BOOT,	/* reserved or allocated while the kernel booted */
	DATA_FREE,
	DATA_ENTRY,	/* the CPU's entry area */
	DATA_KINDS
};

/*
 * offset: from the symbol, in the slab object or struct page, or from the begin of the vmalloc
 *         area; else 0
 * serial: tells slab caches apart that had the same address one after the other
 */
struct kernel_data {
	enum data_kind kind;
	uint64_t value, serial, offset;
};

/*
 * A line of the plugin's file: "data <address>" for each symbol of data, in ascending order, and
 * "symbol <name> <address>"; false for another.
 */
bool kernel_data_line(const char *line);

/* Where this process has the guest's physical address 0. */
void kernel_data_ram(uintptr_t host);

/* A few bytes of the kernel's memory, all in one page; false where it is not known. */
bool kernel_data_read(uint64_t virtual, void *to, size_t size);

/* Of an access to kernel memory. */
struct kernel_data kernel_data_at(uint64_t virtual, uint64_t physical);

/* Of an address of the kernel, by its page tables. */
struct kernel_data kernel_data_of(uint64_t virtual);

/* One word for it without its offset: "slab:NAME", "image:ADDRESS", "anon", ... */
#define DATA_WORD 64u
void kernel_data_word(const struct kernel_data *data, char word[DATA_WORD]);

#endif
