#!/bin/sh
# Makes .venv with locked versions and installs missing system packages. As root it installs them through apt.
# Otherwise it names them with the line to type, and ends with 2 where nothing would work without them.
#   sh scripts/setup.sh station    what an inspecting station needs: no torch
#   sh scripts/setup.sh dev        the same, plus training and tests
set -eu
kind=${1:?usage: setup.sh station|dev}
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
lock=requirements/$kind.txt
stamp=.venv/.set-up-$kind

window_packages="libgl1 libegl1 libglib2.0-0 libdbus-1-3 libfontconfig1 libxkbcommon0
libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-shape0 libxkbcommon-x11-0 fonts-dejavu-core"

is_installed() {
    # t64: how later Debian and Ubuntu call the library packages that changed with the 64-bit time
    dpkg-query -W -f='${Status}\n' "$1" "$1t64" 2>/dev/null | grep -q 'install ok installed'
}

has_compiler() {
    command -v cc >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1
}

find_missing_packages() {
    optional="" # without them the window or the simulated camera is missing, and the rest works
    needed=""   # without them nothing works
    for package in $window_packages; do
        is_installed "$package" || optional="$optional $package"
    done
    has_compiler || optional="$optional gcc libc6-dev"
    "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 || needed="$needed python3-venv"
    package=$("$python" -B -m drivers.system_libraries --package)
    [ -z "$package" ] || needed="$needed $package"
}

install_packages() {
    echo "setup: installing system packages:$needed$optional"
    apt-get update -qq
    # shellcheck disable=SC2086 # lists of names on purpose
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $needed $optional >/dev/null || {
        echo "setup: apt-get could not install them; see its message above" >&2
        exit 2
    }
}

name_packages() {
    if [ -n "$needed" ]; then
        echo "setup: stopped before anything was set up: Facet cannot run here without$needed" >&2
        echo "setup: ask an administrator to type this line, then run make again:" >&2
    else
        echo "setup: these system packages are missing; without them the operator's window or the simulated camera" >&2
        echo "setup: does not work. The line to type:" >&2
    fi
    echo "    sudo apt-get install --no-install-recommends$needed$optional" >&2
    [ -z "$needed" ] || exit 2
}

install_system_packages() {
    if ! command -v dpkg-query >/dev/null 2>&1; then
        has_compiler || echo "setup: no C compiler (cc or gcc) was found: without one the simulated camera cannot be built" >&2
        return 0
    fi
    find_missing_packages
    [ -n "$needed$optional" ] || return 0
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        install_packages
    else
        name_packages
    fi
}

if ! command -v "$python" >/dev/null 2>&1; then
    echo "setup: $python was not found; install Python 3.11 to 3.13, or run make PYTHON=/path/to/python3" >&2
    exit 2
fi
if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'; then
    echo "setup: $("$python" --version) was found; Facet needs 3.11, 3.12 or 3.13: run make PYTHON=/path/to/python3.11" >&2
    exit 2
fi
# The stamp names what was set up and from what; a change in any of these files sets up again.
wanted=$(cat "$lock" pyproject.toml setup.py scripts/setup.sh $(find drivers/simulated/simcam -name '*.[ch]') | cksum)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
    exit 0
fi
install_system_packages
"$python" -B -m drivers.system_libraries || exit 2
[ -x .venv/bin/python ] || "$python" -m venv .venv
echo "setup: installing locked Python packages ($lock); the first time loads some hundred megabytes, in minutes"
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$lock"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
echo "setup: station check"
.venv/bin/station check || echo "setup: what is marked MISSING above does not work here; everything else does" >&2
echo "$wanted" >"$stamp"
