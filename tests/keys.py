"""Officers' keys for the tests: real files, the real ssh-agent, the real ssh-keygen."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import county
import pytest
from county import County

from workflow import setup, signing
from workflow.signing import FileKey, PublicKey

PASSPHRASE = "先立后破 2023"
needs_openssh = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None or shutil.which("ssh-agent") is None,
    reason="ssh-keygen and ssh-agent are not installed: apt install openssh-client",
)


def never_asked(name: str) -> str:
    raise AssertionError(f"asked for the passphrase of {name}")


def stock_key(file: Path, passphrase: str = "", kind: str = "ed25519") -> Path:
    """A key made by the real ssh-keygen."""
    asked = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "x@y", "-f", str(file)]
    subprocess.run(asked, check=True)
    return file


def accepted_by_ssh_keygen(
    folder: Path, key: PublicKey, message: bytes, signature: str, space: str
) -> bool:
    """What stock `ssh-keygen -Y verify` says of a signature of the journal."""
    allowed, armored = folder / "allowed_signers", folder / "event.sig"
    allowed.write_text(f"officer {key.line}\n")
    armored.write_text(signing.armored(signature))
    named = ("-f", str(allowed), "-I", "officer", "-n", space, "-s", str(armored))
    done = subprocess.run(
        ["ssh-keygen", "-Y", "verify", *named], input=message, capture_output=True, check=False
    )
    return done.returncode == 0


@contextmanager
def agent() -> Iterator[str]:
    """The socket of a real ssh-agent that ends with the block."""
    # A socket's path must be short: pytest's own folders may not be.
    folder = tempfile.mkdtemp(prefix="agent-")
    address = f"{folder}/socket"
    process = subprocess.Popen(
        ["ssh-agent", "-D", "-a", address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not os.path.exists(address):
            assert process.poll() is None
        yield address
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def add_to_agent(address: str, file: Path) -> None:
    """`ssh-add FILE` for a key without passphrase."""
    environment = {**os.environ, "SSH_AUTH_SOCK": address}
    subprocess.run(["ssh-add", "-q", str(file)], env=environment, check=True)


def key_file(folder: Path, name: str) -> Path:
    """A key as `officer key new` makes it."""
    file = folder / name
    signing.new_key(file, PASSPHRASE, name)
    return file


def opened(file: Path) -> FileKey:
    return signing.file_key(file, lambda name: PASSPHRASE)


def register_key(
    place: County, folder: Path, login: str, until: date | None = None, actor: str = "zhang"
) -> FileKey:
    """A new key of this login, registered on the day the cases are confirmed."""
    file = key_file(folder, f"{login}-{len(list(folder.iterdir()))}")
    now = county.noon(county.CONFIRMED)
    setup.add_key(place.database, login, Path(f"{file}.pub"), until, actor=actor, now=now)
    return opened(file)


@contextmanager
def signing_with(place: County, key: FileKey | None) -> Iterator[None]:
    """Whatever is written within the block is written by who holds this key."""
    before, place.database.unlock = place.database.unlock, lambda: key
    try:
        yield
    finally:
        place.database.unlock = before
