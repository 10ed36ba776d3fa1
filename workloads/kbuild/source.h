/* SPDX-License-Identifier: GPL-2.0-only */
/* C sources, the same bytes for the same numbers, to have something to compile. */
#ifndef KBUILD_SOURCE_H
#define KBUILD_SOURCE_H

#include <stdint.h>

/* Write a file of so many functions, each some 25 lines; what they compute is of no use. */
void source_write(const char *path, uint64_t functions, uint64_t seed);

#endif
