# SPDX-License-Identifier: Apache-2.0
# A run of Vitrine with somebody at its serial port who waits for what they want to see and then types, as irregularly as the host makes it.

import os
import random
import re
import subprocess
import tempfile
import time

from machines import check


class Session:
    def __init__(self, vitrine, *arguments):
        self.errors = tempfile.NamedTemporaryFile("w+")
        command = [str(a) for a in (vitrine, "run", *arguments)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors)
        self.output, self.seen = b"", 0

    def expect(self, what):
        """Waits for it; what was said before and is waited for again must be said again."""
        while (found := self.output.find(what, self.seen)) < 0:
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                check(False, f"the guest never said {what!r}; it said {self.output[-2000:]!r}")
            self.output += data
        self.seen = found + len(what)
        time.sleep(0.01 * random.random())

    def type(self, text):
        for piece in re.findall(".{1,7}|\n", text):
            self.process.stdin.write(piece.encode())
            self.process.stdin.flush()
            time.sleep(0.003 * random.random())

    def complaints(self):
        with open(self.errors.name, errors="replace") as file:
            return file.read()

    def end(self):
        self.output += self.process.stdout.read()
        self.process.wait()
        output = self.output.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")  # as in subprocess's text mode
        return subprocess.CompletedProcess([], self.process.returncode, output, self.complaints())
