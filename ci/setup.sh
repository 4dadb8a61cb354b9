# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by the other scripts: makes .venv/ and installs the host packages that are missing.
# Safe to repeat, to interrupt, and to run from several scripts at once.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# A run of the tests starts hundreds of processes: each would compile Seabus, and its libraries, anew.
unset PYTHONDONTWRITEBYTECODE

say() { printf '[setup] %s\n' "$*" >&2; }
die() { printf 'seabus: %s\n  try: %s\n' "$1" "$2" >&2; exit 3; }

find_python() {
    local name
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$name" >/dev/null &&
            "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    die "there is no Python 3.11 or later" "sudo apt-get install python3.11 python3.11-venv"
}

# The packages whose programs or modules are not there, one a line; for `dev`, and for `fuzz`, which is more.
missing_packages() {
    if [ "${1:-}" = fuzz ]; then # the agent's reader in C, driven by libFuzzer
        command -v clang >/dev/null || echo clang
        ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a >/dev/null 2>&1 || echo libclang-rt-dev
        set -- dev
    fi
    command -v mmdebstrap >/dev/null || echo mmdebstrap
    command -v setpriv >/dev/null || echo util-linux
    [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || echo debian-archive-keyring
    if [ "$(uname -m)" = aarch64 ]; then
        command -v gcc >/dev/null || echo gcc
        [ -e /usr/lib/aarch64-linux-gnu/libc.a ] || echo libc6-dev
    else
        command -v aarch64-linux-gnu-gcc >/dev/null || echo gcc-aarch64-linux-gnu
        [ -e /usr/aarch64-linux-gnu/lib/libc.a ] || echo libc6-dev-arm64-cross
        if [ "${1:-}" = dev ]; then # the agent's tests run it natively, under sanitizers
            command -v cc >/dev/null || echo gcc
            [ -e /usr/include/stdio.h ] || echo libc6-dev
        fi
    fi
    if [ "${1:-}" = dev ]; then # libcper is built from source
        [ -e /usr/include/json-c/json.h ] || echo libjson-c-dev
        command -v pkg-config >/dev/null || echo pkg-config
        # The report's tests look at it in a browser; where that is no package (Ubuntu), they say so and skip.
        if grep -qx 'ID=debian' /etc/os-release 2>/dev/null; then
            command -v chromium >/dev/null || echo chromium
        fi
    fi
    "$(find_python)" -c 'import ensurepip, venv' 2>/dev/null || echo "$(basename "$(find_python)")-venv"
    if [ "$(id -u)" != 0 ]; then
        command -v newuidmap >/dev/null || echo uidmap
    fi
}

install_packages() {
    local packages sudo=() log
    mapfile -t packages < <(missing_packages "${1:-}")
    [ ${#packages[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null ||
        die "these packages are missing: ${packages[*]}" "install them with this system's package manager"
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null ||
            die "an administrator must install: ${packages[*]}" "apt-get install ${packages[*]}"
        sudo=(sudo)
    fi
    say "installing host packages: ${packages[*]}"
    log=$(mktemp)
    if ! "${sudo[@]}" sh -c 'export DEBIAN_FRONTEND=noninteractive
            apt-get -q -o DPkg::Lock::Timeout=300 update || true
            apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@"' \
        sh "${packages[@]}" >"$log" 2>&1; then
        tail -n 15 "$log" >&2
        die "the packages could not be installed" "sudo apt-get install ${packages[*]}"
    fi
    rm -f "$log"
}

# make_venv EXTRA: the environment, with `.[EXTRA]` installed; "" for the product alone.
make_venv() {
    local extra=$1 log python wanted stamp="$root/.venv/.seabus-${1:-run}"
    python=$(find_python)
    wanted=$("$python" -c 'import sys; print(sys.version)' | cat - "$root/pyproject.toml" <(echo "$root") | sha256sum)
    if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    # An interrupted installation has no stamp and is simply done again.
    if [ ! -x "$root/.venv/bin/python" ] || ! "$root/.venv/bin/python" -m pip --version >/dev/null 2>&1; then
        say "making the environment .venv with $python"
        "$python" -m venv --clear "$root/.venv"
    fi
    say "installing Seabus and the libraries it needs"
    log=$(mktemp)
    if ! "$root/.venv/bin/python" -m pip install --disable-pip-version-check \
        -e "$root${extra:+[$extra]}" >"$log" 2>&1; then
        tail -n 15 "$log" >&2
        die "pip could not install Seabus" "check the network, then run this again"
    fi
    rm -f "$log"
    printf '%s' "$wanted" >"$stamp"
}

# setup [dev|fuzz]
setup() {
    local extra=${1:-}
    [ "$extra" != fuzz ] || extra=dev,fuzz
    find_python >/dev/null
    exec {lock}>"$root/.setup.lock"
    if ! flock -n "$lock"; then
        say "another script is setting up; waiting for it"
        flock "$lock"
    fi
    install_packages "${1:-}"
    make_venv "$extra"
    exec {lock}>&-
}
