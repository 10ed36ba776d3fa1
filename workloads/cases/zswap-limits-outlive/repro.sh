#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# A cgroup has limits for zswap.  The memory controller is taken away from it and given back, while
# the io controller, which needs it, holds on to it.  Are the limits gone?
set -eu
top=/sys/fs/cgroup
outer=$top/outer inner=$top/outer/inner

grep -qw io "$top/cgroup.controllers" || { echo "this kernel has no io controller" >&2; exit 1; }
echo "+memory +io" >"$top/cgroup.subtree_control"
mkdir "$outer" "$inner"
echo "+memory +io" >"$outer/cgroup.subtree_control"
echo 16384 >"$inner/memory.zswap.max"
echo 0 >"$inner/memory.zswap.writeback"
echo 1048576 >"$inner/memory.swap.max"

echo "-memory" >"$outer/cgroup.subtree_control"
[ ! -e "$inner/memory.zswap.max" ] || { echo "the controller is still there" >&2; exit 1; }
echo "+memory" >"$outer/cgroup.subtree_control"

kept=0
[ "$(cat "$inner/memory.zswap.max")" = max ] || kept=$((kept + 1))
[ "$(cat "$inner/memory.zswap.writeback")" = 1 ] || kept=$((kept + 1))
swap_kept=0
[ "$(cat "$inner/memory.swap.max")" = max ] || swap_kept=1
rmdir "$inner" "$outer"
echo "zswap_kept $kept settings"
echo "swap_kept $swap_kept settings"
