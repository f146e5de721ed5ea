"""A small disk: a tmpfs filled to the byte, or where none may be mounted a limit on files."""

import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SIZE = 8 * 2**20
FILLER = "filler"


@dataclass(frozen=True)
class Disk:
    """A folder on a disk of its own; not `mounted`, it is a folder like any other."""

    folder: Path
    mounted: bool

    @contextmanager
    def leaving(self, free: int) -> Iterator[None]:
        """Within the block so many bytes are free, or no file may grow beyond so many."""
        if not self.mounted:
            before = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (free, before[1]))
            try:
                yield
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
            return
        filler = self.folder / FILLER
        there = os.statvfs(self.folder)
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, there.f_bavail * there.f_frsize - free))
        try:
            yield
        finally:
            filler.unlink()


@contextmanager
def disk(folder: Path, size: int = SIZE) -> Iterator[Disk]:
    """Mounts a small disk as root, or in a namespace of one's own; where neither goes, a limit."""
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if not subprocess.run(mount, capture_output=True, check=False).returncode:
        try:
            yield Disk(folder, mounted=True)
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)
        return
    script = 'mount -t tmpfs -o size="$1" tmpfs "$2" && echo there && exec sleep infinity'
    unshared = ["unshare", "--user", "--map-root-user", "--mount"]
    keeper = subprocess.Popen(
        [*unshared, "sh", "-c", script, "sh", str(size), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert keeper.stdout is not None
        if keeper.stdout.readline() == "there\n":
            # The keeper's view of the files shows its mount.
            yield Disk(Path(f"/proc/{keeper.pid}/root{folder}"), mounted=True)
        else:
            yield Disk(folder, mounted=False)
    finally:
        keeper.send_signal(signal.SIGKILL)
        keeper.wait()


@contextmanager
def nobody() -> Iterator[None]:
    """Within the block this process has no rights but everybody's: root's would open anything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
