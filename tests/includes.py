"""Fails when a header includes what it must not see.

includes.py SOURCE_FOLDER

docs/hacking.md lists the rooms, the folders of include/xlens, in the code block under "## The
rooms": one room a line, its name, then what it holds. A header sees its own room and those above
it in the list; where a line goes on with `sees A, B:` the room sees these alone. Reported, with
file and line: an include that goes up; an include of a room that is not seen, or of reference/,
which is for tests; two folders that include each other; xtensor, xsimd or intrinsics included
elsewhere than in the headers that may; a room without a line, a line without a room. Files *.ipp,
with which headers end, count as headers.
"""

import pathlib
import re
import sys

DOCUMENT = "docs/hacking.md"
HEADERS = "include/xlens/"
FOR_TESTS = {"reference"}
ALONE = {
    "xtensor": {HEADERS + "core/xtensor.hpp"},
    "xsimd": {HEADERS + "core/simd.hpp"},
    # What xsimd 8 lacks: widening loads, halves, permutations of bytes, products of integers,
    # products without carries.
    "immintrin.h": {
        HEADERS + "core/halves.hpp",
        HEADERS + "core/look_up.hpp",
        HEADERS + "core/words.hpp",
        HEADERS + "io/crc32.hpp",
        HEADERS + "kernels/integer_lanes_avx2.hpp",
        HEADERS + "kernels/integer_lanes_vnni.hpp",
        HEADERS + "kernels/integer_loads.hpp",
        HEADERS + "kernels/integer_scan.hpp",
        HEADERS + "kernels/short_dots.hpp",
    },
    "arm_neon.h": {HEADERS + "core/halves.hpp"},
    "nlohmann": {HEADERS + "json/lexer.hpp"},
}
INCLUDE = re.compile(r'\s*#\s*include\s*[<"]([^>"]+)[>"]')


def read_rooms(document):
    """{room: those that it may see}, in the order of the list, and the faults of the list."""
    block = re.search(r"^## The rooms$.*?^```$\n(.*?)^```$", document.read_text(), re.M | re.S)
    if not block:
        return {}, [f"{DOCUMENT}: expected a section '## The rooms' with a code block"]
    rooms, faults = {}, []
    for line in block[1].splitlines():
        match = re.fullmatch(r"(\w+)/\s+(?:sees ([\w, ]+): )?\S.*", line)
        if not match:
            faults.append(f"{DOCUMENT}: expected 'room/  what it holds', got '{line}'")
            continue
        name, seen = match.groups()
        above = set(rooms) - FOR_TESTS
        rooms[name] = set(seen.split(", ")) if seen else above
        for unknown in sorted(rooms[name] - above):
            faults.append(f"{DOCUMENT}: {name} sees {unknown}, which does not stand above it")
    return rooms, faults


def room_of(path):
    """core of core/error.hpp; xtensor of xtensor/xtensor.hpp"""
    return path.split("/")[0]


def folder_of(path):
    return path.rpartition("/")[0]


def includes_of(header, headers):
    """(line, path, whether it is one of ours) of every include; ours: relative to `headers`."""
    for number, line in enumerate(header.read_text(encoding="utf-8").splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        beside = (header.parent / match[1]).resolve()
        if match[1].startswith("xlens/"):
            yield number, match[1].removeprefix("xlens/"), True
        elif beside.exists() and beside.is_relative_to(headers):
            yield number, beside.relative_to(headers).as_posix(), True
        else:
            yield number, match[1], False


def check_include(here, path, rooms):
    """What is wrong with an include of `path`, one of ours, in the room `here`; None: nothing."""
    there = room_of(path)
    if here == there or here not in rooms or there in rooms[here]:
        return None
    if there not in rooms:
        return f"{here} includes {path}, but {there} is no room"
    if there in FOR_TESTS:
        return f"{here} includes {path}, but {there} is for tests alone"
    order = list(rooms)
    if order.index(there) > order.index(here):
        return f"{here} includes {path}, but {there} stands below {here} in {DOCUMENT}"
    return f"{here} includes {path}, but sees {', '.join(sorted(rooms[here]))} alone"


def check_header(header, headers, rooms, edges):
    """The faults of a header. Adds to edges, {(folder, folder that it includes): first place}."""
    relative = header.relative_to(headers).as_posix()
    # xlens.hpp stands in no room and may include them all.
    here = room_of(relative) if "/" in relative else None
    for number, path, ours in includes_of(header, headers):
        place = f"{HEADERS}{relative}:{number}"
        if not ours:
            owner = ALONE.get(room_of(path))
            if owner and HEADERS + relative not in owner:
                names = " and ".join(sorted(owner))
                yield f"{place}: {room_of(path)} is included by {names} alone"
        elif here:
            fault = check_include(here, path, rooms)
            if fault:
                yield f"{place}: {fault}"
            for ends in {(here, room_of(path)), (folder_of(relative), folder_of(path))}:
                edges.setdefault(ends, place)
        elif room_of(path) in FOR_TESTS:
            yield f"{place}: {room_of(path)} is for tests alone"


def check(source):
    headers = (source / HEADERS).resolve()
    rooms, faults = read_rooms(source / DOCUMENT)
    present = {path.name for path in headers.iterdir() if path.is_dir()}
    for name in sorted(present - set(rooms)):
        faults.append(f"{HEADERS}{name}: a room without a line in {DOCUMENT}")
    for name in sorted(set(rooms) - present):
        faults.append(f"{DOCUMENT}: {name}/ is listed, but there is no such room in {HEADERS}")
    edges = {}
    for header in sorted([*headers.rglob("*.hpp"), *headers.rglob("*.ipp")]):
        faults += check_header(header, headers, rooms, edges)
    for (one, other), place in sorted(edges.items()):
        if one < other and (other, one) in edges:
            faults.append(f"{place}: {one} and {other} include each other: {edges[other, one]}")
    return faults


if __name__ == "__main__":
    found = check(pathlib.Path(sys.argv[1]))
    for fault in found:
        print(fault)
    sys.exit(1 if found else 0)
