#!/bin/sh
# Makes .venv with locked versions and installs missing system packages. As root it installs them through apt;
# otherwise it names them and goes on as far as it can.
#   sh scripts/setup.sh station    what an inspecting station needs: no torch
#   sh scripts/setup.sh dev        the same, plus training and tests
set -eu
kind=${1:?usage: setup.sh station|dev}
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
lock=requirements/$kind.txt
stamp=.venv/.set-up-$kind

system_packages="libgl1 libegl1 libglib2.0-0 libdbus-1-3 libfontconfig1 libxkbcommon0
libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-shape0 libxkbcommon-x11-0 fonts-dejavu-core"

missing_packages() {
    missing=""
    for package in $system_packages; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
    done
    command -v cc >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
    "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 || missing="$missing python3-venv"
    echo "$missing"
}

install_system_packages() {
    if ! command -v dpkg-query >/dev/null 2>&1; then
        command -v cc >/dev/null 2>&1 || echo "setup: no C compiler (cc or gcc) was found: without one the simulated camera cannot be built" >&2
        return 0
    fi
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "setup: installing system packages:$missing"
        apt-get update -qq
        # shellcheck disable=SC2086 # a list of names on purpose
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
    else
        echo "setup: these system packages are missing; without them the console or the simulated camera" >&2
        echo "setup: may not work. Install them with:  sudo apt-get install$missing" >&2
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
[ -x .venv/bin/python ] || "$python" -m venv .venv
echo "setup: installing locked Python packages ($lock)"
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$lock"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
if ! ls drivers/simulated/simcam/*.cti >/dev/null 2>&1; then
    echo "setup: the simulated camera was not built (no C compiler?); \`station check\` says what to do" >&2
fi
echo "$wanted" >"$stamp"
