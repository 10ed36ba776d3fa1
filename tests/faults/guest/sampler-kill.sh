#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The workload's next mark finds nobody.
kill -KILL $(pidof sampler)
exec /opt/harness/bin/crash --how=corrupt
