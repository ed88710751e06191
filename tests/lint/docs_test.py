#!/usr/bin/env python3
"""The SDK's pages are made without a warning, and of every header each type is documented, each field and enumerator, and
each function that does more than give back or compare what its name says. Private parts are not. Enumerators may share
the docstring of their enumeration, where it names each of them in `backquotes`.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

from sources import ROOT

DOCS = ROOT / "sdk/docs"
LEAST_PLACES = 50  # classes, files and namespaces of the SDK; fewer: the pages are not the SDK's
# What a name and a signature say: what C++ asks for; an accessor without arguments.
PLAIN = re.compile(r"operator.*|~.*|.*(=default|=delete|&&other\)|&& other\)).*|\w+\(\) const( noexcept)?( override| final|=0)?")
# Of each struct of abi.h, which its head explains; the size that 1.0 has of each, and the checks of it. And the functions
# that make_manifest() puts between gh_plugin_ops and a Plugin, which have the docstrings.
SAID_ELSEWHERE = re.compile(r"gh_\w+::(struct_size|context|reserved)|gh_\w+_size_1_0|GH_(FROZEN|GROWS|PLACE)|"
                            r"gatehouse::border::\w+")

PARTS = ("briefdescription", "detaileddescription")  # of a docstring


def warnings(folder, *settings):
    """What Doxygen says when it makes the pages below `folder`."""
    text = (DOCS / "Doxyfile.in").read_text()
    for name, value in (("GATEHOUSE_SDK_VERSION", "test"), ("DOCS_FOLDER", folder), ("CMAKE_CURRENT_SOURCE_DIR", DOCS)):
        text = text.replace(f"@{name}@", str(value))
    done = subprocess.run(["doxygen", "-"], input="\n".join([text, *settings]), capture_output=True, text=True, cwd=folder)
    return done.returncode, [line for line in done.stderr.splitlines() if line.strip()]


def undocumented(folder):
    """What has no docstring of its own on the pages below `folder`/xml, in words. Doxygen itself warns of less: never of
    enumerators, and of nothing in a namespace."""
    pages = [xml.etree.ElementTree.parse(page).getroot() for page in pathlib.Path(folder, "xml").glob("*.xml")]
    places = [one for page in pages for one in page.iter("compounddef")]
    if len(places) < LEAST_PLACES:
        yield f"{len(places)} compounds are on the pages, which the SDK has more of: were they made?"
    hidden = tuple(f"{one.findtext('compoundname')}::" for one in places if one.get("prot") == "private")
    for place in places:
        name = place.findtext("compoundname")
        if place.get("kind") in ("class", "struct", "union") and not f"{name}::".startswith(hidden) and not says(place):
            yield f"{where(place)}: {name} is not documented."
        for member in place.iter("memberdef"):
            name = member.findtext("qualifiedname") or member.findtext("name")
            if member.get("prot") != "private" and not name.startswith(hidden):
                yield from undocumented_in(member, name)


def undocumented_in(member, name):
    """The same of one function, field, type or enumeration, and of what is in it."""
    signature = f"{member.findtext('name')}{member.findtext('argsstring')}"
    plain = member.get("kind") == "function" and PLAIN.fullmatch(signature)
    if member.get("kind") not in ("enum", "friend", "define") and not plain and not says(member):
        if not SAID_ELSEWHERE.fullmatch(name):
            yield f"{where(member)}: {name} is not documented."
    named = {word.text for part in PARTS for word in member.iterfind(f"{part}//computeroutput")}
    for value in member.findall("enumvalue"):
        word = value.findtext("name")
        if not says(value) and word not in named and not SAID_ELSEWHERE.fullmatch(word):
            yield f"{where(member)}: {word} is not documented."


def says(element):
    """Has it a docstring?"""
    return any("".join(element.find(part).itertext()).strip() for part in PARTS)


def where(element):
    return "{file}:{line}".format(**element.find("location").attrib)


def main():
    if shutil.which("doxygen") is None:
        print("SKIPPED: doxygen is not installed, which only these pages need")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        code, found = warnings(folder)
        if code == 0 and not (pathlib.Path(folder) / "html/index.html").is_file():
            found.append("no html/index.html was made")
        xml_code, more = warnings(folder, "GENERATE_HTML = NO", "GENERATE_XML = YES")
        found += more
        found += undocumented(folder)
    found += [f"doxygen has ended with {one}" for one in {code, xml_code} if one != 0]
    print("\n".join(sorted(set(found))))
    print(f"{len(set(found))} warnings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
