/* SPDX-License-Identifier: GPL-2.0-only */
/* A connection to a redis server over its socket: two commands, spoken in RESP. */
#ifndef REDIS_CLIENT_H
#define REDIS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The keys of redis-benchmark: "key:" and twelve digits. */
#define CLIENT_KEY_BYTES 16

bool client_connect(const char *path); /* false: nobody listens yet */
/* These die when the server says anything but what it should. */
void client_set(uint64_t key, const void *value, size_t bytes);
void client_get(uint64_t key, void *value, size_t bytes);

#endif
