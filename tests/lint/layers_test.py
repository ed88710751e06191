#!/usr/bin/env python3
"""Reads every #include and every link edge and holds them to the allowed arrows:

    gateway -> db, policy, sdk      db -> policy, sdk/base      policy -> sdk/{base,table}      plugins -> sdk
    plugins/X -> only itself and sdk; tests may include what they test; sdk/packet -> sdk/base

and: Boost.DLL and spdlog only in gateway/, SQLite only in db/, no Asio or sockets in policy/, no spdlog in the border.
Also reports, without failing, files that have outgrown the house's sizes.
"""

import re
import sys

from sources import ROOT, code, files

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
LINK = re.compile(r"target_link_libraries\s*\(\s*(\S+)\s+([^)]*)\)", re.S)

# Which of our layers a layer may include or link; its own always.
ALLOWED = {
    "sdk": set(),
    "policy": {"sdk"},
    "db": {"policy", "sdk"},
    "gateway": {"db", "policy", "sdk"},
    "plugins": {"sdk"},
}
# Parts of the sdk that a layer is held to.
SDK_PARTS = {"policy": ("base", "table"), "db": ("base",)}
# And one of the sdk's own parts.
WITHIN_SDK = {"packet": ("base",)}
# Headers that belong to some layers only.
ONLY_IN = [
    (re.compile(r"^boost/dll"), {"gateway"}, "Boost.DLL"),
    (re.compile(r"^spdlog/"), {"gateway"}, "spdlog"),
    (re.compile(r"^(toml\+\+|toml)/"), {"gateway"}, "toml++"),
    (re.compile(r"^CLI/"), {"gateway", "plugins"}, "CLI11"),  # a plugin's client is a program of its own
    (re.compile(r"^sqlite3\.h$"), {"db"}, "SQLite"),
    (re.compile(r"^boost/(asio|beast)|^sys/socket\.h$|^netinet/"), {"sdk", "gateway", "plugins"}, "network code"),
]
LINK_ONLY_IN = [
    (re.compile(r"spdlog"), {"gateway"}, "spdlog"),
    (re.compile(r"(?i)sqlite"), {"db"}, "SQLite"),
]
HUB = "boost/asio.hpp"  # two seconds a file; the narrow headers do
# Names of places and tools that only one machine or one workplace has.
FOREIGN = re.compile("/" + "work/|/" + "home/[a-z]|/" + "root/|[.]" + "library/")
LIMITS = {".hpp": 200, ".h": 200, ".cpp": 500}


def layer_of(path):
    """The layer that a file belongs to, or None for tests and the like."""
    return path.parts[0] if path.parts[0] in ALLOWED else None


def target_layer(path, link):
    """The layer behind a link name: gatehouse::policy, gatehouse_policy, gatehouse::sdk ..."""
    found = re.match(r"gatehouse(?:::|_)(\w+)", link)
    if not found:
        return None
    name = found[1]
    return name if name in ALLOWED else "plugins" if (ROOT / "plugins" / name.replace("_", "-")).is_dir() else None


def sdk_part(path, text):
    """The part of the sdk that a file belongs to: its folder, or of a source that of the header that it opens with."""
    if path.parts[:3] == ("sdk", "include", "gatehouse") and len(path.parts) > 4:
        return path.parts[3]
    first = INCLUDE.search(text)
    if path.parts[:2] == ("sdk", "src") and first and first[2].startswith("gatehouse/"):
        return first[2].split("/")[1]
    return None


def include_problems(path, text):
    layer = layer_of(path)
    own = sdk_part(path, text)
    for quote, name in INCLUDE.findall(text):
        if name == HUB:
            yield f"includes <{HUB}>; name the narrow headers"
        if layer is None:
            continue
        for pattern, layers, what in ONLY_IN:
            if pattern.search(name) and layer not in layers:
                yield f"includes <{name}>, but {what} belongs to {', '.join(sorted(layers))}"
        if name.startswith("gatehouse/"):
            part = name.split("/")[1]
            if layer in SDK_PARTS and part not in SDK_PARTS[layer]:
                yield f"includes <{name}>, but {layer} may use only sdk/{{{','.join(SDK_PARTS[layer])}}}"
            if own in WITHIN_SDK and part != own and part not in WITHIN_SDK[own]:
                yield f"includes <{name}>, but sdk/{own} may use only sdk/{{{','.join(WITHIN_SDK[own])}}}"
            continue
        target = name.split("/")[0]
        if quote == '"' and target in ALLOWED and target != layer and target not in ALLOWED[layer]:
            yield f'includes "{name}", but {layer} must not know {target}'
        if layer == "plugins" and target == "plugins" and name.split("/")[1] != path.parts[1]:
            yield f'includes "{name}" of another plugin'


def link_problems(path, text):
    layer = layer_of(path)
    if layer is None:
        return
    for owner, rest in LINK.findall(text):
        for link in rest.split():
            target = target_layer(path, link)
            if target and target != layer and target not in ALLOWED[layer]:
                yield f"links {owner} to {link}, but {layer} must not know {target}"
            for pattern, layers, what in LINK_ONLY_IN:
                if pattern.search(link) and layer not in layers:
                    yield f"links {owner} to {link}, but {what} belongs to {', '.join(sorted(layers))}"


def problems():
    for path in files():
        try:
            text = (ROOT / path).read_text()
        except UnicodeDecodeError:
            continue
        for found in FOREIGN.findall(text):
            yield f"{path}: names {found}, a place of one machine"
        if path.suffix in {".h", ".hpp", ".cpp", ".c"}:
            yield from (f"{path}: {one}" for one in include_problems(path, text))
        if path.name == "CMakeLists.txt" or path.suffix == ".cmake":
            yield from (f"{path}: {one}" for one in link_problems(path, text))


def main():
    found = list(problems())
    for one in found:
        print(one)
    for path in code():
        lines = len((ROOT / path).read_text().splitlines())
        limit = LIMITS.get(path.suffix)
        if limit and lines > limit:
            print(f"note: {path} has {lines} lines; the house's size is {limit}: is it still one noun?")
    print(f"{len(found)} forbidden arrows in {len(code())} files")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
