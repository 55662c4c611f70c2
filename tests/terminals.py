# SPDX-License-Identifier: Apache-2.0
# A program on a terminal of its own, and somebody who types and reads there.

import atexit
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time


def fail(text, *more):
    print(text, *more, sep="\n---\n")
    sys.exit(1)


class Terminal:
    def __init__(self, *command):
        self.master, slave = pty.openpty()
        self.slave = slave
        self.cooked = termios.tcgetattr(slave)
        self.process = subprocess.Popen([str(word) for word in command], stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        self.said = ""
        atexit.register(self.process.kill)  # whoever gives up leaves nothing running

    def type(self, text):
        os.write(self.master, text.encode())

    def read(self, seconds):
        ready, _, _ = select.select([self.master], [], [], seconds)
        if ready:
            self.said += os.read(self.master, 4096).decode(errors="replace")
        return bool(ready)

    def until(self, pattern, seconds=120):
        """Waits for it, and forgets what was said up to there."""
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self.said)):
            if not self.read(1) and (self.process.poll() is not None or time.monotonic() > end):
                fail(f"/{pattern}/ does not come (status {self.process.poll()})", self.said[-3000:])
        before, self.said = self.said[: found.end()], self.said[found.end() :]
        return before

    def raw(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def end(self):
        """The exit status; the terminal must be as before."""
        while self.process.poll() is None or self.read(0):
            self.read(0.1)
        if termios.tcgetattr(self.slave) != self.cooked:
            fail("the terminal is not given back as it was", self.said[-1000:])
        os.close(self.master)
        os.close(self.slave)
        return self.process.returncode
