#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
exec /opt/harness/bin/crash --how=panic
