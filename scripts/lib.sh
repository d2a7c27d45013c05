# SPDX-License-Identifier: BSD-3-Clause
# Sourced by the other scripts. Sets `root` (the repository) and goes there.

export LC_ALL=C
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }
die() { say "$*"; exit 2; }

# Real data for tests lies beside the clone where there is any; it is never part of the tree.
if [ -z "${CHAINCAST_DATA:-}" ] && [ -d "$root/../shared/data" ]; then
  CHAINCAST_DATA=$(cd "$root/../shared/data" && pwd)
  export CHAINCAST_DATA
fi

# Clones share what is compiled: the directory is in debug information only.
export CCACHE_NOHASHDIR=1

# build_dir FLAVOUR: the directory of a flavour.
build_dir() {
  case $1 in
    release) echo build ;;
    asan | tsan | fuzz) echo "build-$1" ;;
    *) die "no build flavour '$1': release, asan, tsan or fuzz" ;;
  esac
}

# configure FLAVOUR: meson setup, once; later runs find the directory configured.
configure() {
  local directory options=()
  directory=$(build_dir "$1")
  [ -f "$directory/build.ninja" ] && return 0
  # Instrumentation hides from GCC 12 what these two warnings ask about; release has them on.
  local flags="-DCHAINCAST_PARANOID -fno-sanitize-recover=undefined"
  flags+=" -Wno-maybe-uninitialized -Wno-stringop-overflow"
  # Reports need lines and functions, not types and variables, which took a third of the time.
  flags+=" -g1"
  local checked=(-Doptimization=1 -Ddebug=true -Dperf=false "-Dcpp_args=$flags")
  case $1 in
    release) ;;
    asan) options=("${checked[@]}" -Db_sanitize=address,undefined -Db_lundef=false) ;;
    tsan) options=("${checked[@]}" -Db_sanitize=thread -Db_lundef=false) ;;
    # meson.build adds the sanitizers. clang counts what macros of liburcu and DPDK expand to as
    # ours: no warnings there.
    fuzz) options=(-Doptimization=1 -Ddebug=true -Dwerror=false -Dwarning_level=0 -Dperf=false
      -Db_lundef=false -Dfuzz=true "-Dcpp_args=-w -g1") ;;
  esac
  [ "$1" != fuzz ] || export CC=clang CXX=clang++
  if command -v mold >/dev/null; then export CXX_LD=mold; fi
  say "configuring $directory"
  if ! meson setup "$directory" "${options[@]}" >"$directory.setup.log" 2>&1; then
    cat "$directory.setup.log" >&2
    rm -rf "$directory" "$directory.setup.log"
    return 1
  fi
  mv "$directory.setup.log" "$directory/setup.log"
}

# build FLAVOUR [TARGET...]: configure if need be, then ninja. One line where all is well.
build() {
  local flavour=$1 directory
  shift
  directory=$(build_dir "$flavour")
  configure "$flavour" || return 1
  # Build files that changed make meson talk at length: heard only if it fails.
  if ! ninja -C "$directory" --quiet build.ninja >"$directory/setup.log" 2>&1; then
    cat "$directory/setup.log" >&2
    return 1
  fi
  ninja -C "$directory" -j "${CHAINCAST_JOBS:-$(nproc)}" --quiet "$@" |
    { grep -vx 'ninja: no work to do.' || true; }
}
