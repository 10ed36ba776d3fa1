#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# More than is fetched, and more than the guest's tmpfs holds.
yes '{"type":"nonsense","text":"nobody will read this line, nor any of those that follow"}' |
	head -c 1073741824
echo '{"type":"done"}'
exit 0
