"""A root file system of busybox alone."""

import os
import shutil
import subprocess

_DIRECTORIES = [
    "bin",
    "dev",
    "etc",
    "home",
    "lib",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "usr/bin",
    "var/tmp",
]


def make_rootfs(path: str) -> str:
    """Makes a busybox root file system at ``path``, which must not exist, and returns ``path``."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise FileNotFoundError("busybox is not installed")
    for name in _DIRECTORIES:
        os.makedirs(f"{path}/{name}")
    os.chmod(f"{path}/tmp", 0o1777)
    shutil.copy(busybox, f"{path}/bin/busybox")
    applets = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True)
    for applet in applets.stdout.split():
        if applet != "busybox":
            os.symlink("busybox", f"{path}/bin/{applet}")
    _write(f"{path}/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home:/bin/sh\n")
    _write(f"{path}/etc/group", "root:x:0:\nuser:x:1000:\n")
    _write(f"{path}/etc/hosts", "127.0.0.1 localhost\n")
    return path


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
