# SPDX-License-Identifier: Apache-2.0
# Running Bochs: an image that its firmware can boot, its settings, its terminal, its serial port.

import os
import pty
import shutil
import signal
import subprocess
import threading

SETTINGS = """
config_interface: textconfig
display_library: term
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/vgabios/vgabios.bin
megs: {memory}
cpu: model={model}, count=1, ips={ips}, reset_on_triple_fault={resets}
clock: sync=none, rtc_sync=0, time0=utc
ata0-master: type=cdrom, path={iso}, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev={serial}
log: {log}
panic: action=fatal
error: action=ignore
info: action=ignore
mouse: enabled=0
speaker: enabled=0
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
"""
ENDED = "BENCH ended"  # the last line of the serial port when Bochs has ended


def make_iso(folder, files, entry):
    """An image with `files` (name: path) in /boot, booted by GRUB as the lines of `entry` say; made once in a folder."""
    image = folder / "guest.iso"
    if not image.exists():
        tree = folder / "iso"
        (tree / "boot/grub").mkdir(parents=True)
        for name, path in files.items():
            shutil.copy(path, tree / "boot" / name)
        lines = "\n".join(f" {line}" for line in entry)
        (tree / "boot/grub/grub.cfg").write_text(f"set timeout=0\nmenuentry guest {{\n{lines}\n}}\n")
        subprocess.run(["grub-mkrescue", "-o", image, tree], check=True, capture_output=True)
    return image


def start(folder, iso, program="bochs", model="corei7_haswell_4770", ips="100000000", memory=512, resets=False):
    """Returns the process and a file from which its serial port is read.

    Bochs wants a terminal to draw on and its debugger told to go on; the serial port is a FIFO.
    """
    serial, script, settings = folder / "serial", folder / "debugger", folder / "bochsrc"
    if not serial.exists():
        os.mkfifo(serial)
    fifo = os.open(serial, os.O_RDWR)  # held for writing too, since Bochs opens it late, and for the news of its end
    script.write_text("c\nq\n")
    settings.write_text(SETTINGS.format(memory=memory, model=model, ips=ips, iso=iso, serial=serial, log=folder / "bochs.log", resets=int(resets)))
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm"}
    command = [program, "-q", "-f", settings, "-rc", script]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True)
    os.close(theirs)

    def drain():
        try:
            while os.read(ours, 65536):
                pass
        except OSError:  # the other end is closed
            os.close(ours)

    def tell_end():
        process.wait()
        os.write(news, f"{ENDED}\n".encode())
        os.close(news)

    news = os.dup(fifo)
    for task in (drain, tell_end):
        threading.Thread(target=task, daemon=True).start()
    return process, open(fifo, "rb")


def stop(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
