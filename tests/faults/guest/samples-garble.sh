#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Random bytes behind the sampler's own, among them what looks like a record's begin.
port=/dev/virtio-ports/harness.samples
kill -KILL $(pidof sampler)
sleep 1
{
	echo '@sample 1 2'
	head -c 1000000 /dev/urandom
	echo '@file /proc/vmstat 99999999999'
} >"$port"
echo '{"type":"done"}'
