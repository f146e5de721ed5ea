"""Ed25519 keys and signatures, and where they come from: a key file, ssh-agent, a witness.

The one place that knows `cryptography`. Keys are OpenSSH's, an officer's signature is framed as
SSHSIG, so that stock `ssh-keygen` makes the one and checks the other. A signature is kept as the
base64 of the SSHSIG blob, which `armored` writes as ssh-keygen reads it.
"""

import base64
import binascii
import hashlib
import os
import socket
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from workflow.errors import BadFile

if TYPE_CHECKING:
    # Loaded where a key is used: most commands of most counties use none.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ALGORITHM = b"ssh-ed25519"
MAGIC = b"SSHSIG"
HASHED_BY = b"sha512"
# ssh-agent's protocol (draft-ietf-sshm-ssh-agent): what is asked, what is answered.
ASK_KEYS, KEYS, ASK_SIGNATURE, SIGNATURE = 11, 12, 13, 14
AGENT_SECONDS = 60


def namespace(*, drill: bool) -> str:
    """What a signature is for: one made in a drill says nothing in a real database."""
    return "xianli-drill@v1" if drill else "xianli-event@v1"


class PublicKey(Struct, frozen=True):
    """The public half of an Ed25519 key."""

    raw: bytes

    @property
    def blob(self) -> bytes:
        """The key as OpenSSH writes it on the wire."""
        return _string(ALGORITHM) + _string(self.raw)

    @property
    def line(self) -> str:
        """`ssh-ed25519 AAAA…`, as in a `.pub` file, without comment."""
        return f"{ALGORITHM.decode()} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """`SHA256:…`, as `ssh-keygen -l` shows it."""
        shown = base64.b64encode(hashlib.sha256(self.blob).digest()).decode()
        return f"SHA256:{shown.rstrip('=')}"


class Signer(Protocol):
    """Whoever holds a private key."""

    @property
    def key(self) -> PublicKey:
        """The public half."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The raw signature, 64 bytes, over the message as it is."""
        ...


class FileKey(Struct, frozen=True):
    """A private key that was read and unlocked; it signs without asking again."""

    private: "Ed25519PrivateKey"

    @property
    def key(self) -> PublicKey:
        """The public half."""
        return PublicKey(self.private.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """The raw signature."""
        return self.private.sign(message)


class AgentKey:
    """A key that ssh-agent holds; the connection stays open for the next signature."""

    def __init__(self, connection: socket.socket, key: PublicKey) -> None:
        self._connection = connection
        self._key = key

    @property
    def key(self) -> PublicKey:
        """The public half."""
        return self._key

    def sign(self, message: bytes) -> bytes:
        """The raw signature. Raises BadFile when the agent refuses or has gone."""
        asked = bytes([ASK_SIGNATURE]) + _string(self._key.blob) + _string(message)
        try:
            answer = _ask(self._connection, asked + struct.pack(">I", 0))
            if answer[0] == SIGNATURE:
                signature, _ = _take(answer[1:])
                algorithm, rest = _take(signature)
                raw, _ = _take(rest)
                if algorithm == ALGORITHM and len(raw) == 64:
                    return raw
        except (OSError, ValueError, IndexError):
            pass
        raise BadFile(
            "ssh-agent 没有签名：密钥已被移除、被锁定，或签名请求被拒绝",
            place="SSH_AUTH_SOCK",
            remedy="用 ssh-add 重新加入密钥，或用 --key-file 指明密钥文件",
            code="agent_refused",
        )


# Frames on the wire ---------------------------------------------------------------------------


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _take(data: bytes) -> tuple[bytes, bytes]:
    """The first string and the rest. Raises ValueError when there is none."""
    if len(data) < 4:
        raise ValueError("truncated")
    length = int.from_bytes(data[:4], "big")
    if len(data) < 4 + length:
        raise ValueError("truncated")
    return data[4 : 4 + length], data[4 + length :]


def framed(message: bytes, space: str) -> bytes:
    """What is signed for a message: SSHSIG over its SHA-512, within a namespace."""
    parts = (space.encode(), b"", HASHED_BY, hashlib.sha512(message).digest())
    return MAGIC + b"".join(map(_string, parts))


def sign(signer: Signer, message: bytes, space: str) -> str:
    """The signature over a message, as the journal keeps it."""
    raw = signer.sign(framed(message, space))
    signature = _string(ALGORITHM) + _string(raw)
    parts = (signer.key.blob, space.encode(), b"", HASHED_BY, signature)
    blob = MAGIC + struct.pack(">I", 1) + b"".join(map(_string, parts))
    return base64.b64encode(blob).decode()


def armored(signature: str) -> str:
    """A signature of the journal as `ssh-keygen -Y verify -s` reads it."""
    lines = [signature[start : start + 70] for start in range(0, len(signature), 70)]
    return "\n".join(("-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""))


# Keys -----------------------------------------------------------------------------------------


def public_key(text: str, place: str) -> PublicKey:
    """The key in the text of a `.pub` file. Raises BadFile when it is none, or no Ed25519 key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    words = text.split()
    if "PRIVATE KEY-----" in text:
        raise BadFile(
            "这是私钥文件：私钥只归本人保管，不要交给任何人",
            place=place,
            remedy="登记的是公钥，即同名的 .pub 文件；这份私钥若已传给别人，请重新生成",
        )
    try:
        blob = base64.b64decode(words[1], validate=True)
        algorithm, rest = _take(blob)
        raw, rest = _take(rest)
        if words[0].encode() == algorithm == ALGORITHM and len(raw) == 32 and not rest:
            Ed25519PublicKey.from_public_bytes(raw)
            return PublicKey(raw)
    except (IndexError, ValueError, binascii.Error):
        pass
    raise BadFile(
        "不是 Ed25519 公钥文件",
        place=place,
        remedy="用 xianli officer key new 或 ssh-keygen -t ed25519 生成，登记其中的 .pub 文件",
    )


def read_public(path: Path) -> PublicKey:
    """The key in a `.pub` file. Raises BadFile."""
    try:
        return public_key(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(f"读不到公钥文件 {path}", place=str(path), remedy="核对文件名") from error


def new_key(path: Path, passphrase: str, comment: str) -> PublicKey:
    """Makes a key: `path` encrypted under the passphrase, `path.pub` beside it.

    Raises BadFile when either is there already or cannot be written.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    # It warns of an algorithm that it knows and we do not use.
    with warnings.catch_warnings(action="ignore"):
        from cryptography.hazmat.primitives.serialization import (
            BestAvailableEncryption,
            Encoding,
            PrivateFormat,
        )

    public = path.with_name(f"{path.name}.pub")
    if public.exists():
        raise BadFile(f"{public} 已存在", place=str(public), remedy="换一个文件名")
    private = Ed25519PrivateKey.generate()
    lock = BestAvailableEncryption(passphrase.encode())
    _write_private(path, private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, lock))
    key = FileKey(private).key
    public.write_text(f"{key.line} {comment}\n", encoding="utf-8")
    return key


def _write_private(path: Path, content: bytes) -> None:
    """A new file that only its owner may read, on the disk when this returns."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise BadFile(f"{path} 已存在", place=str(path), remedy="换一个文件名") from error
    except OSError as error:
        raise BadFile(f"写不了 {path}：{error.strerror}", place=str(path)) from error
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def file_key(path: Path, ask: Callable[[str], str]) -> FileKey:
    """The key in an OpenSSH private key file; `ask` is called for the passphrase if it has one.

    Raises BadFile when the file is no such key or the passphrase is wrong.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    with warnings.catch_warnings(action="ignore"):
        from cryptography.hazmat.primitives.serialization import load_ssh_private_key

    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadFile(f"读不到密钥文件 {path}", place=str(path), remedy="核对文件名") from error
    try:
        private = load_ssh_private_key(content, None)
    except ValueError:
        raise _no_key(path) from None
    except (TypeError, UnsupportedAlgorithm):
        try:
            private = load_ssh_private_key(content, ask(path.name).encode())
        except (ValueError, TypeError) as error:
            raise BadFile(
                f"打不开密钥文件 {path}：口令不对",
                place=str(path),
                remedy="再试一次；口令忘了只能由县清洁取暖办撤销这把公钥，另登记新的",
                code="wrong_passphrase",
            ) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise _no_key(path)
    return FileKey(private)


def _no_key(path: Path) -> BadFile:
    return BadFile(
        f"{path} 不是 OpenSSH 的 Ed25519 私钥文件",
        place=str(path),
        remedy="用 xianli officer key new 或 ssh-keygen -t ed25519 生成的私钥（不带 .pub 的那份）",
    )


# ssh-agent ------------------------------------------------------------------------------------


def agent_key(address: str, wanted: PublicKey) -> AgentKey | None:
    """The wanted key in the agent at this socket; None when it is not there."""
    if not hasattr(socket, "AF_UNIX"):
        return None
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # A person may have to confirm at the agent.
    connection.settimeout(AGENT_SECONDS)
    try:
        connection.connect(address)
        answer = _ask(connection, bytes([ASK_KEYS]))
        if answer[0] == KEYS and wanted.blob in _listed(answer[1:]):
            return AgentKey(connection, wanted)
    except (OSError, ValueError, IndexError):
        pass
    connection.close()
    return None


def _listed(answer: bytes) -> list[bytes]:
    found, rest = [], answer[4:]
    for _ in range(int.from_bytes(answer[:4], "big")):
        blob, rest = _take(rest)
        _, rest = _take(rest)
        found.append(blob)
    return found


def _ask(connection: socket.socket, message: bytes) -> bytes:
    connection.sendall(_string(message))
    length = int.from_bytes(_receive(connection, 4), "big")
    if length > 256 * 1024:
        raise ValueError("no agent's answer")
    return _receive(connection, length)


def _receive(connection: socket.socket, length: int) -> bytes:
    found = b""
    while len(found) < length:
        part = connection.recv(length - len(found))
        if not part:
            raise OSError("the agent has gone")
        found += part
    return found


# A witness's key, and plain signatures ----------------------------------------------------------


def witness_key(path: Path) -> FileKey:
    """The key in this file of 32 bytes, made at first use. Raises BadFile."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not path.exists():
        _write_private(path, Ed25519PrivateKey.generate().private_bytes_raw())
    try:
        return FileKey(Ed25519PrivateKey.from_private_bytes(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise BadFile(
            f"{path} 不是见证人的密钥", place=str(path), remedy="恢复见证目录的备份"
        ) from error


def verifies(raw: bytes, message: bytes, key: PublicKey) -> bool:
    """Whether this is the key's raw signature over the message."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key.raw).verify(raw, message)
    except (InvalidSignature, ValueError):
        return False
    return True
