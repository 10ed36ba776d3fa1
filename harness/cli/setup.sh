#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# setup.sh VENV REQUIREMENTS: bring this machine to where the harness can work.
#
# Debian packages (harness/cli/packages.yaml) are installed when root or a sudo that
# asks no password allows; otherwise the one line to run is printed and nothing
# is changed (SETUP_PACKAGES=no leaves packages alone).  Then a virtual
# environment with the pinned Python packages.
set -eu
venv=$1 requirements=$2
here=$(dirname "$0")
PATH=$PATH:/usr/sbin:/sbin

python_ok() { python3 -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null; }

# Root makes the guest's image without the tools that a user needs for it.
[ "$(id -u)" = 0 ] && skip='when: user' || skip='^#'
# What only a test needs is there where that test asks for it (SETUP_WHEN=clusters).
[ "${SETUP_WHEN:-}" = clusters ] && tests='^#' || tests='when: clusters'

missing() {
	grep -v -e "$skip" -e "$tests" "$here/packages.yaml" |
	sed -n 's/^\([a-z0-9.+-]*\): *{\([a-z]*\): *\([^,}]*\).*/\1 \2 \3/p' |
	while read -r package how what; do
		case $how in
		command) command -v "$what" >/dev/null 2>&1 ;;
		file) [ -e "$what" ] ;;
		python) python3 -c "import $what" 2>/dev/null ;;
		esac || printf '%s ' "$package"
	done
}

lacking=$(missing)
command -v python3 >/dev/null 2>&1 || lacking="python3 $lacking"
if [ -n "$lacking" ] && [ "${SETUP_PACKAGES:-yes}" = yes ]; then
	install="apt-get install -y --no-install-recommends $lacking"
	quiet="-qq -o Dpkg::Use-Pty=0"
	if ! command -v apt-get >/dev/null 2>&1; then
		echo "setup: this is no Debian system; install what these packages hold: $lacking" >&2
		exit 6
	elif [ "$(id -u)" = 0 ]; then
		sudo=
	elif sudo -n true 2>/dev/null; then
		sudo="sudo -n"
	else
		echo "setup: packages are missing and this user may not install them; run as root:" >&2
		echo "    $install" >&2
		exit 6
	fi
	echo "setup: $install" >&2
	# Lists may be old or absent; a package gone from the mirror would fail the install.
	$sudo apt-get update -qq || echo "setup: apt-get update failed; trying with the old lists" >&2
	# shellcheck disable=SC2086
	$sudo env DEBIAN_FRONTEND=noninteractive $install $quiet >&2
fi
if ! python_ok; then
	echo "setup: Python 3.11 or newer is needed; this is $(python3 --version 2>&1)" >&2
	exit 6
fi

stamp="$venv/.installed-$(basename "$requirements")"
want=$(cat "$requirements" | sha256sum)
if [ "$(cat "$stamp" 2>/dev/null)" != "$want" ]; then
	echo "setup: python packages of $requirements into $venv" >&2
	if ! "$venv/bin/pip" --version >/dev/null 2>&1; then
		rm -f "$venv"/.installed-*
		python3 -m venv --clear "$venv"
	fi
	"$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes \
		-r "$requirements" >&2
	echo "$want" >"$stamp"
fi
