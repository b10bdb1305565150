#!/bin/sh
# Checks that a Windows compiler accepts the simulated camera's C sources: cross-compiles them with zig and looks at
# the result. Nothing is installed into the station's environment. It is not part of CI, because zig is a download of
# about 100 MB and its first build compiles the target's C library, which takes minutes.
#
#   scripts/check_windows_build.sh [TARGET [FOLDER]]    x86_64-windows-gnu unless given; FOLDER keeps zig for next time
set -eu
cd "$(dirname "$0")/.."
target="${1:-x86_64-windows-gnu}"
python="${PYTHON:-.venv/bin/python}"
if [ $# -ge 2 ]; then
    work="$2"
    mkdir -p "$work"
else
    work="$(mktemp -d)"
    trap 'rm -rf "$work"' EXIT INT TERM
fi
[ -d "$work/zig/ziglang" ] || "$python" -m pip install -q --target "$work/zig" ziglang
libraries="-lpthread -lm"
case "$target" in *windows*) libraries="-lws2_32" ;; esac
# shellcheck disable=SC2086 - the libraries are words
ZIG_GLOBAL_CACHE_DIR="$work/cache" PYTHONPATH="$work/zig" "$python" -m ziglang cc -target "$target" \
    -shared -std=c11 -O2 -Wall -Wextra -Werror -fvisibility=hidden \
    -o "$work/simcam.cti" drivers/simulated/simcam/*.c $libraries
"$python" - "$work/simcam.cti" "$target" <<'PYTHON'
import sys
from pathlib import Path

binary, target = Path(sys.argv[1]).read_bytes(), sys.argv[2]
kinds = {b"MZ": "Windows DLL", b"\x7fE": "ELF library", b"\xcf\xfa": "Mach-O library"}
kind = kinds.get(binary[:2], f"unknown ({binary[:4]!r})")
missing = [name for name in (b"GCInitLib", b"TLOpen", b"IFOpenDevice", b"DevOpenDataStream") if name not in binary]
print(f"{target}: {kind}, {len(binary)} bytes")
if missing or ("windows" in target) != (kind == "Windows DLL"):
    sys.exit(f"not a GenTL producer for {target}; names that it lacks: {missing}")
PYTHON
