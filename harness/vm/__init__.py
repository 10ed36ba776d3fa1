# SPDX-License-Identifier: GPL-2.0-only
"""One guest: accelerator, QEMU's command line, SSH, the watch over its console, one boot's folder.

It must not know why a boot is made or what other boots there are.
"""
