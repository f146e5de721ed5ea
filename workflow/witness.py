"""The outside witness: keeps what it signed last of each journal and signs only what extends it.

It needs no database of ours: a directory that it owns is its whole memory. What it has signed is on
the disk before its receipt leaves.
"""

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from states.errors import UsageFault
from workflow import note, signing
from workflow.errors import BadFile, Conflict, JournalBroken
from workflow.note import Checkpoint, Receipt, Request, WitnessKey
from workflow.tree import verify_consistency

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

SECRET, PUBLIC, LOCK = "witness.key", "witness.pub", "lock"


class Witnessed(Struct, frozen=True):
    """What `audit witness` did: the receipt's file, and whether this journal was new to it."""

    receipt: Receipt
    key: WitnessKey
    file: Path
    public: Path
    first: bool
    at: datetime


def witness(file: Path, state: Path, name: str | None, now: datetime) -> Witnessed:
    """Signs the checkpoint in a request if it extends what was signed last, and keeps it.

    The receipt goes beside the request, `FILE.receipt`. Raises BadFile for no request, Conflict
    when the request begins elsewhere than our memory ends, JournalBroken for a rollback or a fork.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(f"读不到 {file}", place=str(file), remedy="核对文件名") from error
    request = note.read_request(text, str(file))
    answer = file.with_name(f"{file.name}.receipt")
    with _alone(state):
        signer = signing.witness_key(state / SECRET)
        key = _named(state, signer.key, name)
        memory = state / f"{_digest(request.checkpoint.origin)}.receipt"
        known = _remembered(memory)
        _require_extension(known, request, str(file))
        receipt = note.cosign(request.checkpoint, key.name, signer, now)
        write(memory, receipt.text)
        write(answer, receipt.text)
    return Witnessed(receipt, key, answer, state / PUBLIC, first=known is None, at=now)


def _digest(origin: str) -> str:
    return hashlib.sha256(origin.encode()).hexdigest()[:32]


def _remembered(memory: Path) -> Checkpoint | None:
    if not memory.exists():
        return None
    return note.read_receipt(memory.read_text(encoding="utf-8"), str(memory)).checkpoint


def _named(state: Path, public: signing.PublicKey, name: str | None) -> WitnessKey:
    """The witness's name and key, the same for ever. Raises UsageFault for another name."""
    file = state / PUBLIC
    if not file.exists():
        chosen = name or f"witness-{public.raw.hex()[:8]}"
        line = WitnessKey(chosen, public).line
        try:
            note.read_witness_key(line, "--name")
        except BadFile as error:
            raise UsageFault(
                f"名称“{chosen}”不合要求", place="--name", remedy="用英文字母、数字和 . - _ /"
            ) from error
        write(file, f"{line}\n")
    key = note.read_witness_key(file.read_text(encoding="utf-8"), str(file))
    if key.public != public:
        raise BadFile(f"{file} 与密钥不符", place=str(file), remedy="恢复见证目录的备份")
    if name is not None and name != key.name:
        raise UsageFault(f"这个见证人的名称是“{key.name}”，不能更改", place="--name")
    return key


def _require_extension(known: Checkpoint | None, request: Request, place: str) -> None:
    """Raises unless the request's checkpoint extends the one that is known."""
    new = request.checkpoint
    size, root = (known.size, known.root) if known is not None else (0, b"")
    if new.size < size:
        raise JournalBroken(
            f"倒退：已见证过 {size} 条，送来的检查点只有 {new.size} 条；没有签名",
            place=place,
            remedy="如不是误送旧文件，说明日志被截短或恢复成旧备份：保留两份文件，报审计人员",
            code="rollback",
        )
    if new.size == size and new.root != root:
        raise _fork(place, size)
    if request.old != size:
        raise Conflict(
            f"送来的证明从第 {request.old} 条起，本见证人签到第 {size} 条；没有签名",
            place=place,
            remedy=f"请县清洁取暖办重新生成：xianli audit checkpoint 文件 --since {size}",
            code="not_from_here",
        )
    if size and not verify_consistency(size, new.size, request.proof, root, new.root):
        raise _fork(place, size)


def _fork(place: str, size: int) -> JournalBroken:
    return JournalBroken(
        f"分叉：送来的检查点不是在已见证的 {size} 条之上续写的；没有签名",
        place=place,
        remedy="保留这份文件和见证目录，报审计人员：已见证的日志被改写过，或文件损坏",
        code="fork",
    )


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """The directory, made if need be, for one process at a time."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(state / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise BadFile(
            f"见证目录 {state} 用不了：{error.strerror}", place="--state", remedy="检查目录权限"
        ) from error
    try:
        if sys.platform == "win32":
            msvcrt.locking(handle, msvcrt.LK_LOCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write(file: Path, text: str) -> None:
    """Puts a text into a file whole or not at all; it is on the disk when this returns.

    Raises BadFile.
    """
    half = file.with_name(f"{file.name}.part")
    try:
        with half.open("w", encoding="utf-8", newline="\n") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        half.replace(file)
    except OSError as error:
        with suppress(OSError):
            half.unlink(missing_ok=True)
        raise BadFile(
            f"写不了 {file}：{error.strerror}",
            place=str(file),
            remedy="检查目录权限和磁盘空间，再运行一次",
        ) from error
    if sys.platform != "win32":
        folder = os.open(file.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
