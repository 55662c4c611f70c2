# SPDX-License-Identifier: Apache-2.0
# Writes files of many kinds, forgets them (page cache dropped), reads them back; prints what differs and one line of sums.

import hashlib
import os
import sys
from pathlib import Path


def contents(name, size):
    """Bytes that depend on the name, and do not compress."""
    block = hashlib.shake_128(name.encode()).digest(min(size, 65536))
    return (block * (size // max(len(block), 1) + 1))[:size]


def forget():
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")


root = Path(sys.argv[1])
expected = {}
for n in range(400):
    path = root / f"d{n % 20}" / f"f{n}"
    path.parent.mkdir(parents=True, exist_ok=True)
    expected[path] = contents(path.name, n * n % 40000)
    path.write_bytes(expected[path])
large = root / "large"
expected[large] = contents("large", 24 << 20)
large.write_bytes(expected[large])

# Holes, appending, cutting, overwriting in the middle, renaming, links.
hole = root / "hole"
with open(hole, "wb") as file:
    file.seek(3 << 20)
    file.write(b"end of the hole")
expected[hole] = bytes(3 << 20) + b"end of the hole"
forget()
with open(large, "r+b") as file:
    file.seek(12345)
    file.write(b"overwritten")
    file.truncate(20 << 20)
expected[large] = (expected[large][:12345] + b"overwritten" + expected[large][12356:])[: 20 << 20]
renamed = root / "renamed"
large.rename(renamed)
expected[renamed] = expected.pop(large)
os.link(renamed, root / "linked")
expected[root / "linked"] = expected[renamed]
os.symlink("renamed", root / "symbolic")
for n in range(0, 400, 3):
    path = root / f"d{n % 20}" / f"f{n}"
    path.unlink()
    del expected[path]
forget()

found = {path for path in root.rglob("*") if path.is_file() and not path.is_symlink()}
for path in sorted(found ^ set(expected)):
    print("wrongly", "there" if path in found else "missing", path)
total = hashlib.sha256()
for path in sorted(expected):
    data = path.read_bytes()
    if data != expected[path]:
        print("differs", path)
    total.update(data)
print(len(expected), "files", total.hexdigest() == hashlib.sha256(b"".join(expected[p] for p in sorted(expected))).hexdigest())
