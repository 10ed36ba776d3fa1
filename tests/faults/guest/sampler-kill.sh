#!/bin/sh
# The workload's next mark finds nobody.
kill -KILL $(pidof sampler)
exec /opt/harness/bin/crash --how=corrupt
