#!/usr/bin/env python3
"""hack/dump-order.py MAP LOG: from a linker's map and QEMU's log of what ran (-d in_asm), the lines of hack/dump-order.ld.

Names of functions are written without what changes from one build to the next: the numbers of crates, and references to
earlier parts of a name, which count its bytes."""

import bisect
import re
import sys


def sections(path):
    """Input sections with code: address, length, name, file."""
    name = None
    for line in open(path):
        if match := re.match(r" (\.text\S*)$", line):
            name = match[1]
            continue
        match = re.match(r" (\.text\S*)?\s+0x(\w+)\s+0x(\w+)\s+(\S+)$", line)
        if match and (match[1] or name) and int(match[3], 16) and int(match[2], 16):
            yield int(match[2], 16), int(match[3], 16), match[1] or name, match[4]
        name = None


def pattern(name, file):
    name = re.sub(r"\.(\d+|llvm\.\d+)$", "*", name)
    name = re.sub(r"Cs[0-9a-zA-Z]*_", "Cs*_", name)
    name = re.sub(r"B[0-9a-zA-Z]*_", "B*_", name)
    name = re.sub(r"\*+", "*", name)
    if match := re.search(r"(lib\w+)[-.\w]*\.a\((.+)\)$", file):
        # The C library has some functions once for each kind of processor.
        member = re.sub(r"-(avx|sse|evex|erms|movbe)\S*\.o$", "*.o", match[2])
        return f"*{match[1]}*.a:{member}(.text .text.*)"
    return None if name == ".text" else f"*({name})"


def main():
    lie = sorted(sections(sys.argv[1]))
    starts = [start for start, *_ in lie]
    ran = {}
    for line in open(sys.argv[2]):
        if match := re.match(r"0x(\w+):", line):
            address = int(match[1], 16)
            start, length, name, file = lie[max(bisect.bisect_right(starts, address) - 1, 0)]
            if start <= address < start + length and (line := pattern(name, file)):
                ran[line] = True
    print("\n".join(ran))


main()
