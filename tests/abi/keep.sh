#!/usr/bin/env bash
# Makes a plugin file to be kept: keep.sh BUILD SOURCE FILE, where BUILD is a built tree of the release (`product`). The SDK
# is installed from it to an empty prefix, and SOURCE (C or C++) built against that alone, as an author would, and
# stripped. To be run once, at a release, on x86-64 with Debian 12's compiler: what is kept is never made anew.
set -euo pipefail

[ $# = 3 ] || { echo "usage: keep.sh BUILD SOURCE FILE" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
name=$(basename "$3" .so)
cp "$2" "$work/"
cat >"$work/CMakeLists.txt" <<PROJECT
cmake_minimum_required(VERSION 3.25...3.30)
project(kept LANGUAGES C CXX)
set(CMAKE_CXX_STANDARD 20)
find_package(Gatehouse 1 REQUIRED CONFIG)
gatehouse_add_plugin($name SOURCES $(basename "$2"))
PROJECT
cmake --install "$1" --prefix "$work/prefix" --component sdk >/dev/null
cmake -S "$work" -B "$work/build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$work/prefix" >/dev/null
cmake --build "$work/build"
install -m 755 -s "$work/build/plugins/$name.so" "$3"
