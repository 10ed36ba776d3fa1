/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What all plugins share (plugin.c): arguments, the output file, the workload's marks, and what
 * differs between versions of QEMU's interface.  A plugin defines what is declared last here.
 */
#ifndef PLUGIN_H
#define PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qemu-plugin.h"

#define CHANNELS 4u /* workloads/common/workload.h has their names */
#define INSN_MOST 16u /* bytes */
#define KERNEL UINT64_C(0xff00000000000000) /* addresses from here on are the kernel's */

/* What a mark asks for: clear a channel's sum, begin or end a stretch of it, or write it out. */
enum operation { CLEAR, BEGIN, END, PUT, OPERATIONS };

/* Memory that is all zero.  Without any QEMU ends. */
void *zeroed(size_t count, size_t size);

/* Append to the output file at once.  What is lost is said on stderr, and is missing there. */
void out_write(const void *bytes, size_t size);

/* The first bytes of an instruction, at most size; returns how many. */
size_t insn_bytes(const struct qemu_plugin_insn *insn, unsigned char *bytes, size_t size);

/* Count a block's instructions whenever it is entered; and how many that made so far. */
void executed_add(struct qemu_plugin_tb *tb, size_t insns);
uint64_t executed(void);

/* --- what each plugin defines --- */

extern const char plugin_name[];
extern const char plugin_usage[]; /* after "wants" */

/* An argument other than out=FILE; false if there is none of that name. */
bool plugin_option(const char *key, const char *value);

/* After the arguments; false ends QEMU, and the plugin has said why. */
bool plugin_start(qemu_plugin_id_t id, const qemu_info_t *info);

/*
 * Whether nothing before the first mark matters.  Then the blocks that are translated before it,
 * but for those that have marks, are left as they are and run at QEMU's full speed.
 */
extern const bool plugin_from_first_mark;

/* Before any mark in it can be executed.  insns: how many instructions it has. */
void plugin_block(struct qemu_plugin_tb *tb, size_t insns);

/* A mark is executed.  line numbers the PUTs, from 1, as the workload's output does. */
void plugin_mark(enum operation operation, unsigned int channel, unsigned int line);

#endif
