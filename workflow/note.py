"""The texts that pass between the county and its witness, as C2SP defines them.

A checkpoint (c2sp.org/tlog-checkpoint): origin, size, root. A request (c2sp.org/tlog-witness): the
size that the witness signed last, the proof from there, the checkpoint. A receipt: the checkpoint
with the witness's dated signature (c2sp.org/tlog-cosignature).
"""

import base64
import binascii
import hashlib
import re
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from workflow import signing
from workflow.errors import BadFile
from workflow.signing import PublicKey, Signer
from workflow.tree import SIZE

COSIGNATURE = b"\x04"
DASH = "\u2014"
LARGEST = 10**15
_NUMBER = re.compile(r"0|[1-9][0-9]{0,15}")
_NAME = re.compile(r"[!-*,-~]{1,100}")


class Checkpoint(Struct, frozen=True):
    """The first `size` events of the journal `origin` have this root (32 bytes)."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The lines that a witness signs."""
        lines = (self.origin, str(self.size), _base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)

    @property
    def root_text(self) -> str:
        """The root as the text has it."""
        return _base64(self.root)


class Request(Struct, frozen=True):
    """A checkpoint for a witness, with the proof that it extends the one of `old` events."""

    old: int
    proof: tuple[bytes, ...]
    checkpoint: Checkpoint

    @property
    def text(self) -> str:
        """The request's file."""
        proof = "".join(f"{_base64(one)}\n" for one in self.proof)
        return f"old {self.old}\n{proof}\n{self.checkpoint.text}"


class Signature(Struct, frozen=True):
    """A signature line: the name of who signed, the hash of name and key, the rest."""

    name: str
    key_id: bytes
    payload: bytes


class Receipt(Struct, frozen=True):
    """A checkpoint as a witness gave it back."""

    checkpoint: Checkpoint
    signatures: tuple[Signature, ...]
    text: str


class WitnessKey(Struct, frozen=True):
    """A witness's name and public key."""

    name: str
    public: PublicKey

    @property
    def id(self) -> bytes:
        """The four bytes by which a signature line names the key."""
        named = self.name.encode() + b"\n" + COSIGNATURE + self.public.raw
        return hashlib.sha256(named).digest()[:4]

    @property
    def line(self) -> str:
        """`name+id+key`, what the witness hands to the county."""
        return f"{self.name}+{self.id.hex()}+{_base64(COSIGNATURE + self.public.raw)}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    """What `_base64` wrote. Raises ValueError for any other spelling."""
    data = base64.b64decode(text, validate=True)
    if _base64(data) != text:
        raise ValueError("not canonical")
    return data


def _hash(text: str) -> bytes:
    data = _bytes(text)
    if len(data) != SIZE:
        raise ValueError("no hash")
    return data


def _size(text: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) > LARGEST:
        raise ValueError("no size")
    return int(text)


def _checkpoint(text: str) -> Checkpoint:
    origin, size, root, *extensions = text.removesuffix("\n").split("\n")
    shown = all(line and line.isprintable() for line in (origin, *extensions))
    if not text.endswith("\n") or not shown:
        raise ValueError("no checkpoint")
    return Checkpoint(origin, _size(size), _hash(root), tuple(extensions))


def _signature(line: str) -> Signature:
    dash, name, data = line.split(" ")
    blob = _bytes(data)
    if dash != DASH or not _NAME.fullmatch(name) or len(blob) < 5:
        raise ValueError("no signature")
    return Signature(name, blob[:4], blob[4:])


def read_request(text: str, place: str) -> Request:
    """The request in a file; signatures under its checkpoint are passed over. Raises BadFile."""
    try:
        head, _, rest = text.partition("\n\n")
        old, *proof = head.split("\n")
        body, blank, _ = rest.partition("\n\n")
        if not old.startswith("old "):
            raise ValueError("no request")
        found = _checkpoint(body + "\n" if blank else body)
        return Request(_size(old[4:]), tuple(map(_hash, proof)), found)
    except (ValueError, binascii.Error) as error:
        raise BadFile(
            "这不是送给见证人的检查点文件，或内容残缺",
            place=place,
            remedy="请县清洁取暖办重新生成：xianli audit checkpoint 文件",
        ) from error


def read_receipt(text: str, place: str) -> Receipt:
    """The receipt in a file. Raises BadFile."""
    try:
        body, _, signatures = text.partition("\n\n")
        if not signatures.endswith("\n"):
            raise ValueError("no signatures")
        lines = signatures.removesuffix("\n").split("\n")
        return Receipt(_checkpoint(body + "\n"), tuple(map(_signature, lines)), text)
    except (ValueError, binascii.Error) as error:
        raise BadFile(
            "这不是见证人的回执，或内容残缺", place=place, remedy="请见证人重新发来回执文件"
        ) from error


def read_witness_key(text: str, place: str) -> WitnessKey:
    """The key in the line that a witness hands over. Raises BadFile."""
    try:
        name, key_id, data = text.strip().split("+", 2)
        blob = _bytes(data)
        if _NAME.fullmatch(name) and blob[:1] == COSIGNATURE and len(blob) == 33:
            key = WitnessKey(name, PublicKey(blob[1:]))
            if key.id.hex() == key_id:
                return key
    except (ValueError, binascii.Error):
        pass
    raise BadFile(
        "不是见证人的公钥", place=place, remedy="用见证目录里的 witness.pub 文件（名称+编号+公钥）"
    )


def _signed(checkpoint: Checkpoint, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{checkpoint.text}".encode()


def cosign(checkpoint: Checkpoint, name: str, signer: Signer, at: datetime) -> Receipt:
    """The checkpoint with a signature that is dated to the second."""
    seconds = int(at.timestamp())
    raw = signer.sign(_signed(checkpoint, seconds))
    payload = seconds.to_bytes(8, "big") + raw
    key_id = WitnessKey(name, signer.key).id
    text = f"{checkpoint.text}\n{DASH} {name} {_base64(key_id + payload)}\n"
    return Receipt(checkpoint, (Signature(name, key_id, payload),), text)


def cosigned_at(receipt: Receipt, key: WitnessKey) -> datetime | None:
    """When this witness signed the receipt (UTC); None when it did not."""
    for one in receipt.signatures:
        if (one.name, one.key_id, len(one.payload)) != (key.name, key.id, 72):
            continue
        seconds = int.from_bytes(one.payload[:8], "big")
        message = _signed(receipt.checkpoint, seconds)
        if seconds < LARGEST and signing.verifies(one.payload[8:], message, key.public):
            return _instant(seconds)
    return None


def _instant(seconds: int) -> datetime | None:
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return None


def read_checkpoint(text: str, place: str) -> Checkpoint:
    """The checkpoint in a text. Raises BadFile."""
    try:
        return _checkpoint(text)
    except (ValueError, binascii.Error) as error:
        raise BadFile("这不是检查点，或内容残缺", place=place) from error
