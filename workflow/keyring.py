"""Which public key an officer signs with, and the signing of what a pen writes.

A key belongs to one login from the event that added it until the one that revokes it, and not after
its last day. An officer who has a key signs everything; who has none, what the plan leaves unsigned
(`rules.signatures`).
"""

import json
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

from msgspec import Struct
from sqlalchemy import Connection, Row, bindparam, func, select

from states.errors import Reason, StepRefused
from states.facts import Actor
from states.vocabulary import Role
from workflow import signing, tables
from workflow.db import Database
from workflow.errors import NotPermitted
from workflow.signing import PublicKey, Signer

KEY = tables.OFFICER_KEY
_JOURNAL = tables.JOURNAL


class OfficerKey(Struct, frozen=True):
    """A public key of the officers' register; `revoked_seq` is None while it is in use."""

    login: str
    public: PublicKey
    added_seq: int
    valid_until: date | None
    revoked_seq: int | None


_ALL = select(KEY).order_by(KEY.c.added_seq)
# Of several the last counts, as in `in_use`.
_IN_USE = (
    select(KEY)
    .where(KEY.c.login == bindparam("login"), KEY.c.revoked_seq.is_(None))
    .order_by(KEY.c.added_seq.desc())
    .limit(1)
)


def all_keys(connection: Connection) -> tuple[OfficerKey, ...]:
    """Every key that was ever registered, in the order of registration."""
    return tuple(map(_key, connection.execute(_ALL)))


def in_use(connection: Connection) -> Mapping[str, OfficerKey]:
    """The key of each login that has one which is not revoked."""
    return {key.login: key for key in all_keys(connection) if key.revoked_seq is None}


def _in_use_of(connection: Connection, login: str) -> OfficerKey | None:
    """This login's key that is not revoked."""
    row = connection.execute(_IN_USE, {"login": login}).first()
    return None if row is None else _key(row)


def _key(row: Row[tuple[str, str, int, date | None, int | None]]) -> OfficerKey:
    return OfficerKey(
        row.login,
        signing.public_key(row.key, "officer_key"),
        row.added_seq,
        row.valid_until,
        row.revoked_seq,
    )


def unlock(
    database: Database,
    login: str,
    *,
    agent: str | None,
    file: Path | None,
    ask: Callable[[str], str],
) -> Signer | None:
    """What this login signs with: ssh-agent's key, or that of the file; None if it has no key.

    `ask` is called with the file's name for its passphrase. Raises NotPermitted when the registered
    key is not to be had, BadFile for a file that cannot be opened.
    """
    with database.reading() as connection:
        registered = in_use(connection).get(login)
    if registered is None:
        return None
    held: Signer | None = signing.agent_key(agent, registered.public) if agent else None
    if held is None and file is not None:
        held = signing.file_key(file, ask)
    if held is None or held.key != registered.public:
        raise _not_at_hand(registered, held)
    return held


def _not_at_hand(registered: OfficerKey, held: Signer | None) -> NotPermitted:
    found = f"给出的是另一把密钥（{held.key.fingerprint}）" if held else "没有找到这把密钥"
    return NotPermitted(
        f"账号“{registered.login}”登记了公钥 {registered.public.fingerprint}，"
        f"办理须用它签名；{found}",
        place="--key-file",
        remedy="用 ssh-add 加入密钥，或加 --key-file 密钥文件（环境变量 XIANLI_KEY）；"
        "密钥遗失请县清洁取暖办 officer key revoke 后另登记",
        code="signature_needed",
    )


class Hand:
    """What a pen signs with: the actor's key as registered, and the plan's policy."""

    def __init__(
        self, connection: Connection, actor: Actor, today: date, policy: frozenset[str]
    ) -> None:
        self._connection = connection
        self._actor = actor
        self._today = today
        self._key = _in_use_of(connection, actor.login)
        self._policy = policy
        self._space = _namespace(connection) if self._key else ""
        options = connection.get_execution_options()
        self._signer: Signer | None = options.get("xianli_signer")
        self._rehearsing = "xianli_rehearsal" in options

    def sign(self, stream: str, kind: str, body: bytes) -> str | None:
        """The signature over an event's bytes, None where none is due or nothing will be written.

        Raises NotPermitted for a key that is not at hand or past its day, StepRefused when the plan
        wants a signature of somebody who has no key.
        """
        if self._actor.role is Role.SYSTEM:
            return None
        if self._key is None:
            self._require_none(stream, kind)
            return None
        until = self._key.valid_until
        if until is not None and self._today > until:
            raise NotPermitted(
                f"账号“{self._actor.login}”的公钥有效期到 {until}，已过期",
                place="--as",
                remedy="请县清洁取暖办 officer key revoke 后登记新的公钥",
                code="key_expired",
            )
        if self._rehearsing:
            return None
        if self._signer is None or self._signer.key != self._key.public:
            raise _not_at_hand(self._key, self._signer)
        return signing.sign(self._signer, body, self._space)

    def _require_none(self, stream: str, kind: str) -> None:
        wanted = "all" in self._policy or (stream.startswith("case:") and kind in self._policy)
        # Somebody must be able to register the first key.
        if not wanted or (stream == "officers" and not _any_key(self._connection)):
            return
        told = f"计划要求此项签名，账号“{self._actor.login}”没有登记公钥"
        raise StepRefused(
            told,
            place="--as",
            remedy="本人用 xianli officer key new 生成密钥，县清洁取暖办 officer key add 登记公钥",
            reasons=[
                Reason("signature", "计划 rules.signatures", told, who=Role.COUNTY_OFFICE),
            ],
        )


def _any_key(connection: Connection) -> bool:
    return bool(connection.execute(select(func.count()).select_from(KEY)).scalar())


def _namespace(connection: Connection) -> str:
    first = connection.execute(select(_JOURNAL.c.body).where(_JOURNAL.c.seq == 1)).scalar_one()
    return signing.namespace(drill=json.loads(first)["evidence"]["drill"] is True)
