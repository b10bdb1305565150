#!/bin/sh
# Proves that a bare Debian 12 (about 130 packages) runs the commands of the README: a habit before each release.
# Needs root, debootstrap, git and util-linux's unshare. Each proof gets a fresh system, made from one tarball, in which
# the current commit is cloned. Mounts live in a namespace of their own and end with it.
#
#   scripts/check_bare.sh [--cache FOLDER] [--keep] [PROOF ...]
#
#   demo      make demo, as root
#   console   make console on a virtual screen (of a system beside it): the window opens; writes its picture
#   user      make demo as a user without root: first the missing packages are named, then, installed, it works
#   test      make test, as root; the longest
#
# Without a PROOF all four run. The tarball stays in FOLDER (or $FACET_BARE_CACHE) for the next time; logs and the
# window's picture go to out/bare. $FACET_BARE_MIRROR names another Debian mirror, $FACET_BARE_WORK a folder for the
# systems (some gigabytes). pip's configuration of this machine holds inside too, with the local folders that it names.
set -eu

mirror=${FACET_BARE_MIRROR:-http://deb.debian.org/debian}
base_packages=ca-certificates,make,python3,git
user=inspector
user_id=1000

# ---- inside a namespace: mounts, then the command ------------------------------------------------------------------

enter_root() { # ROOT USER COMMAND; runs alone in its namespaces, so nothing is unmounted by hand
    root=$1
    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$root/dev/pts"
    mount --bind "$root/dev/pts/ptmx" "$root/dev/ptmx"
    mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
    if [ -d "$root/../x11" ]; then
        mkdir -p "$root/tmp/.X11-unix"
        mount --bind "$root/../x11" "$root/tmp/.X11-unix"
    fi
    while read -r folder; do
        mkdir -p "$root$folder"
        mount --bind -o ro "$folder" "$root$folder"
    done <"$root/../local-folders"
    home=/root spec=0:0
    [ "$2" = root ] || home=/home/$user spec=$user_id:$user_id
    exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME="$home" LANG=C.UTF-8 \
        sh -c '. "$1/../environment"; exec chroot --userspec="$2" "$1" sh -c "cd; $3"' - "$root" "$spec" "$3"
}

if [ "${1:-}" = --inside ]; then
    shift
    enter_root "$@"
fi

# ---- a fresh system ------------------------------------------------------------------------------------------------

make_tarball() { # FILE PACKAGES
    [ -f "$1" ] && return 0
    debootstrap --variant=minbase --include="$2" bookworm "$work/new" "$mirror" >"$logs/debootstrap.log" 2>&1 ||
        stop "debootstrap failed: see $logs/debootstrap.log"
    tar -C "$work/new" -cf "$1.part" . && mv "$1.part" "$1"
    rm -rf --one-file-system "$work/new"
}

fresh_root() { # NAME; sets $root
    root=$work/$1
    mkdir -p "$root"
    tar -C "$root" -xpf "$tarball"
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    chroot "$root" useradd --create-home --uid $user_id $user
    give_pip_configuration
    for home in root home/$user; do
        git clone -q --no-local "$repository" "$root/$home/facet"
        git -C "$root/$home/facet" checkout -q --detach "$commit"
    done
    chown -R $user_id:$user_id "$root/home/$user"
}

give_pip_configuration() {
    for place in /etc/pip.conf /etc/xdg/pip; do
        [ ! -e "$place" ] || { mkdir -p "$root$(dirname "$place")" && cp -rL "$place" "$root$place"; }
    done
    for file in "$HOME/.pip/pip.conf" "$HOME/.config/pip/pip.conf"; do
        for home in root home/$user; do
            [ ! -f "$file" ] || { mkdir -p "$root/$home/.config/pip" && cp "$file" "$root/$home/.config/pip/pip.conf"; }
        done
    done
    if ls /usr/local/share/ca-certificates/*.crt >/dev/null 2>&1; then
        cp /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/"
        chroot "$root" update-ca-certificates >/dev/null 2>&1
    fi
}

write_environment() { # what pip and apt need of this machine's environment, and the folders that pip's settings name
    env | grep -E '^(PIP_[A-Z_]*|https?_proxy|HTTPS?_PROXY|no_proxy|NO_PROXY|SSL_CERT_FILE|REQUESTS_CA_BUNDLE)=' |
        sed "s/'/'\\\\''/g; s/=\(.*\)/='\1'/; s/^/export /" >"$work/environment"
    cat "$work/environment" /etc/pip.conf /etc/xdg/pip/pip.conf "$HOME/.pip/pip.conf" "$HOME/.config/pip/pip.conf" 2>/dev/null |
        grep -oE "(file://|[ =':])/[^ ']+" | sed -E "s#^(file://|[ =':])##; s#/simple/?\$##" | sort -u |
        while read -r place; do [ ! -d "$place" ] || echo "$place"; done >"$work/local-folders"
}

become() { # USER COMMAND in $root; behind `&` the process to end is this one, and its namespace ends with it
    exec unshare --mount --pid --fork --kill-child sh "$self" --inside "$root" "$1" "$2"
}

run() { # USER COMMAND in $root
    (become "$1" "$2")
}

# ---- the proofs ----------------------------------------------------------------------------------------------------

prove_demo() {
    run root 'make -C facet demo' && ! grep -q Traceback "$log"
}

prove_test() {
    run root 'make -C facet test'
}

prove_user() {
    echo "-- without the packages: make must name them and end"
    if run $user 'make -C facet demo' >"$work/refusal" 2>&1; then
        cat "$work/refusal"
        echo "make demo ended well although packages are missing"
        return 1
    fi
    cat "$work/refusal"
    ! grep -q Traceback "$work/refusal" || return 1
    line=$(grep -E '^ *sudo apt-get install ' "$work/refusal") || return 1
    echo "-- the line that was named, typed by root"
    run root "apt-get update -qq && DEBIAN_FRONTEND=noninteractive ${line#*sudo } -y -qq >/dev/null" || return 1
    echo "-- the same command again"
    run $user 'make -C facet demo' && ! grep -q Traceback "$log"
}

prove_console() {
    start_screen || return 1
    become root "DISPLAY=:$display make -C facet console" &
    console=$!
    waited_s=0
    until screen_shows_window; do
        kill -0 $console 2>/dev/null || { echo "make console ended before a window was there"; return 1; }
        [ $waited_s -lt 1800 ] || { echo "no window within 1800 s"; return 1; }
        sleep 5
        waited_s=$((waited_s + 5))
    done
    sleep 20 # lets the window draw what it shows at rest
    run_on_screen "xwininfo -root -tree" | grep -i facet
    take_picture && kill -0 $console
}

end_processes() { # of prove_console; each takes its whole namespace with it. unshare heeds no politer signal
    [ -z "$console" ] || kill -KILL $console 2>/dev/null || echo "make console had ended already"
    [ -z "$screen" ] || kill -KILL $screen 2>/dev/null || echo "the screen had ended already"
    console="" screen=""
}

start_screen() { # a system of its own: the packages of a screen must not be what makes the window open
    bare=$root
    root=$work/screen
    mkdir -p "$root" "$work/x11"
    chmod 1777 "$work/x11"
    tar -C "$root" -xpf "$tarball"
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    run root "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends xvfb x11-utils x11-apps >/dev/null" || return 1
    display=77
    become root "exec Xvfb :$display -screen 0 1920x1080x24 -nolisten tcp" &
    screen=$!
    root=$bare
}

run_on_screen() {
    (root=$work/screen && run root "DISPLAY=:$display $1")
}

screen_shows_window() {
    run_on_screen "xwininfo -root -tree" 2>/dev/null | grep -qi facet
}

take_picture() {
    run_on_screen "xwd -root -silent" >"$bare/root/screen.xwd"
    run root "facet/.venv/bin/python facet/scripts/xwd_to_png.py screen.xwd screen.png" && cp "$bare/root/screen.png" "$logs/console.png"
}

prove() { # NAME
    log=$logs/$1.log
    began=$(date +%s)
    fresh_root "$1"
    packages=$(chroot "$root" dpkg-query -f '.\n' -W | wc -l)
    if "prove_$1" >"$log" 2>&1; then result=PASS; else result=FAIL; failed=1; fi
    end_processes >>"$log"
    [ $result = PASS ] || tail -n 30 "$log"
    echo "$result $1: $(($(date +%s) - began)) s, on $packages packages, log $log"
    [ -n "$keep" ] || rm -rf --one-file-system "$root" "$work/screen"
}

# ---- arguments -----------------------------------------------------------------------------------------------------

stop() {
    echo "check_bare: $1" >&2
    exit 2
}

self=$(realpath "$0")
cd "$(dirname "$0")/.."
repository=$(pwd)
logs=$repository/out/bare
cache=${FACET_BARE_CACHE:-}
keep="" proofs="" failed=0 console="" screen=""
while [ $# -gt 0 ]; do
    case $1 in
    --cache) cache=${2:?--cache needs a folder} && shift ;;
    --keep) keep=yes ;;
    demo | console | user | test) proofs="$proofs $1" ;;
    *) stop "unknown argument $1: see the head of this file" ;;
    esac
    shift
done
[ "$(id -u)" = 0 ] || stop "needs root, for debootstrap and chroot"
for tool in debootstrap unshare git tar; do
    command -v $tool >/dev/null 2>&1 || stop "$tool was not found: apt-get install debootstrap util-linux git tar"
done
commit=$(git rev-parse HEAD)
[ -z "$(git status --porcelain)" ] || echo "check_bare: uncommitted changes are not part of what is checked" >&2
mkdir -p "$logs"
work=$(mktemp -d "${FACET_BARE_WORK:-${TMPDIR:-/tmp}}/facet-bare.XXXXXX")
trap 'end_processes; [ -n "$keep" ] || rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT TERM
[ -n "$cache" ] || cache=$work
mkdir -p "$cache"
tarball=$(realpath "$cache")/bookworm-minbase.tar
write_environment
make_tarball "$tarball" "$base_packages"
echo "check_bare: commit $commit"
for proof in ${proofs:-demo console user test}; do
    prove "$proof"
done
exit $failed
