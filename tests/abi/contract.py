"""Reads what abi.h promises, and compares two of them.

What may differ from one minor to the next: fields behind the last one of a struct that has a size, and numbers, types
and interfaces that were not there before; then GH_ABI_MINOR is a higher one. Comments may differ, too: that a meaning
stays is for people to see to.
"""

import re

COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
DEFINE = re.compile(r"^#define[ \t]+(\w+)(\([^)]*\))?[ \t]*(.*)$", re.MULTILINE)
STRUCT = re.compile(r"typedef struct (\w+) \{(.*?)\} \1;", re.DOTALL)
ENUM = re.compile(r"\benum \{(.*?)\}", re.DOTALL)
TYPEDEF = re.compile(r"^typedef (?!struct \w+ \{)(.*?);", re.MULTILINE | re.DOTALL)
CHECKS = re.compile(r"^GH_(FROZEN|GROWS|PLACE)\(.*?\);$", re.MULTILINE)
FROZEN = re.compile(r"^GH_FROZEN\((\w+),", re.MULTILINE)
OWN = {"GATEHOUSE_ABI_H", "GH_ABI_MINOR", "GH_GROWS"}  # the guard; what is compared apart; what depends on the minor
# It grows in the host's memory, of which plugins have a pointer alone.
GROWS_WITHOUT_SIZE = {"gh_session_cells"}


class Contract:
    """The declarations of one abi.h, each as text without comments and needless spaces."""

    def __init__(self, text):
        text = COMMENT.sub(" ", text).replace("\\\n", " ")
        defines = {name: _tidy((arguments or "") + " " + value) for name, arguments, value in DEFINE.findall(text)}
        self.minor = int(defines["GH_ABI_MINOR"])
        self.defines = {name: value for name, value in defines.items() if name not in OWN}
        self.structs = {name: _split(body, ";") for name, body in STRUCT.findall(text)}
        self.numbers = {}
        for body in ENUM.findall(text):
            self.numbers |= _numbers(body)
        self.typedefs = {_tidy(one) for one in TYPEDEF.findall(text)}
        self.checks = {_tidy(one[0]) for one in CHECKS.finditer(text)}
        self.frozen = set(FROZEN.findall(text))

    def declarations(self):
        """All of it, for asking whether two are the same."""
        return self.defines, self.structs, self.numbers, self.typedefs, self.checks


def _tidy(text):
    return re.sub(r" ?([(){}\[\],*;]) ?", r"\1", " ".join(text.split())).strip()


def _split(body, mark):
    return [_tidy(one) for one in body.split(mark) if one.strip()]


def _numbers(body):
    found, following = {}, 0
    for one in _split(body, ","):
        name, _, value = one.partition("=")
        following = int(value.strip(), 0) if value.strip() else following
        found[name.strip()] = following
        following += 1
    return found


def compare(kept, now):
    """What `now` has changed that it may not, as sentences. Both are the text of an abi.h."""
    kept, now = Contract(kept), Contract(now)
    found = []
    for name, fields in kept.structs.items():
        found += _struct_problems(name, fields, now.structs.get(name), now.frozen)
    for what, before, after in (("number", kept.numbers, now.numbers), ("macro", kept.defines, now.defines)):
        for name, value in before.items():
            if name not in after:
                found.append(f"the {what} {name} is gone")
            elif after[name] != value:
                found.append(f"the {what} {name} was {value} and is {after[name]}")
    found += [f"the type `{one}` is gone or another one" for one in sorted(kept.typedefs - now.typedefs)]
    found += [f"the check {one} is gone" for one in sorted(kept.checks - now.checks)]
    if now.minor < kept.minor:
        found.append(f"GH_ABI_MINOR was {kept.minor} and is {now.minor}")
    if now.minor == kept.minor and now.declarations() != kept.declarations() and not found:
        found.append(f"something was added, and GH_ABI_MINOR is {now.minor} still: raise it")
    return found


def _struct_problems(name, before, after, frozen):
    if after is None:
        return [f"struct {name} is gone"]
    for at, field in enumerate(before):
        if at >= len(after):
            return [f"{name} has lost its field `{field}`"]
        if after[at] != field:
            if field in after:
                return [f"{name} has `{after[at]}` where `{field}` was, which now stands behind it"]
            return [f"{name} has `{after[at]}` where `{field}` was"]
    if len(after) > len(before) and name in frozen:
        return [f"{name} is frozen, and has a new field `{after[len(before)]}`"]
    has_size = any("struct_size" in field for field in before)
    if len(after) > len(before) and not has_size and name not in GROWS_WITHOUT_SIZE:
        return [f"{name} has no struct_size, and has a new field `{after[len(before)]}`"]
    return []
