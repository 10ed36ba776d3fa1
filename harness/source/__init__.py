# SPDX-License-Identifier: GPL-2.0-only
"""Where a kernel tree comes from: Debian, git, a tarball or a folder, each a commit in one store.

It must not know of patch series, configurations or guests.
"""
