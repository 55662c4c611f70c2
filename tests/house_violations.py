#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Breaks every rule that tools/floors checks, one at a time, in a small copy of the house, and expects to hear of it.

import subprocess
import sys
import tempfile
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent
HEAD = "// SPDX-License-Identifier: Apache-2.0\n// A file of the small house.\n"

SOUND = {
    "docs/architecture.md": (TREE / "docs/architecture.md").read_text().replace("](../", "](https://example.org/"),
    "tools/long-files.txt": "",
    "src/x86/cpu.h": HEAD + '#pragma once\n#include "memory/space.h"\n#include "words/integers.h"\ninline u64 zero() { return 0; }\n',
    "src/x86/cpu.cpp": HEAD + '#include "x86/cpu.h"\n',
    "src/x86/pins.h": HEAD + "#pragma once\n",
    "src/x86/CMakeLists.txt": "vitrine_room(x86\n    DEPENDS memory\n    SOURCES cpu.cpp)\n",
    "src/memory/space.h": HEAD + "#pragma once\n",
    "src/words/integers.h": HEAD + "#pragma once\n#include <cstdint>\nusing u64 = std::uint64_t;\n",
    "src/vtx/spec/fields.h": HEAD + '#pragma once\n#include "words/integers.h"\n',
    "src/interrupts/apic.h": HEAD + '#pragma once\n#include "x86/pins.h"\n',
    "src/firmware/acpi.h": HEAD + '#pragma once\n#include "vtx/spec/fields.h"\n',
    "pane/main.cpp": HEAD + '#include "vtx/spec/fields.h"\n#include "words/integers.h"\n',
}

# What is wrong, the file that has it, the text put at its end, and what tools/floors must say.
VIOLATIONS = [
    ("a room above", "src/memory/space.h", '#include "x86/cpu.h"\n', 'memory may not include "x86/cpu.h"'),
    ("a room beside", "src/vtx/spec/fields.h", '#include "jit/code.h"\n', "a spec file includes words/ and spec/ files only"),
    ("more than a seam", "src/interrupts/apic.h", '#include "x86/cpu.h"\n', 'interrupts may not include "x86/cpu.h"'),
    ("more than tables", "src/firmware/acpi.h", '#include "vtx/vmcs.h"\n', 'firmware may not include "vtx/vmcs.h"'),
    ("Pane and the base", "pane/main.cpp", '#include "base/error.h"\n', 'pane may not include "base/error.h"'),
    ("a way round remapping", "src/devices/disk.h", HEAD + '#pragma once\n#include "memory/space.h"\n', "is a way round the remapping unit"),
    ("a name without room", "src/x86/cpu.h", '#include "pins.h"\n', 'write "room/file.h"'),
    ("hosted words", "src/words/integers.h", "#include <string>\n", "<string> is not for freestanding code"),
    ("an unknown room", "src/attic/box.h", HEAD, "is a room without a row"),
    ("own header not first", "src/x86/pins.cpp", HEAD + '#include "words/integers.h"\n#include "x86/pins.h"\n', "includes its own header"),
    ("a link upwards", "src/memory/CMakeLists.txt", "vitrine_room(memory DEPENDS words x86\n    SOURCES a.cpp)\n", "memory may not depend on x86"),
    ("no licence", "src/x86/mode.h", "// Modes of a processor.\n#pragma once\n", "begins with SPDX"),
    ("no sentence", "src/x86/mode.h", "// SPDX-License-Identifier: Apache-2.0\n#pragma once\n", "says in a sentence"),
    ("a long file", "src/x86/cpu.cpp", "\n" * 1000, "split it by idea"),
    ("an excuse too many", "tools/long-files.txt", "src/x86/cpu.cpp because\n", "without need"),
    ("an excuse without reason", "tools/long-files.txt", "src/x86/cpu.cpp\n", "no reason given"),
    ("a path of one computer", "src/x86/cpu.cpp", "// see /home/" + "somebody/notes\n", "names a path of one computer"),
    ("a dead link", "docs/architecture.md", "[there](nowhere.md)\n", "links to nowhere.md"),
    ("a dead heading", "docs/architecture.md", "[there](#no-such-heading)\n", "a heading that is not there"),
    ("a leaning header", "src/memory/space.h", "inline u64 one() { return 1; }\n", "does not stand by itself"),
    ("a room on its own floor", "docs/architecture.md", "| `src/loft` | 0 | `x86` | too high |\n", "loft may include x86"),
]


def floors(files):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        result = subprocess.run([TREE / "tools/floors", "--tree", folder], capture_output=True, text=True)
        return result.returncode, result.stderr.strip()


failures = 0
status, said = floors(SOUND)
if status != 0:
    failures += 1
    print(f"the sound house: {said}")
for what, name, text, expected in VIOLATIONS:
    status, said = floors(SOUND | {name: SOUND.get(name, "") + text})
    if status != 1 or expected not in said:
        failures += 1
        print(f"{what}: expected a complaint with {expected!r}, got status {status}: {said}")
print(f"{len(VIOLATIONS)} rules broken, {failures} unnoticed")
sys.exit(failures != 0)
