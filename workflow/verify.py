"""The independent audit: was any old stove allowed to go before the new heating had run its season?

This file reads one bundle (docs/journal.md) and believes nothing in it that it can recompute: the
hashes, the chains, who was an officer, which step was open to whom, what the tables should say, and
for every permission the whole rule of design section 4, which rests on the notice, part 四:
未经过一个采暖季稳定运行的，绝不允许拆除原有供暖设施.

It shares no code with the program. It needs the standard library only, and `cryptography` to check
signatures; without it everything else is checked, and the report says that signatures were not.

    python workflow/verify.py BUNDLE.jsonl [--json] [--receipt FILE]…

A receipt is what the outside witness gave: bring those that the witness itself kept, for a bundle
can only be trusted to hold the ones that suit it.

Exit status: 0 nothing found; 1 permissions or removals against the rule; 6 the journal or a table
made from it does not verify; 2 wrong usage; 3 no readable bundle.

How to read it, from top to bottom, in one afternoon. The parts bear their numbers:

1. What may be found: the codes, a finding, the report.
2. What is allowed: states, steps, and who may record what, as tables.
3. How values are read: nothing is believed to be of the type that it should be.
4. Proof: Merkle tree, SSH signatures, receipts of a witness (formats: docs/proof.md).
5. What is read of an event and of a plan.
6. What is kept of a household while its stream is read.
7. `Audit`, the walk over the journal, event by event: bytes and chain; tree and receipts; who
   did it and under which plan; the registers. What is said of a household is laid by, and after
   the last event each household is replayed by itself, so that no more than a few of them are in
   memory at a time, however many there are; then the end.
8. `refusals`: the rule of section 4. The walk asks it when it meets a permission (what was known
   then) and again at the end (what is known now). Who has an hour reads this part only.
9. `removals`: what became of the old facilities, and whether a permission covered it.
10. What the tables in the bundle must say.
11. The report in words and as JSON, and the command.

A day is its ordinal number (1 = 0001-01-01), so that a run of days is a plain range. All days are
county-local; Shanghai is UTC+8 all year.
"""

import base64
import gc
import hashlib
import json
import marshal
import re
import sys
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from itertools import chain, pairwise
from operator import attrgetter, itemgetter
from tempfile import TemporaryFile
from typing import IO, Any

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    CAN_CHECK_SIGNATURES = True
except ImportError:
    CAN_CHECK_SIGNATURES = False


# ---------------------------------------------------------------- 1. what may be found

FINDING_CODES: dict[str, str] = {
    # integrity: exit status 6
    "header_differs": "文件头缺失，或所载事件数、演练标记与日志不符。",
    "line_malformed": "文件中有一行不是本格式的内容。",
    "seq_gap": "全局序号不连续：有事件缺失、重复或换了位置。",
    "hash_mismatch": "事件内容与其哈希不符：内容被改动过。",
    "bytes_not_canonical": "事件内容不是规范写法的 JSON。",
    "event_malformed": "事件内容读不出来，或缺少、多出字段，或字段类型不对。",
    "evidence_malformed": "事件的佐证缺少必需的值，或值读不出来。",
    "columns_differ": "日志表的列与被哈希的内容说法不同。",
    "chain_broken": "事件所记的上一事件哈希，与同一流的上一事件不符。",
    "version_gap": "同一流内的版本号不连续。",
    "recorded_at_backwards": "记录时间早于前一事件的记录时间。",
    "future_occurred": "发生日期晚于记录当日。",
    "genesis_malformed": "开头三个事件不是建库、采用方案、登记首位县级人员。",
    "kind_unknown": "该流中不应有这种事件。",
    "plan_malformed": "方案文本缺少规则所需的值，或值读不出来。",
    "unknown_plan": "事件所引方案不是当时有效的方案。",
    "plan_loosened": "修订方案放宽了先立后破的要求，或改动了已开始的采暖季。",
    "plan_one_person": "改动采暖季或核实的修订，没有经两人办理。",
    "actor_unknown": "经办人当时不在人员名册，或已停用。",
    "person_changed": "已登记的登录名被改给另一人。",
    "role_mismatch": "经办人的角色与当时的人员名册不符。",
    "role_not_allowed": "该角色无权办理此事，或此户不属其责任单位。",
    "separation": "应由不同的人办理的两件事由同一人办理。",
    "edge_not_allowed": "流程中没有这一步，或事件所记的原状态与推演不符。",
    "amendment_not_allowed": "登记更改了此时不能更改的内容。",
    "reference_unknown": "事件所指的另一事件不存在，或不是能这样指的事件。",
    "late_without_document": "补录超过方案规定的天数，却没有附补录材料。",
    "signature_missing": "登记了公钥的经办人没有签名，或方案要求签名的事件没有签名。",
    "signature_invalid": "签名与事件不符，或不是经办人当时有效的公钥所签。",
    "key_conflict": "登记的公钥已用过，该账号已有公钥，或撤销的不是在用的公钥。",
    "sample_differs": "审计抽样按所记种子重抽，总体或名单与所记不符。",
    "checkpoint_differs": "检查点所记的条数、名称或树根与此前的日志不符。",
    "receipt_differs": "日志与见证回执不符：见证之后被改写、截短，或恢复成了旧的备份。",
    "receipt_invalid": "见证回执读不出，是另一个库的，或没有已登记见证人的有效签名。",
    "projection_differs": "业务表与日志推演的结果不符，或多一行、少一行。",
    # lawfulness: exit status 1
    "permission_unlawful": "发出许可时，按当时已知的情况就不符合先立后破的规定。",
    "permission_undermined": "发出许可时合规，但此后记录的许可日及以前的情况使其不再成立。",
    "removed_without_permission": "没有有效许可，原取暖设施被拆除。",
    "removal_corrected_away": "曾登记无有效许可的拆除或封存，后被更正；更正不抹去原登记。",
    "sealed_without_permission": "没有有效许可，原取暖设施被封存。",
    "removed_while_suspended": "许可被中止期间，原取暖设施被拆除。",
    "sealed_while_suspended": "许可被中止期间，原取暖设施被封存。",
    "removed_on_unlawful_permission": "所凭的许可本身不合规，原取暖设施被拆除。",
    "sealed_on_unlawful_permission": "所凭的许可本身不合规，原取暖设施被封存。",
}


GRADES = {"witnessed": "有见证", "signed": "有签名", "clock_only": "仅凭时钟"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be; `code` is a key of FINDING_CODES."""

    code: str
    stream: str | None
    case: str | None
    seq: int | None
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """What the audit found; `integrity` and `removal` are in the order of the journal.

    `permitted`, `removed` and `lawful` count cases, as design section 9 defines them.
    """

    events: int
    cases: int
    integrity: tuple[Finding, ...]
    removal: tuple[Finding, ...]
    permitted: int
    removed: int
    lawful: int
    drill: bool
    # Of each case that verifies: `witnessed`, `signed` or `clock_only`, by its weakest event.
    grades: Mapping[str, str]
    quarantined: tuple[str, ...]
    signatures_checked: bool
    witnesses: tuple[str, ...]  # their keys, `name+id+key`: compare with the witness's own

    @property
    def proof(self) -> dict[str, int]:
        """How many cases have each grade."""
        held = list(self.grades.values())
        return {grade: held.count(grade) for grade in GRADES}


# ---------------------------------------------------------------- 2. what is allowed (design 3)

STATES = {
    "household_confirmation": "确村确户",
    "equipment_selection": "设备选型",
    "construction": "施工",
    "acceptance": "验收",
    "stable_season": "稳定运行一季",
    "removal_permitted": "允许拆除",
    "closed": "已退出",
}
CONFIRMATION, SELECTION, CONSTRUCTION, ACCEPTANCE, STABLE, PERMITTED, CLOSED = STATES
EDGES: dict[str, set[tuple[str | None, str]]] = {
    "registered": {(None, CONFIRMATION)},
    "confirm": {(CONFIRMATION, SELECTION)},
    "select": {(SELECTION, CONSTRUCTION)},
    "complete": {(CONSTRUCTION, ACCEPTANCE)},
    "reject": {(ACCEPTANCE, CONSTRUCTION)},
    "accept": {(ACCEPTANCE, STABLE)},
    "permit": {(STABLE, PERMITTED)},
    "overturn": {(STABLE, CONSTRUCTION), (PERMITTED, CONSTRUCTION)},
    "replace": {(STABLE, CONSTRUCTION), (PERMITTED, CONSTRUCTION)},
    "change_path": {(s, SELECTION) for s in (SELECTION, CONSTRUCTION, ACCEPTANCE, STABLE)},
    "revoke": {(PERMITTED, STABLE)},
    "send_back": {
        (SELECTION, CONFIRMATION), (CONSTRUCTION, SELECTION), (ACCEPTANCE, CONSTRUCTION),
    },
    "close": {(state, CLOSED) for state in STATES if state != CLOSED},
    "reinstate": {(CLOSED, CONFIRMATION)},
}  # fmt: skip

UNIT, COUNTY, ACCEPTOR = {"unit_officer", "unit_head"}, {"county_office"}, {"acceptor"}
ROLES = UNIT | COUNTY | ACCEPTOR | {"auditor"}  # `system`, the program itself, is nobody
# kind -> what people call it, and who may record it. The county office may record any fact.
CASE_KINDS: dict[str, tuple[str, set[str]]] = {
    "registered": ("登记", UNIT | COUNTY),
    "amended": ("更改登记", UNIT | COUNTY),
    "confirm": ("确户完成", UNIT),
    "select": ("选型完成", UNIT),
    "complete": ("施工完成", UNIT),
    "reject": ("验收不合格", ACCEPTOR),
    "accept": ("验收合格", ACCEPTOR),
    "permit": ("允许拆除", COUNTY),
    "overturn": ("抽查推翻", COUNTY),
    "replace": ("换机", UNIT),
    "change_path": ("换径", COUNTY),
    "revoke": ("撤销许可", COUNTY),
    "send_back": ("退回", COUNTY),
    "close": ("退出", COUNTY),
    "reinstate": ("恢复", COUNTY),
    "works": ("施工情况", UNIT | COUNTY),
    "notice": ("公示", UNIT | COUNTY),
    "old-facility": ("原设施", UNIT | COUNTY),
    "fault": ("故障", UNIT | COUNTY),
    "repair": ("修复", UNIT | COUNTY),
    "visit": ("入户测温", UNIT | COUNTY | ACCEPTOR),
    "signature": ("用户签字", UNIT | COUNTY),
    "violation": ("违规", UNIT | COUNTY),
    "complaint": ("投诉", UNIT | COUNTY),
    "finding": ("审计发现", COUNTY | {"auditor"}),
    "pause": ("暂停", UNIT | COUNTY),
    "resume": ("恢复施工", UNIT | COUNTY),
    "extension": ("延期", COUNTY),
    # A unit head resolves objections to a 公示 and nothing else: `references` looks after that.
    "resolve": ("销号", COUNTY | {"unit_head"}),
    "correct": ("更正", COUNTY),
}
FACTS = CASE_KINDS.keys() - EDGES.keys() - {"amended"}
OTHER_KINDS: dict[tuple[str, str], tuple[str, set[str]]] = {
    ("database", "init"): ("建库", COUNTY),
    ("plan", "plan_adopted"): ("采用方案", COUNTY),
    ("plan", "plan_proposed"): ("提出修订方案", COUNTY),
    ("officers", "officer_added"): ("登记人员", COUNTY),
    ("officers", "officer_disabled"): ("停用人员", COUNTY),
    ("officers", "key_added"): ("登记公钥", COUNTY),
    ("officers", "key_revoked"): ("撤销公钥", COUNTY),
    ("checkpoints", "checkpoint_made"): ("检查点", {"system"}),
    ("witnesses", "witness_added"): ("登记见证人", COUNTY),
    ("witnesses", "witness_revoked"): ("撤销见证人", COUNTY),
    ("quarantine", "quarantine_proposed"): ("提出隔离", COUNTY | {"auditor"}),
    ("quarantine", "quarantine_confirmed"): ("确认隔离", COUNTY | {"auditor"}),
    ("gates", "gate_opened"): ("网络就绪", COUNTY),
    ("catalogue", "catalogue_imported"): ("导入中标清单", COUNTY),
    ("calendar", "holidays_entered"): ("录入节假日", COUNTY),
    ("ledgers", "ledger_imported"): ("导入台账", UNIT | COUNTY),
    ("privacy", "revealed"): ("查看个人信息", ROLES),
    ("privacy", "erased"): ("抹去个人信息", COUNTY),
    ("samples", "sample_drawn"): ("抽样", {"auditor"}),
    ("samples", "sample_results"): ("抽查结果", {"auditor"}),
    ("letters", "letter_issued"): ("发函", {"system"}),
    ("letters", "letter_answered"): ("函件回执", UNIT | COUNTY),
    ("bulletins", "bulletin_published"): ("公布通报", COUNTY),
}
BULLETIN_PERIODS = ("week", "旬", "month")
GENESIS = (("database", "init"), ("plan", "plan_adopted"), ("officers", "officer_added"))

# Besides acceptance and readiness (design 4.2); not a `revoke` whose cause is a fault on paper.
RESTARTS = {"overturn", "replace", "change_path", "reinstate", "revoke"}
CASE_COLUMNS = ("unit", "village", "path", "kind", "area", "quota")
JOURNAL_COLUMNS = (
    "stream", "version", "previous", "kind", "from", "to", "occurred_on", "recorded_at",
    "actor", "role",
)  # fmt: skip
COLUMNS = itemgetter(*JOURNAL_COLUMNS)
EVENT_KEYS = {"schema", "reason", "evidence", "attachments", "plan", "personal", *JOURNAL_COLUMNS}

# What a repair, a resolution, a correction names: under which key, and what kind of fact it may be.
NAMED: dict[str, tuple[str, set[str]]] = {
    "repair": ("fault", {"fault"}),
    "resolve": ("id", {"violation", "complaint", "finding", "notice"}),
    "correct": ("id", FACTS | {"registered"}),
}
WORKS_DAYS = ("started_on", "installed_on", "ready_on", "first_heat_on")
# The numbers that section 4 and the register of late paper need of a plan, and which way is looser
# when it is revised (design 8); temperature and exempt paths are compared apart.
RULE_NUMBERS = (
    "required_seasons", "outage_days", "outage_days_total", "warm_visits",
    "first_heat_grace_days", "backdating_days",
)  # fmt: skip
RULES = (*RULE_NUMBERS, "warm_temperature", "exempt_paths")
LOOSER_UP = ("outage_days", "outage_days_total", "first_heat_grace_days")
LOOSER_DOWN = ("required_seasons", "warm_visits")
# The tables in the bundle that the journal makes, and the key of each.
TABLES = {
    "case": ("code",),
    "permission": ("seq",),
    "officer": ("login",),
    "gate": ("unit", "village", "kind"),
    "key": ("key",),
}


# ---------------------------------------------------------------- 3. reading values

FOREVER = 10**9  # a day that no calendar reaches
HASH = re.compile(r"[0-9a-f]{64}")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
LABEL = re.compile(r"([0-9]{4})-([0-9]{4})")
Object = Mapping[str, object]  # of JSON
Place = tuple[int, ...]  # of a finding in the report: the journal's order, then the end's
# What a spool keeps: whether it is of an event, a table's row, or a row as it must be; where that
# stands among the others; and plain values.
Row = tuple[str, Place, Any]
Link = tuple[object, object, str]  # what an event says of its version and previous hash; its hash
END = 10**15
Head = tuple[int, str | None]  # the end of a stream: version and hash
START: Head = (0, None)
# Within an event: its bytes, its link in the chain, what it says, what the household makes of it,
# the genesis; and what stands in the bundle after it.
BYTES, LINK, SAID, HOUSEHOLD, BEGUN, AFTER = range(6)


def sha256(written: str) -> str:
    """The hash of a text, in hex; what no file can hold is hashed as question marks."""
    return hashlib.sha256(written.encode("utf-8", "replace")).hexdigest()


PARSED = json.JSONDecoder().decode
# What was parsed goes round in no circle: that need not be looked for.
CANONICAL = json.JSONEncoder(
    sort_keys=True,
    ensure_ascii=False,
    allow_nan=False,
    check_circular=False,
    separators=(",", ":"),
).encode


def text(value: object) -> str | None:
    """A string that says something."""
    return value if isinstance(value, str) and value else None


def texts(value: object) -> tuple[str, ...] | None:
    """A list of strings; a single string is a list of one."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    return None


def mapping(value: object) -> Object:
    """A JSON object; anything else is an empty one."""
    return value if isinstance(value, dict) else {}


def an_object(value: object) -> Object | None:
    """A JSON object and nothing else."""
    return value if isinstance(value, dict) else None


def listed(value: object) -> list[object] | None:
    """A list of whatever."""
    return value if isinstance(value, list) else None


def whole(value: object) -> int | None:
    """A whole number, not negative; True is none."""
    return value if type(value) is int and 0 <= value < 10**15 else None


def event_id(value: object) -> int | None:
    """An event's id is its seq; evidence may carry it as text."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,15}", value):
        return int(value)
    return whole(value)


def number(value: object) -> Decimal | None:
    """A finite number, as JSON number or as text."""
    if type(value) not in (int, float, str):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


@lru_cache(maxsize=16384)
def read_day(written: str) -> int | None:
    """A date written YYYY-MM-DD and in no other way."""
    with suppress(ValueError):
        return date.fromisoformat(written).toordinal() if DAY.fullmatch(written) else None
    return None


def day(value: object) -> int | None:
    """The same of any value."""
    return read_day(value) if isinstance(value, str) else None


def days(value: object) -> list[int | None] | None:
    """A list of days, all of them readable."""
    found = [day(one) for one in value] if isinstance(value, list) else None
    return None if found is None or None in found else found


@lru_cache(maxsize=16384)
def shanghai_day(written: str) -> int | None:
    """The day in Shanghai (UTC+8) on which an instant in UTC falls; None if it is no instant."""
    with suppress(ValueError):
        if INSTANT.fullmatch(written):
            instant = datetime.fromisoformat(written)
            return instant.toordinal() + (1 if instant.hour >= 16 else 0)
    return None


def iso(ordinal: int | None) -> str:
    """A day as people write it."""
    if ordinal is None:
        return "日期不明"
    return date.fromordinal(ordinal).isoformat() if 1 <= ordinal <= 3652059 else "日历之外"


def same(one: object, other: object) -> bool:
    """Equal, and True is not 1."""
    return one == other and isinstance(one, bool) is isinstance(other, bool)


def show(value: object) -> str:
    """Any value, in a message: short, on one line, without control characters."""
    try:
        shown = "（空）" if value is None else str(value)
    except (ValueError, RecursionError):
        shown = "（写不下的值）"
    return "".join(letter if letter.isprintable() else "?" for letter in shown[:80])


# ---------------------------------------------------------------- 4. tree, signatures, receipts


class Tree:
    """The growing Merkle tree of RFC 6962, as the roots of its complete subtrees."""

    def __init__(self) -> None:
        self.size = 0
        self.peaks: list[tuple[int, bytes]] = []  # (leaves, hash), the largest first

    def append(self, leaf: bytes) -> None:
        """Add a leaf by its data."""
        leaves, found = 1, hashlib.sha256(b"\0" + leaf).digest()
        while self.peaks and self.peaks[-1][0] == leaves:
            found = hashlib.sha256(b"\1" + self.peaks.pop()[1] + found).digest()
            leaves *= 2
        self.peaks.append((leaves, found))
        self.size += 1

    def root(self) -> str:
        """The root in base64."""
        hashes = [found for _, found in self.peaks] or [hashlib.sha256().digest()]
        found = hashes.pop()
        while hashes:
            found = hashlib.sha256(b"\1" + hashes.pop() + found).digest()
        return base64.b64encode(found).decode()


def decoded(written: str) -> bytes:
    """Base64 in its one spelling. Raises ValueError for anything else."""
    data = base64.b64decode(written)
    if base64.b64encode(data).decode() != written:
        raise ValueError(written)
    return data


def strings(data: bytes) -> list[bytes]:
    """The length-prefixed strings that SSH writes one after another. Raises ValueError."""
    found = []
    while data:
        length = 4 + int.from_bytes(data[:4], "big")
        if len(data) < length:
            raise ValueError("truncated")
        found.append(data[4:length])
        data = data[length:]
    return found


def ssh_strings(*parts: bytes) -> bytes:
    """The reverse of `strings`."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def raw_key(written: object) -> bytes | None:
    """The 32 bytes of a public key written as in a `.pub` file, without comment."""
    with suppress(ValueError):
        kind, _, data = (text(written) or "").partition(" ")
        algorithm, raw = strings(decoded(data))
        if kind == "ssh-ed25519" and algorithm == b"ssh-ed25519" and len(raw) == 32:
            return raw
    return None


def read_signature(written: object) -> tuple[str, str, bytes] | None:
    """The public key, the namespace and the signature in an SSHSIG blob (base64)."""
    with suppress(ValueError):
        blob = decoded(text(written) or "")
        key, space, reserved, hashed, signature = strings(blob[10:])
        algorithm, raw = strings(signature)
        sound = (blob[:10], reserved, hashed, algorithm) == (
            b"SSHSIG\0\0\0\1", b"", b"sha512", b"ssh-ed25519",
        )  # fmt: skip
        if sound and len(raw) == 64:
            return f"ssh-ed25519 {base64.b64encode(key).decode()}", space.decode(), raw
    return None


def ssh_signed(message: bytes, space: str) -> bytes:
    """What SSHSIG signs for a message."""
    digest = hashlib.sha512(message).digest()
    return b"SSHSIG" + ssh_strings(space.encode(), b"", b"sha512", digest)


def signed_by(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the Ed25519 key signed the message."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Receipt:
    """A checkpoint with its signature lines: name, first bytes, rest."""

    origin: str
    size: int
    root: str
    body: str
    signatures: tuple[tuple[str, bytes, bytes], ...]


def read_receipt(written: object) -> Receipt | None:
    """A witness's receipt (docs/proof.md); None when it is none."""
    with suppress(ValueError):
        body, _, rest = (text(written) or "").partition("\n\n")
        origin, size, root, *_ = body.split("\n")
        signatures = []
        for line in rest.splitlines():
            dash, name, data = line.split(" ")
            if dash != "\u2014":
                raise ValueError(line)
            signatures.append((name, decoded(data)[:4], decoded(data)[4:]))
        if re.fullmatch(r"0|[1-9][0-9]{0,14}", size) and len(decoded(root)) == 32:
            return Receipt(origin, int(size), root, f"{body}\n", tuple(signatures))
    return None


def witness_key(written: object) -> tuple[str, bytes, bytes] | None:
    """Name, key id and key in the line of a witness, `name+id+key`."""
    with suppress(ValueError):
        name, key_id, data = (text(written) or "").split("+", 2)
        blob = decoded(data)
        if blob[:1] == b"\4" and len(blob) == 33:
            digest = hashlib.sha256(name.encode() + b"\n" + blob).digest()
            if digest[:4].hex() == key_id:
                return name, digest[:4], blob[1:]
    return None


def cosignatures(receipt: Receipt, line: str) -> list[bytes]:
    """Those signatures of a receipt that bear name and key id of this witness, good or not."""
    known = witness_key(line)
    return [payload for *named, payload in receipt.signatures if known and (*named,) == known[:2]]


def cosigned(receipt: Receipt, line: str) -> bool:
    """Whether the witness with this key signed the receipt (c2sp.org/tlog-cosignature)."""
    known = witness_key(line)
    for payload in cosignatures(receipt, line):
        seconds = int.from_bytes(payload[:8], "big")
        message = f"cosignature/v1\ntime {seconds}\n{receipt.body}".encode()
        if known and signed_by(known[2], message, payload[8:]):
            return True
    return False


# ---------------------------------------------------------------- 5. an event, a plan

# kind -> key -> how it is read; an event says nothing without a key that has no question mark.
EVIDENCE: dict[str, dict[str, Callable[[object], object]]] = {
    "confirm": {"old_facility?": texts},
    "complete": {"ready_on": day},
    "accept": {"facility?": texts},
    "change_path": {"path?": text, "quota?": text, "keep_device?": text, "old_facility?": texts},
    "reinstate": {"path?": text, "quota?": text},
    "revoke": {"cause?": text},
    "works": {"first_heat_on?": day},
    "old-facility": {"facility": texts, "status": text, "by?": text},
    "repair": {"fault": event_id},
    "visit": {"temperature": number},
    "signature": {"season": text},
    "violation": {"by?": text},
    "finding": {"severity": text},
    "resolve": {"id": event_id},
    "correct": {"id": event_id},
    "gate_opened": {"unit": text, "village": text, "kind": text, "opened_on": day},
    "holidays_entered": {"year": whole, "source": text, "off": days, "working": days},
    "officer_disabled": {"login": text},
    "key_added": {"login": text, "key": raw_key, "valid_until?": day},
    "key_revoked": {"login": text, "key": text},
    "witness_added": {"key": witness_key},
    "witness_revoked": {"key": text},
    "quarantine_proposed": {"code": text, "fingerprint": text},
    "quarantine_confirmed": {"code": text, "fingerprint": text, "proposal": event_id},
    "sample_drawn": {"seed": text, "states": texts, "by_unit": listed},
    "letter_issued": {"number": text, "kind": text, "unit": text, "matters": listed},
    "letter_answered": {"number": text},
    "bulletin_published": {
        "number": text,
        "period": text,
        "as_of": day,
        "known_seq": whole,
        "hash": text,
        "document": an_object,
    },
}


# -------- one event


@dataclass(slots=True)
class Event:
    """An event whose shape is sound. `heard` is the Shanghai day of `recorded_at`."""

    stream: str
    case: str | None
    recorded_at: str
    seq: int
    kind: str
    source: str | None
    target: str | None
    day: int
    heard: int
    actor: str
    person: str
    role: str
    evidence: Object
    attached: frozenset[str]
    plan: str | None
    # Of whom the register knew no unit, "" stands, which is no household's.
    unit: str | None = ""
    in_force: str | None = None  # the plan in force when it was recorded, whatever `plan` says
    plan_known: bool = False  # whether a plan of the name `plan` had been adopted by then
    values: dict[str, object] = field(default_factory=dict)  # of the evidence, as `read` reads it
    device: int = 0  # which device of the case was in place: 0, 1, 2 …

    @property
    def label(self) -> str:
        """What people call this kind of event."""
        return kind_of(self)[0]

    @property
    def ready_on(self) -> int | None:
        """The day on which the device was ready, of a `complete`."""
        return day(self.evidence.get("ready_on"))

    @property
    def documented(self) -> bool:
        """Whether `late_document` names one of the event's own attachments."""
        named = texts(self.evidence.get("late_document")) or ()
        return bool(named) and self.attached.issuperset(named)


# A household's event as a plain tuple, to lay by and to make it from again; its clock is judged.
as_row = attrgetter(
    "seq", "kind", "source", "target", "day", "heard", "actor", "person", "role", "evidence",
    "attached", "plan", "unit", "in_force", "plan_known",
)  # fmt: skip


def kind_of(event: Event) -> tuple[str, set[str]]:
    """What people call the event and who may record it: nobody, if its stream has no such kind."""
    if event.case is not None:
        known = CASE_KINDS.get(event.kind)
    else:
        known = OTHER_KINDS.get((event.stream, event.kind))
    return known or (show(event.kind), set())


def read_body(raw: str) -> tuple[Object, str] | None:
    """The JSON object in an event's bytes, and its canonical spelling; None if there is none."""
    try:
        raw.encode()
        body: object = PARSED(raw)  # NaN and Infinity, which are no JSON, do not come out again
        return (body, CANONICAL(body)) if isinstance(body, dict) else None
    except (ValueError, RecursionError):
        return None


SAYS = itemgetter("stream", "kind", "actor", "role", "recorded_at")
OPTIONAL = ("from", "to", "previous", "plan", "personal")  # a word each, or null
PERHAPS = itemgetter(*OPTIONAL)


def read_event(seq: int, body: Object) -> Event | str:
    """The event in these bytes, or what is wrong with them, in words."""
    if body.keys() != EVENT_KEYS:
        odd = "、".join(sorted(show(key) for key in body.keys() ^ EVENT_KEYS)[:5])
        return f"字段不齐或多出：{odd}"
    if whole(body["schema"]) != 1 or whole(body["version"]) is None:
        return "schema 不是 1，或没有版本号"
    words: tuple[str, ...] = SAYS(body)
    stream, kind, actor, role, recorded_at = words
    if not all(map(text, words)) or stream == "case:":
        return "stream、kind、actor、role、recorded_at 不齐"
    occurred, heard = day(body["occurred_on"]), shanghai_day(recorded_at)
    if occurred is None or heard is None:
        return "occurred_on 或 recorded_at 不是规定写法的日期、时间"
    source, target, _, plan, _ = optional = PERHAPS(body)
    for key, value in zip(OPTIONAL, optional, strict=True):
        if value is not None and text(value) is None:
            return f"{key} 应为文字或空"
    if body["reason"] is not None and not isinstance(body["reason"], str):
        return "reason 应为文字或空"
    evidence, attachments = body["evidence"], body["attachments"]
    if not isinstance(evidence, dict) or not isinstance(attachments, list):
        return "evidence 或 attachments 类型不对"
    attached = file_names(attachments)
    if attached is None:
        return "附件没有名称或哈希"
    code = stream[5:] if stream.startswith("case:") else None
    return Event(
        stream, code, recorded_at, seq, kind, source, target, occurred, heard, actor, actor, role,
        evidence, attached, plan,
    )  # fmt: skip


def file_names(attachments: list[object]) -> frozenset[str] | None:
    """The names of the attached files; None where one has no name or no hash."""
    found = set()
    for one in attachments:
        name, digest = (text(mapping(one).get(key)) for key in ("name", "sha256"))
        if name is None or digest is None or not HASH.fullmatch(digest):
            return None
        found.add(name)
    return frozenset(found)


def columns_off(columns: Object, body: Object) -> list[str]:
    """Which columns beside the bytes say something else than these."""
    with suppress(KeyError):
        told = COLUMNS(columns)
        if told == COLUMNS(body) and bool not in map(type, told):
            return []
    return [
        name
        for name in JOURNAL_COLUMNS
        if name not in columns or not same(columns[name], body.get(name))
    ]


# -------- the plan


@dataclass(frozen=True, slots=True)
class Season:
    """采暖季, both end days inclusive; where nobody knows when it is, both are FOREVER."""

    label: str
    areas: tuple[str, ...]
    paths: tuple[str, ...]
    first: int
    last: int
    verified: bool

    @property
    def year(self) -> int | None:
        """The year in which it begins, by its label."""
        match = LABEL.fullmatch(self.label)
        if match is None or int(match[2]) != int(match[1]) + 1:
            return None
        return int(match[1])


@dataclass(slots=True)
class Plan:
    """What section 4 needs of a plan. A number that is missing or no number is not in `numbers`."""

    numbers: dict[str, int] = field(default_factory=dict)
    warm_temperature: Decimal | None = None
    exempt: tuple[str, ...] | None = None
    verified: set[str] = field(default_factory=set)
    signatures: tuple[str, ...] = ()
    seasons: list[Season] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def seasons_of(plan: Plan) -> dict[tuple[str, str, str], tuple[int, int, bool]]:
    """First day, last day and verified, by label, area and path."""
    return {
        (season.label, area, path): (season.first, season.last, season.verified)
        for season in plan.seasons
        for area in season.areas
        for path in season.paths
    }


def is_verified(entry: Object) -> bool:
    """Verified = said so, with the hash of a source document and who entered it (design 1)."""
    sourced = text(entry.get("document")) is not None and text(entry.get("entered_by")) is not None
    return entry.get("verified") is True and sourced


def plan_hash(document: object) -> str:
    """What events name a plan by."""
    return sha256(CANONICAL(document))


def read_plan(document: Object) -> Plan:
    """The parts of a plan document that the rule rests on; what cannot be read is in `faults`."""
    plan, rules = Plan(), mapping(document.get("rules"))
    entries = {name: mapping(rules.get(name)) for name in RULES}
    plan.verified = {name for name, entry in entries.items() if is_verified(entry)}
    for name in RULE_NUMBERS:
        if (count := whole(entries[name].get("value"))) is not None:
            plan.numbers[name] = count
    plan.warm_temperature = number(entries["warm_temperature"].get("value"))
    exempt = entries["exempt_paths"].get("value")
    plan.exempt = texts(exempt) if isinstance(exempt, list) else None
    read = {**plan.numbers, "warm_temperature": plan.warm_temperature, "exempt_paths": plan.exempt}
    plan.faults = [f"rules.{name}" for name in RULES if read.get(name) is None]
    policy = texts(mapping(rules["signatures"]).get("value")) if "signatures" in rules else ()
    plan.signatures = policy or ()
    if policy is None:
        plan.faults.append("rules.signatures")
    for place, one in enumerate(listed(document.get("seasons")) or ()):
        entry = mapping(one)
        label = text(entry.get("label"))
        areas, paths = texts(entry.get("areas")), texts(entry.get("paths"))
        if label is None or areas is None or paths is None:
            plan.faults.append(f"seasons[{place}]")
            continue
        first, last = day(entry.get("first_day")), day(entry.get("last_day"))
        if first is None or last is None or first > last:
            first = last = FOREVER
        plan.seasons.append(Season(label, areas, paths, first, last, is_verified(entry)))
    return plan


# ---------------------------------------------------------------- 6. what is kept of a household


HELD = 20_000  # how many rows are in memory before they are laid by
PARTS = 256  # in how many parts, of which one is in memory at a time when they are taken up again


class Spool:
    """Rows by their key, in the order in which they came, however many they are.

    What is too much for memory goes to a temporary file, which nobody else can open and which is
    gone at the end. All rows of a key are in one part of it.
    """

    def __init__(self) -> None:
        self.held: dict[Hashable, list[Row]] = {}
        self.count = 0
        self.file: IO[bytes] | None = None
        self.pieces: list[list[tuple[int, int]]] = [[] for _ in range(PARTS)]  # offset, length

    def put(self, key: Hashable, row: Row) -> None:
        """Lay by a row of plain values."""
        self.held.setdefault(key, []).append(row)
        self.count += 1
        if self.count % HELD == 0:
            self.write()

    def write(self) -> None:
        """Put what is in memory into the file."""
        self.file = file = self.file or TemporaryFile()  # noqa: SIM115 - open as long as this is
        parts: list[dict[Hashable, list[Row]]] = [{} for _ in range(PARTS)]
        for key, rows in self.held.items():
            parts[hash(key) % PARTS][key] = rows
        file.seek(0, 2)
        for pieces, part in zip(self.pieces, parts, strict=True):
            data = marshal.dumps(part)
            pieces.append((file.tell(), len(data)))
            file.write(data)
        self.held = {}

    def part(self, number: int) -> dict[Hashable, list[Row]]:
        """The rows of one part, by their key."""
        found: dict[Hashable, list[Row]] = {}
        for offset, length in self.pieces[number]:
            assert self.file is not None
            self.file.seek(offset)
            for key, rows in marshal.loads(self.file.read(length)).items():
                found.setdefault(key, []).extend(rows)
        return found

    def of(self, key: Hashable) -> list[Row]:
        """The rows of one key."""
        return [*self.part(hash(key) % PARTS).get(key, ()), *self.held.get(key, ())]

    def groups(self) -> Iterator[tuple[Hashable, list[Row]]]:
        """Every key with all its rows; the keys come in any order."""
        if self.file is not None:
            self.write()
            for number in range(PARTS):
                yield from self.part(number).items()
        yield from self.held.items()


@dataclass(slots=True)
class Permit:
    """A permission with what stood when it was given; `until` is the first day it is over."""

    event: Event
    state: str | None
    area: str | None
    path: str | None
    accepted: Event | None
    ready: Event | None
    device: int
    plan: Plan | None
    in_force: bool
    refusals: list[str] = field(default_factory=list)
    seasons: list[Season] = field(default_factory=list)
    until: int = FOREVER


@dataclass(slots=True)
class Case:
    """One household, replayed from its stream. Facts are in the order of their seq."""

    code: str
    first: int  # which event of the journal was its first
    head: Head = START
    columns: dict[str, str | None] = field(default_factory=dict)
    state: str | None = None
    since: int | None = None
    accepted: Event | None = None
    ready: Event | None = None
    device: int = 0
    works: list[Event] = field(default_factory=list)  # since it last came into 施工
    restarts: list[tuple[int, int]] = field(default_factory=list)  # seq, day
    facts: dict[int, Event] = field(default_factory=dict)  # and the registration
    sightings: list[Event] = field(default_factory=list)
    struck: list[Event] = field(default_factory=list)  # removals as they read before a correction
    permits: list[Permit] = field(default_factory=list)
    last: int = 0  # the seq of its last event
    unsigned: int = 0  # the seq of its last event that nobody signed
    frozen_since: dict[int, int] = field(default_factory=dict)
    suspensions: list[tuple[int, int]] = field(default_factory=list)


def grade(case: Case, covered: int) -> str:
    """The proof of a case, by its weakest event; a receipt covers so many events."""
    graded = "witnessed" if case.last <= covered else "signed"
    return graded if case.unsigned <= covered else "clock_only"


def state_name(state: str | None) -> str:
    """What people call a state; of a case that is not registered, none."""
    return "未登记" if state is None else STATES.get(state, show(state))


def freezes(fact: Event) -> bool:
    """A violation, a complaint, or a finding that is not expressly a mere note."""
    if fact.kind == "finding":
        return fact.values.get("severity") != "note"
    return fact.kind in ("violation", "complaint")


def same_person(one: Event, other: Event) -> bool:
    """Persons are separated, not logins; one login is one person whatever the register says."""
    return one.person == other.person or one.actor == other.actor


# ---------------------------------------------------------------- 7. the walk


@dataclass(frozen=True, slots=True)
class Officer:
    """A line of the officers' register."""

    login: str
    name: str | None
    person: str
    role: str
    unit: str | None
    active: bool


@dataclass(frozen=True, slots=True)
class Key:
    """A public key of the officers' register, `ssh-ed25519 AAAA…`."""

    key: str
    login: str
    added_seq: int
    valid_until: int | None
    revoked_seq: int | None = None


class Audit:
    """Takes a bundle line by line and keeps what the end needs; never stops at a fault."""

    def __init__(self) -> None:
        self.integrity: list[tuple[Place, Finding]] = []
        self.removal: list[tuple[Place, Finding]] = []
        self.place: Place = (0,)  # where a finding belongs that is made now
        self.header: Object = {}
        # Rows of the small tables; those of cases and permissions are with the households.
        self.taken = 0
        self.rows: dict[str, list[Row]] = {name: [] for name in TABLES}
        # Bytes and chain: how many events, the last seq and instant, the end of each stream.
        self.events = self.seq = 0
        self.recorded_at = ""
        self.heads: dict[str, Head] = {}
        # Tree and receipts.
        self.tree = Tree()
        self.origin = ""
        self.receipts: list[Receipt] = []
        self.seen: set[int] = set()  # their sizes
        self.roots: dict[int, str] = {}
        self.unchecked = False
        # The registers.
        self.genesis: list[Event] = []
        self.drill = False
        self.officers: dict[str, Officer] = {}
        self.keys: dict[str, Key] = {}  # by the key itself, revoked ones too
        self.key_of: dict[str, Key] = {}  # by login, those in use
        self.witnesses: set[str] = set()
        self.plans: dict[str | None, Plan] = {}
        self.plan: str | None = None
        self.proposals: dict[tuple[str, object], Event] = {}
        self.quarantined: set[str] = set()
        self.gates: dict[tuple[object, ...], Object] = {}
        self.letters: dict[str, str] = {}  # number -> unit, as long as it is not answered
        self.series: dict[tuple[str, int], int] = {}
        self.bulletins: set[tuple[str, int | None]] = set()
        # The households: where each stands, state and unit, for samples and letters; and all that
        # is said of them, in the journal and in the tables, for the end.
        self.standing: dict[str, tuple[str | None, str | None]] = {}
        self.alike: dict[tuple[str | None, str | None], tuple[str | None, str | None]] = {}
        self.told = Spool()
        self.permissions = Spool()

    def fault(self, code: str, about: Event | int | None, words: str) -> None:
        """Note an integrity finding, with the household, the number and the day in words."""
        if isinstance(about, Event):
            place = f"户 {show(about.case)} " if about.case is not None else ""
            place += f"第 {about.seq} 号事件（{about.label}，{iso(about.day)}）："
            finding = Finding(code, about.stream, about.case, about.seq, place + words)
        else:
            place = f"第 {about} 号事件：" if about is not None else ""
            finding = Finding(code, None, None, about, place + words)
        self.integrity.append((self.place, finding))

    def take(self, line: object) -> None:
        """Take the next line of the bundle."""
        self.place = (self.events, AFTER)
        if not isinstance(line, Mapping) or not isinstance(kind := line.get("type"), str):
            self.fault("line_malformed", None, f"第 {self.seq} 号事件之后有一行读不出来")
        elif kind == "event":
            self.take_event(line)
        elif kind == "receipt" and self.events == 0:
            self.take_receipt(line.get("note"))
        elif kind in self.rows:
            self.take_row(kind, line)
        elif kind == "header" and not self.header:
            self.header = line
        else:
            self.fault("line_malformed", None, f"第 {self.seq} 号事件之后有一行类型是 {show(kind)}")

    def take_row(self, table: str, line: Object) -> None:
        """Keep a row of a table until it is known what it must say."""
        self.taken += 1
        row: Row = "row", (self.taken,), dict(line)
        if table == "case":
            code = line.get("code")
            self.told.put(code if isinstance(code, str) else "", row)
        elif table == "permission":
            seq = line.get("seq")
            self.permissions.put(seq if isinstance(seq, int) else "", row)
        else:
            self.rows[table].append(row)

    # -------- bytes and chain

    def take_event(self, line: Object) -> None:
        """Check the next event: its number, its bytes, what they say; then it is in the tree."""
        self.events += 1
        self.place = (self.events, BYTES)
        given, expected = whole(line.get("seq")), self.seq + 1
        self.seq = expected if given is None else given
        if given != expected:
            words = f"此处应为第 {expected} 号，实为 {show(line.get('seq'))}"
            self.fault("seq_gap", self.seq, words)
        if "signature" not in line:
            self.fault("line_malformed", self.seq, "没有写明有无签名")
        raw = text(line.get("bytes")) or ""
        digest = sha256(raw)
        found = read_body(raw)
        if found is None:
            self.fault("event_malformed", self.seq, "内容不是可读的 JSON 事件")
        else:
            try:
                self.take_body(line, raw, digest, *found)
            except RecursionError:
                self.fault("event_malformed", self.seq, "内容嵌套太深")
        self.grow(digest, text(line.get("signature")))

    def take_body(self, line: Object, raw: str, digest: str, body: Object, canonical: str) -> None:
        """Check an event as a link of the journal, then for what it says."""
        event = read_event(self.seq, body)
        place = self.seq if isinstance(event, str) else event
        if line.get("hash") != digest:
            self.fault("hash_mismatch", place, "内容与哈希不符")
        if canonical != raw:
            self.fault("bytes_not_canonical", place, "内容不是规范写法")
        columns = mapping(line.get("columns"))
        if off := columns_off(columns, body):
            self.fault("columns_differ", place, f"列与内容不同：{'、'.join(off)}")
        link = (body.get("version"), body.get("previous"), text(line.get("hash")) or digest)
        if isinstance(event, str):
            self.take_link(body.get("stream"), link, self.seq)
            self.place = (self.events, SAID)
            self.fault("event_malformed", place, event)
            return
        if event.case is None:
            self.take_link(event.stream, link, event)
        self.place = (self.events, SAID)
        if event.recorded_at < self.recorded_at:
            words = f"记录时间 {event.recorded_at} 早于前一事件的 {self.recorded_at}"
            self.fault("recorded_at_backwards", event, words)
        else:
            self.recorded_at = event.recorded_at
        if event.day > event.heard:
            words = f"发生日期 {iso(event.day)} 晚于记录当日 {iso(event.heard)}"
            self.fault("future_occurred", event, words)
        signed = self.check_signature(line.get("signature"), raw, event)
        judged = self.judge(event)
        if event.case is not None:
            self.stand(event, judged)
            self.lay_by(event.case, (link, as_row(event), signed, judged))

    def take_link(self, stream: object, link: Link, place: Event | int) -> None:
        """Check the chain; that of a household is checked when it is replayed."""
        self.place = (self.events, LINK)
        if isinstance(stream, str) and stream.startswith("case:") and stream != "case:":
            self.lay_by(stream[5:], (link, self.seq, False, False))
        elif text(stream) is not None:
            self.heads[str(stream)] = self.check_chain(
                self.heads.get(str(stream), START), link, place
            )

    def lay_by(self, code: str, said: tuple[Link, Any, bool, bool]) -> None:
        """Keep what an event says of a household until that is replayed."""
        self.told.put(code, ("event", (self.events,), said))

    def check_chain(self, head: Head, link: Link, place: Event | int) -> Head:
        """Versions of a stream run 1, 2, 3 …, each naming the hash of the one before.

        After a fault the walk goes on from what the event says, so that one fault is one finding.
        """
        version, digest = head
        said, previous, hashed = link
        given = whole(said)
        if given != version + 1:
            words = f"此处应为第 {version + 1} 版，实为 {show(said)}"
            self.fault("version_gap", place, words)
        if previous != digest:
            self.fault("chain_broken", place, f"所记上一事件不是本流第 {version} 版")
        return version + 1 if given is None else given, hashed

    # -------- tree and receipts

    def grow(self, digest: str, signature: str | None) -> None:
        """Add the event to the tree, as its bytes are, and keep the roots that receipts name."""
        signed = "null" if signature is None else CANONICAL(signature)
        leaf = f'{{"hash":"{digest}","seq":{self.seq},"signature":{signed}}}'
        self.tree.append(leaf.encode("utf-8", "replace"))
        if self.tree.size == 1:
            self.origin += digest[:16]
        if self.tree.size in self.seen:
            self.roots[self.tree.size] = self.tree.root()

    def take_checkpoint(self, event: Event) -> None:
        """A checkpoint says what the tree of all events before it is."""
        told = tuple(event.evidence.get(name) for name in ("origin", "size", "root"))
        if told != (self.origin, self.tree.size, self.tree.root()):
            self.fault(
                "checkpoint_differs", event, f"所记为 {show(told[1])} 条，树根 {show(told[2])}"
            )

    def take_receipt(self, written: object) -> None:
        """Keep a receipt: its root is compared when the journal has come so far."""
        receipt = read_receipt(written)
        if receipt is None:
            self.fault("receipt_invalid", None, "见证回执读不出")
            return
        self.receipts.append(receipt)
        self.seen.add(receipt.size)

    def judge_receipts(self) -> int:
        """Compare every receipt with the journal; how many events a good one covers."""
        covered = 0
        for receipt in self.receipts:
            words = f"见证回执（{receipt.size} 条）"
            known = [line for line in self.witnesses if cosignatures(receipt, line)]
            if receipt.origin != self.origin:
                words += f"是 {show(receipt.origin)} 的，本库是 {show(self.origin)}"
                self.fault("receipt_invalid", None, words)
            elif not known:
                self.fault("receipt_invalid", None, f"{words}没有已登记见证人的签名")
            elif CAN_CHECK_SIGNATURES and not any(cosigned(receipt, line) for line in known):
                self.fault("receipt_invalid", None, f"{words}的签名不对")
            elif receipt.size > self.tree.size:
                words += f"：日志只有 {self.tree.size} 条，此后的被截去"
                self.fault("receipt_differs", None, words)
            elif receipt.size and self.roots.get(receipt.size) != receipt.root:
                self.fault("receipt_differs", receipt.size, f"{words}：此号及以前有事件被改写")
            elif CAN_CHECK_SIGNATURES:
                covered = max(covered, receipt.size)
            else:
                self.unchecked = True
        return covered

    # -------- what an event says: who did it, under which plan, and what it does

    def judge(self, event: Event) -> bool:
        """Check who did it, under which plan; then let it count. Whether its kind is known."""
        allowed = kind_of(event)[1]
        if not allowed:
            self.fault("kind_unknown", event, f"流 {show(event.stream)} 中不应有 {event.label}")
            return False
        if event.role not in allowed:
            self.fault("role_not_allowed", event, f"角色 {show(event.role)} 无权办理")
        begun = len(self.genesis) == len(GENESIS)
        if begun:
            self.identify(event)
        if begun and (event.stream, event.kind) == GENESIS[0]:
            self.fault("genesis_malformed", event, "建库只能有一次，且在最前")
        # `init` comes before any plan; `adopt` checks both it and the adoption itself.
        if event.plan != self.plan and event.kind not in ("init", "plan_adopted"):
            self.fault("unknown_plan", event, f"所引方案 {show(event.plan)} 不是当时有效的方案")
        if event.case is None:
            self.take_register(event)
        elif (officer := self.officers.get(event.actor)) is not None:
            event.unit = officer.unit
        event.in_force, event.plan_known = self.plan, event.plan in self.plans
        if not begun:
            self.place = (self.events, BEGUN)
            self.begin(event)
        return True

    def begin(self, event: Event) -> None:
        """Init, the plan, the first county officer: the first three events, by that officer."""
        place = len(self.genesis)
        self.genesis.append(event)
        if (event.stream, event.kind) != GENESIS[place] or event.seq != place + 1:
            label = OTHER_KINDS[GENESIS[place]][0]
            self.fault("genesis_malformed", event, f"第 {place + 1} 个事件应为{label}")
        if place == 0:
            drill = event.evidence.get("drill")
            self.drill = drill is True
            named = show(event.evidence.get("plan"))
            self.origin = f"xianli/{named}/drill/" if self.drill else f"xianli/{named}/"
            if not isinstance(drill, bool):
                self.fault("genesis_malformed", event, "没有写明是否演练")
        if place == 2:
            login = event.evidence.get("login")
            if any(first.actor != login for first in self.genesis):
                self.fault("genesis_malformed", event, "首位登记的人员不是建库、采用方案的人")
            for first in self.genesis:
                self.identify(first)

    def identify(self, event: Event) -> None:
        """The actor stands in the register, is active, and has the role the event says."""
        if event.role == event.actor == "system":
            return  # the program itself, which is in no register
        officer = self.officers.get(event.actor)
        if officer is None:
            self.fault("actor_unknown", event, f"经办人 {show(event.actor)} 不在人员名册")
            return
        event.person = officer.person
        if not officer.active:
            self.fault("actor_unknown", event, f"经办人 {show(event.actor)} 已停用")
        if officer.role != event.role:
            words = f"{show(event.actor)} 在名册上是 {officer.role}，事件写的是 {show(event.role)}"
            self.fault("role_mismatch", event, words)

    def read(self, event: Event) -> bool:
        """Read its evidence, as EVIDENCE says; whether all of it can be read."""
        sound = True
        for name, reader in EVIDENCE.get(event.kind, {}).items():
            key = name.removesuffix("?")
            given = event.evidence.get(key)
            event.values[key] = reader(given)
            if event.values[key] is None and (key == name or given is not None):
                self.fault("evidence_malformed", event, f"{key} 缺失或读不出：{show(given)}")
                sound = False
        return sound

    # -------- the registers

    def take_register(self, event: Event) -> None:
        """Let an event beside the cases count, if its evidence can be read."""
        if event.source is not None or event.target is not None:
            self.fault("edge_not_allowed", event, "这类事件不移动任何户")
        if not self.read(event):
            return
        given = event.evidence
        match event.kind:
            case "plan_adopted":
                self.adopt(event)
            case "plan_proposed" | "quarantine_proposed":
                self.proposals[event.kind, event.seq] = event
            case "quarantine_confirmed":
                self.quarantine(event)
            case "officer_added":
                self.add_officer(event)
            case "officer_disabled":
                self.disable_officer(event)
            case "key_added":
                self.add_key(event)
            case "key_revoked":
                self.revoke_key(event)
            case "checkpoint_made":
                self.take_checkpoint(event)
            case "witness_added":
                self.witnesses.add(str(given["key"]))
            case "witness_revoked":
                self.witnesses.discard(str(given["key"]))
            case "gate_opened":  # the last event for a village and kind counts
                row = {name: given[name] for name in ("unit", "village", "kind", "opened_on")}
                self.gates[row["unit"], row["village"], row["kind"]] = row
            case "holidays_entered":  # they move no rule of section 4
                told = [one for name in ("off", "working") for one in texts(given[name]) or ()]
                if any(one[:4] != str(given["year"]) for one in told):
                    self.fault("evidence_malformed", event, "节假日中有日期不是该年的")
            case "sample_drawn":
                self.draw_again(event)
            case "letter_issued":
                self.issue_letter(event)
            case "letter_answered":
                self.answer_letter(event)
            case "bulletin_published":
                self.publish_bulletin(event)

    def add_officer(self, event: Event) -> None:
        """Enter an officer into the register; without a person the login is the person."""
        given = event.evidence
        login, role, person = (text(given.get(name)) for name in ("login", "role", "person"))
        if login is None or login == "system" or role not in ROLES:
            self.fault("evidence_malformed", event, "人员登记缺少登录名，或角色不明")
            return
        person = person or login
        if login in self.officers and self.officers[login].person != person:
            self.fault("person_changed", event, f"登录名 {show(login)} 原是另一人的")
        name, unit = text(given.get("name")), text(given.get("unit"))
        self.officers[login] = Officer(login, name, person, role, unit, active=True)

    def disable_officer(self, event: Event) -> None:
        """Take an officer out of service; the line stays in the register."""
        officer = self.officers.get(str(event.evidence["login"]))
        if officer is None:
            self.fault("reference_unknown", event, "所停用的人员不在名册")
            return
        self.officers[officer.login] = replace(officer, active=False)

    def add_key(self, event: Event) -> None:
        """Enter a public key into the register: new, and the only one of its login."""
        login, key = str(event.evidence["login"]), str(event.evidence["key"])
        if login not in self.officers:
            self.fault("evidence_malformed", event, "公钥登记的账号不在名册")
        elif key in self.keys or login in self.key_of:
            self.fault("key_conflict", event, f"{show(login)} 已有公钥，或这把公钥已登记过")
        else:
            until = day(event.evidence.get("valid_until"))
            self.keys[key] = self.key_of[login] = Key(key, login, event.seq, until)

    def revoke_key(self, event: Event) -> None:
        """Take a public key out of use; what it signed stays signed."""
        key = self.key_of.get(str(event.evidence["login"]))
        if key is None or key.key != event.evidence["key"]:
            self.fault("key_conflict", event, "所撤销的不是该账号在用的公钥")
            return
        self.keys[key.key] = replace(key, revoked_seq=event.seq)
        del self.key_of[key.login]

    def check_signature(self, written: object, message: str, event: Event) -> bool:
        """Whether the event bears a good signature of the key its actor had at that point."""
        key = self.key_of.get(event.actor)
        if written is None:
            plan = self.plans.get(self.plan)
            wanted = plan.signatures if plan is not None and event.role != "system" else ()
            named = event.case is not None and event.kind in wanted
            # Somebody has to begin: the first key of all is registered before anybody has one.
            first = event.stream == "officers" and not self.keys
            if key is not None:
                self.fault("signature_missing", event, f"{show(event.actor)} 登记了公钥，没有签名")
            elif (named or "all" in wanted) and not first:
                self.fault("signature_missing", event, "方案要求此项签名，没有签名")
            return False
        found = read_signature(written)
        space = "xianli-drill@v1" if self.drill else "xianli-event@v1"
        if found is None:
            words = "签名读不出"
        elif key is None or found[0] != key.key:
            words = "不是经办人当时登记在用的公钥所签"
        elif key.valid_until is not None and event.heard > key.valid_until:
            words = f"公钥有效期到 {iso(key.valid_until)}，已过期"
        elif not CAN_CHECK_SIGNATURES:
            self.unchecked = True
            return False
        elif found[1] == space and signed_by(
            raw_key(key.key) or b"", ssh_signed(message.encode(), space), found[2]
        ):
            return True
        else:
            words = "签名与事件内容不符"
        self.fault("signature_invalid", event, words)
        return False

    def quarantine(self, event: Event) -> None:
        """The second side of a quarantine: another person in another role, of the same damage."""
        given = event.evidence
        proposal = self.proposals.get(("quarantine_proposed", event.values["proposal"]))
        if proposal is None or any(
            proposal.evidence[name] != given[name] for name in ("code", "fingerprint")
        ):
            self.fault("reference_unknown", event, "没有这样提出的隔离")
            return
        if proposal.role == event.role or proposal.person == event.person:
            self.fault("separation", event, "隔离须由县级办公室和审计人员两人办理")
        self.quarantined.add(str(given["code"]))

    def draw_again(self, event: Event) -> None:
        """A sample is what its seed draws from all who stood there; otherwise somebody chose."""
        given, states = event.evidence, texts(event.evidence["states"]) or ()
        unit_of = {
            code: str(unit)
            for code, (state, unit) in sorted(self.standing.items())
            if state in states
        }
        population = sha256("".join(f"{code}\t{unit}\n" for code, unit in unit_of.items()))
        ranked = sorted(unit_of, key=lambda code: sha256(f"{given['seed']}|{population}|{code}"))
        codes: list[str] = []
        for one in listed(given["by_unit"]) or ():
            unit, drawn = mapping(one).get("unit"), whole(mapping(one).get("drawn"))
            codes += [code for code in ranked if unit_of[code] == unit][: drawn or 0]
        if [given.get("population_hash"), given.get("codes")] != [population, sorted(codes)]:
            self.fault("sample_differs", event, f"按种子 {show(given['seed'])} 重抽，与所记不同")

    def issue_letter(self, event: Event) -> None:
        """An official letter: numbered through its year without a gap, about known cases."""
        number, kind = str(event.evidence["number"]), str(event.evidence["kind"])
        year = date.fromordinal(event.day).year
        count = self.series[kind, year] = self.series.get((kind, year), 0) + 1
        if not number.endswith(f"〔{year}〕{count}号"):
            words = f"文号 {show(number)} 不是本年此类第 {count} 号"
            self.fault("evidence_malformed", event, words)
        for matter in listed(event.evidence["matters"]) or ():
            code = text(mapping(matter).get("case"))
            if code not in self.standing:
                self.fault("reference_unknown", event, f"函件所列 {show(code)} 不是已登记的户")
        self.letters[number] = str(event.evidence["unit"])

    def publish_bulletin(self, event: Event) -> None:
        """A frozen bulletin: numbered through its year without a gap, its figures as hashed.

        One of each period and day, of a day that was not yet to come.
        """
        given, year = event.evidence, date.fromordinal(event.day).year
        number, period, as_of = str(given["number"]), str(given["period"]), day(given["as_of"])
        kept, known = mapping(given["document"]), whole(given["known_seq"])
        wrong = []
        count = self.series["bulletin", year] = self.series.get(("bulletin", year), 0) + 1
        if not number.endswith(f"〔{year}〕{count}号"):
            wrong.append(f"不是本年通报第 {count} 号")
        form = json.dumps(kept, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(form.encode("utf-8", "replace")).hexdigest()
        if digest != given["hash"] or kept.get("number") != number:
            wrong.append("的数字与公布时的摘要不符")
        if known is None or known >= event.seq:
            wrong.append("所据的事件在公布之后")
        if period not in BULLETIN_PERIODS:
            wrong.append(f"的期间 {show(period)} 不明")
        if as_of is None or as_of > event.day or day(kept.get("as_of")) != as_of:
            wrong.append("的截止日尚未到，或与正文不同")
        if (period, as_of) in self.bulletins:
            wrong.append("的期间和截止日，此前已经公布过一次")
        self.bulletins.add((period, as_of))
        for words in wrong:
            self.fault("evidence_malformed", event, f"{show(number)} {words}")

    def answer_letter(self, event: Event) -> None:
        """The slip of a letter, once, by its unit or the county office."""
        number = str(event.evidence["number"])
        unit, officer = self.letters.pop(number, None), self.officers.get(event.actor)
        if unit is None:
            self.fault("reference_unknown", event, f"没有待回执的函件 {show(number)}")
        elif officer is not None and officer.unit not in (None, unit):
            self.fault("role_not_allowed", event, f"函件发给 {show(unit)}，不由此人回执")

    def adopt(self, event: Event) -> None:
        """Put a plan in force; the event may name it or the plan it takes over from."""
        document = event.evidence.get("document")
        if not isinstance(document, dict):
            self.fault("plan_malformed", event, "没有方案文本")
            return
        digest, plan = plan_hash(document), read_plan(document)
        if plan.faults:
            self.fault("plan_malformed", event, f"方案缺少或读不出：{'、'.join(plan.faults)}")
        if event.plan is None or event.plan not in (digest, self.plan):
            self.fault("unknown_plan", event, "所引方案既不是所采用的，也不是此前有效的")
        before = self.plans.get(self.plan)
        if before is not None:
            self.revise(event, before, plan, digest)
        elif self.genesis and self.genesis[0].plan not in (None, digest):
            self.fault("unknown_plan", self.genesis[0], "建库所引方案不是随后采用的方案")
        # A proposal is spent by the next adoption.
        left = {key: one for key, one in self.proposals.items() if key[0] != "plan_proposed"}
        self.proposals = left
        self.plans[digest] = plan
        self.plan = digest

    def revise(self, event: Event, old: Plan, new: Plan, digest: str) -> None:
        """A revision loosens nothing, and what touches a season was proposed by somebody else."""
        was, now = old.numbers, new.numbers  # unreadable ones are found elsewhere
        loosened = [name for name in LOOSER_UP if now.get(name, 0) > was.get(name, FOREVER)]
        loosened += [name for name in LOOSER_DOWN if now.get(name, FOREVER) < was.get(name, 0)]
        warm, needed = new.warm_temperature, old.warm_temperature
        if warm is not None and needed is not None and warm < needed:
            loosened.append("warm_temperature")
        if set(new.exempt or ()) - set(old.exempt or ()):
            loosened.append("exempt_paths")
        before, after = seasons_of(old), seasons_of(new)
        for key, (first, last, verified) in before.items():
            later = after.get(key)
            moved = later is None or later[:2] != (first, last)
            if moved and first <= event.heard and (verified or later is None or not later[2]):
                loosened.append(f"{key[0]} 采暖季（{'·'.join(key[1:])}）")
        if loosened:
            self.fault("plan_loosened", event, f"修订放宽或改动了：{'、'.join(loosened)}")
        if new.verified <= old.verified and before == after:
            return
        named = event_id(event.evidence.get("proposed"))
        proposal = self.proposals.get(("plan_proposed", named))
        if (
            proposal is None
            or plan_hash(proposal.evidence.get("document")) != digest
            or same_person(proposal, event)
        ):
            self.fault("plan_one_person", event, "改动采暖季或核实，没有另一人先行提出同一方案")

    # -------- the households

    def stand(self, event: Event, judged: bool) -> None:
        """Note where a household stands now, as far as samples and letters ask."""
        state, unit = self.standing.get(str(event.case), (None, None))
        if judged and event.target is not None:
            state = event.target
        if judged and (
            event.kind == "registered" or (event.kind == "amended" and "unit" in event.evidence)
        ):
            unit = text(event.evidence.get("unit"))
        # Most stand alike: one pair serves them all.
        self.standing[str(event.case)] = self.alike.setdefault((state, unit), (state, unit))

    def household(self, code: str) -> Case | None:
        """A household replayed from all that was taken so far; None if nothing was."""
        return self.replay(code, self.told.of(code))

    def replay(self, code: str, rows: Iterable[Row]) -> Case | None:
        """Check the chain of a household and let its events count, one after the other."""
        case, head, stream = None, START, f"case:{code}"
        for of, (count, *_), told in rows:
            if of != "event":
                continue
            link, said, signed, judged = told
            event = Event(stream, code, "", *said) if isinstance(said, tuple) else None
            self.place = (count, LINK)
            head = self.check_chain(head, link, event or said)
            if event is None:
                continue
            case = case or Case(code, count)
            case.last = event.seq
            case.unsigned = case.unsigned if signed else event.seq
            if judged:
                self.place = (count, HOUSEHOLD)
                self.take_case(case, event)
        if case is not None:
            case.head = head
            case.suspensions += [(since, FOREVER) for since in case.frozen_since.values()]
        return case

    def take_case(self, case: Case, event: Event) -> None:
        """Check one event of a household against what stands, then let it count."""
        self.check_edge(case, event)
        self.check_late(event)
        self.check_separation(case, event)
        self.read(event)
        if event.kind in ("registered", "amended"):
            self.register(case, event)
        elif event.kind in FACTS:
            self.note(case, event)
        else:
            self.pull(case, event)
        unit = case.columns.get("unit")
        if event.role in UNIT and event.unit != unit:
            words = f"此户属责任单位 {show(unit)}，不属经办人的单位"
            self.fault("role_not_allowed", event, words)
        if event.target is not None:
            case.state, case.since = event.target, event.day
        if event.target == CONSTRUCTION:
            case.works = []

    def check_edge(self, case: Case, event: Event) -> None:
        """The step is in the table and begins where the case stands."""
        if event.kind not in EDGES:
            if event.source is not None or event.target is not None:
                self.fault("edge_not_allowed", event, "这类事件不移动户的状态")
            elif case.state is None:
                self.fault("edge_not_allowed", event, "此户尚未登记")
            return
        if event.source != case.state:
            here, said = state_name(case.state), show(event.source)
            self.fault("edge_not_allowed", event, f"推演的状态是{here}，事件写的是 {said}")
        if (event.source, event.target) not in EDGES[event.kind]:
            words = f"没有从 {show(event.source)} 到 {show(event.target)} 的这一步"
            self.fault("edge_not_allowed", event, words)

    def check_late(self, event: Event) -> None:
        """Paper later than the plan allows brings its document (design 3); ledgers are exempt."""
        plan = self.plans.get(event.in_force)
        limit = plan.numbers.get("backdating_days") if plan is not None else None
        happened = [event.day]
        if event.kind == "works":  # it tells of days of their own
            happened += [one for name in WORKS_DAYS if (one := day(event.evidence.get(name)))]
        late = event.heard - min(happened)
        if limit is None or late <= limit or event.kind in ("registered", "amended"):
            return
        if not event.documented and not (event.kind == "correct" and event.attached):
            words = f"{iso(event.heard)} 才记录，晚 {late} 天，上限 {limit} 天，没有补录材料"
            self.fault("late_without_document", event, words)

    def check_separation(self, case: Case, event: Event) -> None:
        """Acceptor and works, permission and acceptance: two persons (design 3)."""
        if event.kind == "accept":
            works = [*case.works, *([case.ready] if case.ready else [])]
            if any(same_person(work, event) for work in works):
                self.fault("separation", event, "验收人就是记录施工的人")
        if event.kind == "permit" and case.accepted and same_person(case.accepted, event):
            words = f"许可人就是第 {case.accepted.seq} 号事件的验收人"
            self.fault("separation", event, words)

    def register(self, case: Case, event: Event) -> None:
        """What the ledger says of the case; later only what import may still change (design 5)."""
        given = [name for name in CASE_COLUMNS if name in event.evidence]
        if event.kind == "registered":
            given = list(CASE_COLUMNS)
            case.facts[event.seq] = event
        elif "unit" in given:
            self.fault("amendment_not_allowed", event, "责任单位不能更改")
        elif case.state != CONFIRMATION and set(given) - {"village"}:
            words = "路径、户别、区域、计划类别只能在确村确户时更改"
            self.fault("amendment_not_allowed", event, words)
        for name in given:
            case.columns[name] = text(event.evidence.get(name))
            if case.columns[name] is None and name != "village":
                self.fault("evidence_malformed", event, f"登记缺少 {name}")

    def pull(self, case: Case, event: Event) -> None:
        """A trigger: what it does to the clock, the device and the permission in force."""
        values = event.values
        for permit in case.permits:
            permit.until = min(permit.until, event.heard)
        if event.kind == "permit":
            self.permit(case, event)
        elif event.kind == "accept":
            case.accepted = event
        elif event.kind == "complete":
            case.ready = event
        elif event.kind in RESTARTS and values.get("cause") != "paper_fault":
            case.restarts.append((event.seq, event.day))
        kept = event.kind == "change_path" and values["keep_device"] == "yes"
        if event.kind in ("replace", "change_path") and not kept:
            case.device += 1
        for name in ("path", "quota"):
            if values.get(name) is not None:
                case.columns[name] = text(values[name])
        if event.kind in ("confirm", "accept", "change_path"):
            case.sightings.append(event)

    def permit(self, case: Case, event: Event) -> None:
        """Judge a permission by what was known: nothing after it has been read yet."""
        plan = self.plans[event.plan] if event.plan_known else None
        permit = Permit(
            event, case.state, case.columns.get("area"), case.columns.get("path"), case.accepted,
            case.ready, case.device, plan, event.plan == event.in_force,
        )  # fmt: skip
        permit.refusals = refusals(case, permit, drill=self.drill)
        case.permits.append(permit)

    def note(self, case: Case, event: Event) -> None:
        """A fact beside the line: keep it, and what it does to others."""
        event.device = case.device
        if event.kind == "works":
            case.works.append(event)
        elif event.kind == "old-facility":
            case.sightings.append(event)
        elif event.kind in NAMED:
            self.refer(case, event)
        if freezes(event):
            case.frozen_since[event.seq] = event.heard
        event.evidence = {}  # what the rule reads of it is in `values`; a county has many facts
        case.facts[event.seq] = event

    def refer(self, case: Case, event: Event) -> None:
        """A repair, resolution or correction: the event it names, and what it does to it."""
        key, allowed = NAMED[event.kind]
        named = event.values[key]
        target = case.facts.get(named) if isinstance(named, int) else None
        if target is None or target.kind not in allowed:
            self.fault("reference_unknown", event, f"所指第 {show(named)} 号不是此户能这样指的事件")
            event.values.clear()
            return
        if event.kind == "repair":
            return
        if event.role == "unit_head" and target.kind != "notice":
            self.fault("role_not_allowed", event, "责任单位负责人只能答复公示异议")
        if same_person(target, event):
            self.fault("separation", event, f"就是记录第 {target.seq} 号事件的人")
        if event.kind == "correct":
            self.correct(case, event, target)
        elif target.seq in case.frozen_since:
            case.suspensions.append((case.frozen_since.pop(target.seq), event.heard))

    def correct(self, case: Case, event: Event, target: Event) -> None:
        """From now on the fact reads as the correction says; one of a correction is one more."""
        while target.kind == "correct":
            earlier = target.values.get("id")
            if not isinstance(earlier, int):
                return
            target = case.facts[earlier]
        frozen = freezes(target)
        if target.values.get("status") in ("removed", "sealed"):
            case.struck.append(replace(target, values=dict(target.values)))
        target.day = event.day
        for name, reader in EVIDENCE.get(target.kind, {}).items():
            key = name.removesuffix("?")
            given = event.evidence.get(key)
            if key == "id" or given is None:
                continue
            target.values[key] = reader(given)
            if target.values[key] is None:
                self.fault("evidence_malformed", event, f"{key} 读不出：{show(given)}")
        if not freezes(target) and target.seq in case.frozen_since:
            case.suspensions.append((case.frozen_since.pop(target.seq), event.heard))
        elif freezes(target) and not frozen:
            case.frozen_since[target.seq] = event.heard

    # -------- the end

    def finish(self) -> Report:
        """What only the whole journal can tell: later knowledge, the old facilities, the tables."""
        self.place = (END, 0)
        size = self.header.get("size")
        if self.header.get("format") != "xianli-bundle/1":
            self.fault("header_differs", None, "没有 xianli-bundle/1 的文件头")
        elif whole(size) != self.events or self.header.get("drill") is not self.drill:
            words = f"文件头写 {show(size)} 个事件，实有 {self.events} 个；或演练标记不符"
            self.fault("header_differs", None, words)
        if len(self.genesis) < len(GENESIS):
            self.fault("genesis_malformed", None, "日志没有建库、采用方案、登记首位人员这三个事件")
        self.place = (END, END)  # after the tables
        covered = self.judge_receipts()
        cases, self.standing = len(self.standing), {}
        permitted = removed = lawful = 0
        grades = {}
        for key, rows in self.told.groups():
            code = str(key)
            case = self.replay(code, rows)
            if case is None:
                self.integrity += compare("case", rows)
                continue
            self.integrity += compare("case", [*rows, ("wanted", (case.first,), case_row(case))])
            gone, wrong = self.judge_removals(case)
            permitted += bool(case.permits)
            removed += gone
            lawful += gone and not wrong
            grades[code] = grade(case, covered)
        self.integrity += table_findings(self)
        integrity = in_order(self.integrity)
        tainted = {finding.case for finding in integrity}
        if tainted:
            sound = grades.keys() - tainted if None not in tainted else set()
            grades = {code: graded for code, graded in grades.items() if code in sound}
        return Report(
            self.events, cases, integrity, in_order(self.removal),
            permitted, removed, lawful, self.drill, grades,
            tuple(sorted(self.quarantined)), not self.unchecked, tuple(sorted(self.witnesses)),
        )  # fmt: skip

    def judge_removals(self, case: Case) -> tuple[bool, bool]:
        """Judge the permissions and removals of a household whose stream is at its end.

        Whether an old facility is gone, and whether anything about that was wrong.
        """
        found = [
            one
            for permit in case.permits
            for one in permit_findings(case, permit, drill=self.drill)
        ]
        gone = list(removals(case))
        wrong = [removal_finding(case, *one) for one in gone if one[2]]
        self.removal += [((one.seq or 0, case.first), one) for one in [*found, *wrong]]
        for permit in case.permits:
            row = "wanted", (case.first, permit.event.seq), permission_row(permit)
            self.permissions.put(permit.event.seq, row)
        return bool(gone), bool(wrong)


def in_order(findings: Iterable[tuple[Place, Finding]]) -> tuple[Finding, ...]:
    """The findings as the report has them."""
    return tuple(finding for _, finding in sorted(findings, key=itemgetter(0)))


# ---------------------------------------------------------------- 8. the rule (design 4)


def refusals(case: Case, permit: Permit, *, drill: bool) -> list[str]:
    """Why section 4 refuses this permission, on what `case` holds now; empty if it does not.

    Facts dated after the permission's day do not speak about it.
    """
    today, event, plan = permit.event.heard, permit.event, permit.plan
    reasons = []
    if event.day != today:
        reasons.append(f"许可日期 {iso(event.day)} 不是记录当日 {iso(today)}")
    if permit.state != "stable_season":
        reasons.append(f"许可前不在稳定运行一季，状态是{state_name(permit.state)}")
    if event.role != "county_office":
        reasons.append("许可不是县级办公室发出（四.6）")
    if permit.accepted is None:
        reasons.append("没有验收合格的记录（四.2）")
    elif same_person(permit.accepted, event):
        reasons.append(f"许可人就是第 {permit.accepted.seq} 号事件的验收人（四.6）")
    resolved = {
        fact.values.get("id")
        for fact in case.facts.values()
        if fact.kind == "resolve" and fact.day <= today
    }
    for fact in case.facts.values():
        if freezes(fact) and fact.day <= today and fact.seq not in resolved:
            label = CASE_KINDS[fact.kind][0]
            reasons.append(f"第 {fact.seq} 号{label}（{iso(fact.day)}）未销号（四.5）")
    if plan is None:
        return [*reasons, "所引方案读不出来，无从核对"]
    if not permit.in_force:
        reasons.append("所引方案不是当时有效的方案")
    if plan.exempt is not None and permit.path in plan.exempt:
        if not drill and "exempt_paths" not in plan.verified:
            reasons.append("豁免路径的规定未经核实（四.1）")
        return reasons
    return reasons + season_refusals(case, permit, plan, drill=drill)


def season_refusals(case: Case, permit: Permit, plan: Plan, *, drill: bool) -> list[str]:
    """Points 2 to 4 of section 4: the seasons, the clock, stability, late paper."""
    today = permit.event.heard
    missing = [name for name in plan.faults if name.startswith("rules.")]
    if missing or plan.warm_temperature is None:
        return [f"方案缺少{'、'.join(missing)}"]
    if not drill and "required_seasons" not in plan.verified:
        return ["方案规定的采暖季个数未经核实（四.2）"]
    chosen = ended_seasons(permit, plan)
    if isinstance(chosen, str):
        return [chosen]
    permit.seasons = chosen
    reasons = [
        f"{season.label} 采暖季的起止日期未经核实（四.2）"
        for season in chosen
        if not (drill or season.verified)
    ]
    begin = chosen[0].first
    start = clock_start(case, permit)
    if start is None:
        reasons.append("没有具备使用条件的日期（四.2）")
    elif start > begin:
        reasons.append(f"起算日 {iso(start)} 晚于采暖季首日 {iso(begin)}（四.2）")
    for name, milestone in (("验收", permit.accepted), ("具备条件", permit.ready)):
        if milestone is not None and milestone.heard > begin and not milestone.documented:
            heard = iso(milestone.heard)
            reasons.append(f"{name}于开季后 {heard} 才记录，且没有补录材料（四.4）")
    spans = outages(case, today, plan.warm_temperature)
    if any(until == FOREVER for _, until in spans):
        reasons.append("许可当日仍有未修复的故障，或测温不合格后没有复测合格（四.3）")
    for season in chosen:
        reasons += stability_refusals(case, permit, plan, season, spans, plan.warm_temperature)
    return reasons


def ended_seasons(permit: Permit, plan: Plan) -> list[Season] | str:
    """The most recent required consecutive seasons ended before the day, or why there are none."""
    today, required = permit.event.heard, plan.numbers["required_seasons"]
    if required < 1:
        return "方案要求的采暖季个数少于一个，通知第四部分不许（四.2）"
    mine = [
        season
        for season in plan.seasons
        if permit.area in season.areas and permit.path in season.paths
    ]
    ended = sorted((one for one in mine if one.last < today), key=lambda season: season.last)
    chosen = ended[-required:]
    if len(chosen) < required:
        return f"许可日前结束的采暖季只有 {len(chosen)} 个，应有 {required} 个（四.2）"
    years = [season.year for season in chosen]
    if any(year is None or later != year + 1 for year, later in pairwise(years)):
        return f"采暖季不连续：{'、'.join(season.label for season in chosen)}（四.2）"
    for season in mine:
        # A later season of unknown dates may have ended too: then nobody knows which is the last.
        later = season.last == FOREVER and season.label > chosen[-1].label
        if later and (season.year is None or season.year <= date.fromordinal(today).year):
            return f"{season.label} 采暖季的起止日期不明（四.2）"
    return chosen


def clock_start(case: Case, permit: Permit) -> int | None:
    """The day from which the season can count: the latest of everything that (re)starts it."""
    if permit.accepted is None or permit.ready is None or permit.ready.ready_on is None:
        return None
    restarts = [
        restarted
        for seq, restarted in case.restarts
        if seq < permit.event.seq or restarted <= permit.event.heard
    ]
    return max(permit.accepted.day, permit.ready.ready_on, *restarts)


def outages(case: Case, today: int, warm: Decimal) -> list[tuple[int, int]]:
    """Spans without heat as far as `today` knows: first day, and the first day after (or FOREVER).

    A fault lasts until its repair, a cold visit until the next warm one. A repair dated before its
    fault repairs nothing; of two repairs of one fault the later counts.
    """
    facts = [fact for fact in case.facts.values() if fact.day <= today]
    repairs: dict[object, list[int]] = {}
    for fact in facts:
        if fact.kind == "repair":
            repairs.setdefault(fact.values.get("fault"), []).append(fact.day)
    spans = []
    for fact in facts:
        if fact.kind == "fault":
            ends = [end for end in repairs.get(fact.seq, ()) if end >= fact.day]
            spans.append((fact.day, max(ends, default=FOREVER)))
    cold_since: int | None = None
    visits = (fact for fact in facts if fact.kind == "visit")
    for visit in sorted(visits, key=lambda fact: fact.day):  # on one day, in order of seq
        if not is_warm(visit, warm):
            cold_since = visit.day if cold_since is None else cold_since
        elif cold_since is not None:
            spans.append((cold_since, visit.day))
            cold_since = None
    if cold_since is not None:
        spans.append((cold_since, FOREVER))
    return spans


def is_warm(fact: Event, warm: Decimal) -> bool:
    """Whether this is a visit that found the rooms warm; what cannot be read did not."""
    found = fact.values.get("temperature")
    return isinstance(found, Decimal) and found >= warm


def first_heat(case: Case, permit: Permit, plan: Plan, season: Season) -> int | None:
    """The last first heat recorded for this season and the device that the permission is about.

    It is of this season after the last day of every one that ended before, and within a year.
    """
    last, mine = season.last, (permit.area, permit.path)
    ends = [one.last for one in plan.seasons if mine[0] in one.areas and mine[1] in one.paths]
    since = max((end for end in ends if end < last), default=0)
    found: int | None = None
    for fact in case.facts.values():
        heated = fact.values.get("first_heat_on")
        if fact.device == permit.device and isinstance(heated, int):
            found = heated if max(since, last - 366) < heated <= last else found
    return found


def stability_refusals(
    case: Case,
    permit: Permit,
    plan: Plan,
    season: Season,
    spans: list[tuple[int, int]],
    warm: Decimal,
) -> list[str]:
    """Point 3 of section 4 for one season whose days are known."""
    first, last, today = season.first, season.last, permit.event.heard
    reasons = []
    heated = first_heat(case, permit, plan, season)
    if heated is None:
        reasons.append("没有首次供热的日期")
    elif heated > first + plan.numbers["first_heat_grace_days"]:
        spans = [*spans, (first, heated)]
    lengths = runs(spans, first, last)
    for name, label, found in (
        ("outage_days", "单次停热", max(lengths, default=0)),
        ("outage_days_total", "停热累计", sum(lengths)),
    ):
        if found > plan.numbers[name]:
            reasons.append(f"{label} {found} 天，上限 {plan.numbers[name]} 天")
    visits = sum(
        first <= fact.day <= min(last, today) and is_warm(fact, warm)
        for fact in case.facts.values()
    )
    if visits < plan.numbers["warm_visits"]:
        reasons.append(f"季内测温合格 {visits} 次，应有 {plan.numbers['warm_visits']} 次")
    signed = any(
        fact.values.get("season") == season.label and last < fact.day <= today
        for fact in case.facts.values()
    )
    if not signed:
        reasons.append(f"没有季末 {iso(last)} 之后的用户签字")
    return [f"{season.label}：{reason}（四.3）" for reason in reasons]


def runs(spans: Iterable[tuple[int, int]], first: int, last: int) -> list[int]:
    """The lengths of the outages within first … last: days that touch are one outage.

    A day that two spans share counts once.
    """
    out = {one for start, until in spans for one in range(max(start, first), min(until, last + 1))}
    lengths: list[int] = []
    for one in sorted(out):
        if one - 1 in out:
            lengths[-1] += 1
        else:
            lengths.append(1)
    return lengths


def permit_findings(case: Case, permit: Permit, *, drill: bool) -> Iterator[Finding]:
    """Unlawful by what was known, or else undermined by what came later; called at the end."""
    reasons = permit.refusals or refusals(case, permit, drill=drill)
    code = "permission_unlawful" if permit.refusals else "permission_undermined"
    if reasons:
        event = permit.event
        words = f"户 {show(case.code)} 第 {event.seq} 号许可（{iso(event.heard)}）："
        words += "；".join(reasons)
        yield Finding(code, event.stream, case.code, event.seq, words)


# ---------------------------------------------------------------- 9. the old facilities


# How people call the old facilities, and those who take them down.
WORDS = {
    "kang": "火炕", "stove": "暖炉", "boiler": "土锅炉", "other": "其他原设施",
    "household": "用户自行", "contractor": "施工单位", "official": "工作人员", "unknown": "不明",
}  # fmt: skip


def removals(case: Case) -> Iterator[tuple[Event, str, str, str | None]]:
    """Each record of a removal or sealing: record, facility, what is wrong or "", who did it.

    A permission of the case must have been in force and not suspended on the day (design 4).
    """
    standing = list(standing_removals(case))
    yield from standing
    wrong = {record.seq for record, _, code, _ in standing if code}
    # "Ever recorded": a correction shows beside what it corrected, it does not erase it.
    for record in case.struck:
        for facility, status, _ in sighted(record):
            if record.seq not in wrong:
                code = unlawful(case, record.day, status) and "removal_corrected_away"
                yield record, facility, code, text(record.values.get("by"))


def standing_removals(case: Case) -> Iterator[tuple[Event, str, str, str | None]]:
    """The records of removals and sealings as they read now, after all corrections.

    `confirm` after `reinstate` repeats what stood before: that is no second removal.
    """
    status_of: dict[str, str] = {}
    for record in case.sightings:
        for facility, status, reference in sighted(record):
            by = text(record.values.get("by"))
            earlier, status_of[facility] = status_of.get(facility), status
            if status == "gone":
                violation = case.facts.get(reference or 0)
                by = text(violation.values.get("by")) if violation is not None else None
                yield record, facility, "removed_without_permission", by
            elif record.kind == "accept":
                # `removed` names the permission; the removal itself is a record of its own.
                named = (permit.event.seq == reference for permit in case.permits)
                if status == "removed" and not any(named):
                    yield record, facility, "removed_without_permission", by
            elif status in ("removed", "sealed"):
                if record.kind != "old-facility" and earlier == status:
                    continue
                yield record, facility, unlawful(case, record.day, status), by


def sighted(record: Event) -> Iterator[tuple[str, str, int | None]]:
    """What a record says of each old facility: facility, status, the event it names."""
    if record.kind == "old-facility":
        facilities = record.values.get("facility")
        for facility in facilities if isinstance(facilities, tuple) else ("?",):
            yield facility, str(record.values.get("status")), None
        return
    items = record.values.get("facility") or record.values.get("old_facility")
    for item in items if isinstance(items, tuple) else ():
        facility, _, rest = item.partition(":")
        status, _, reference = rest.partition(":")
        yield facility, status, event_id(reference)


def unlawful(case: Case, when: int, status: str) -> str:
    """The finding's code for a removal or sealing on this day, "" where it was lawful."""
    # Each step of the case ends the permission before it: no two are in force on one day.
    for permit in case.permits:
        if permit.event.heard <= when < permit.until:
            if any(start <= when < until for start, until in case.suspensions):
                return f"{status}_while_suspended"
            return f"{status}_on_unlawful_permission" if permit.refusals else ""
    return f"{status}_without_permission"


def removal_finding(case: Case, record: Event, facility: str, code: str, by: str | None) -> Finding:
    """A removal that was wrong, whoever did it."""
    named = WORDS.get(facility, show(facility))
    words = f"户 {show(case.code)} 第 {record.seq} 号事件：{named}，{iso(record.day)}，"
    words += f"{FINDING_CODES[code]}何人所为：{WORDS.get(by or 'unknown', show(by))}"
    return Finding(code, f"case:{case.code}", case.code, record.seq, words)


# ---------------------------------------------------------------- 10. the tables


def table_findings(audit: Audit) -> Iterator[tuple[Place, Finding]]:
    """The tables beside that of the cases, row by row against what the journal makes of them."""
    for _, rows in audit.permissions.groups():
        yield from compare("permission", rows)
    officers, keys = map(asdict, audit.officers.values()), map(key_row, audit.keys.values())
    for table, wanted in ("officer", officers), ("gate", audit.gates.values()), ("key", keys):
        numbered = [("wanted", (number,), row) for number, row in enumerate(wanted)]
        yield from compare(table, [*audit.rows[table], *numbered])


def case_row(case: Case) -> Object:
    """What the table of cases must say."""
    version, head = case.head
    since = None if case.since is None else iso(case.since)
    said = {name: case.columns.get(name) for name in CASE_COLUMNS}
    moved = {"state": case.state, "state_since": since, "version": version, "head_hash": head}
    return {"code": case.code, **said, **moved}


def permission_row(permit: Permit) -> Object:
    """What the permission table must say; the season only where the rule found one."""
    event, accepted, ready = permit.event, permit.accepted, permit.ready
    row: dict[str, object] = {
        "case": event.case,
        "seq": event.seq,
        "permitted_on": iso(event.heard),
        "accepted_on": iso(accepted.day) if accepted else None,
        "acceptance_seq": accepted.seq if accepted else None,
        "accepted_by": accepted.person if accepted else None,
        "ready_on": iso(ready.ready_on) if ready and ready.ready_on else None,
        "readiness_seq": ready.seq if ready else None,
        "permitted_by": event.person,
        "plan": event.plan,
    }
    if permit.seasons:
        row["season_first_day"] = iso(permit.seasons[0].first)
        row["season_last_day"] = iso(permit.seasons[-1].last)
    return row


def key_row(key: Key) -> Object:
    """What the table of keys must say."""
    until = key.valid_until
    return asdict(key) | {"valid_until": None if until is None else iso(until)}


def compare(table: str, rows: Iterable[Row]) -> Iterator[tuple[Place, Finding]]:
    """One table, or the rows of one key: none too many or too few, each column as it must be."""
    names, number = TABLES[table], list(TABLES).index(table)
    found = [(place, row) for of, place, row in rows if of == "row"]
    wanted = [(place, row) for of, place, row in rows if of == "wanted"]
    wanted.sort(key=itemgetter(0))
    left = {tuple(row[name] for name in names): (place, row) for place, row in wanted}
    for place, said in found:
        at = (END, number, 0, *place)
        key = tuple(said.get(name) for name in names)
        known = all(isinstance(part, (str, int)) for part in key)
        _, row = left.pop(key, (None, None)) if known else (None, None)
        if row is None:
            yield at, differs(table, key, said, "日志中没有这一行，或这一行重复")
            continue
        for name, value in row.items():
            if name not in said or not same(said[name], value):
                words = f"{name} 应为 {show(value)}，表中是 {show(said.get(name))}"
                yield at, differs(table, key, row, words)
    for key, (place, row) in left.items():
        yield (END, number, 1, *place), differs(table, key, row, "表中没有这一行")


def differs(table: str, key: tuple[object, ...], row: Object, words: str) -> Finding:
    """A table says other than the journal."""
    code = text(row.get("code" if table == "case" else "case"))
    stream = f"case:{code}" if code is not None else None
    words = f"{table} 表 {'，'.join(map(show, key))}：{words}"
    return Finding("projection_differs", stream, code, whole(row.get("seq")), words)


# ---------------------------------------------------------------- 11. the report and the command


def examine(lines: Iterable[Object], receipts: Iterable[str] = ()) -> Report:
    """Check a whole bundle, given as its parsed lines, and report everything that is wrong.

    `receipts` are texts of witness's receipts that came another way than in the bundle.

    Raises nothing over what the lines contain: whatever cannot be read is a finding. The lines are
    taken one at a time and not kept.
    """
    audit = Audit()
    for receipt in receipts:
        audit.take_receipt(receipt)
    for line in lines:
        audit.take(line)
    return audit.finish()


USAGE = "用法：python verify.py BUNDLE.jsonl [--json] [--receipt FILE]…\n"


def main(argv: list[str]) -> int:
    """Check the bundle named in `argv`, print what was found, and return the exit status."""
    left = [argument for argument in argv if argument != "--json"]
    named = []
    while "--receipt" in left[:-1]:
        place = left.index("--receipt")
        named.append(left[place + 1])
        del left[place : place + 2]
    if len(left) != 1 or argv.count("--json") > 1 or left[0].startswith("-"):
        sys.stderr.write(USAGE)
        return 2
    [path] = left
    try:
        receipts = []
        for name in named:
            with open(name, encoding="utf-8", errors="replace") as receipt:
                receipts.append(receipt.read())
        with open(path, "rb") as file:
            lines = parsed(file)
            header = next(lines, {})
            if header.get("type") != "header" or header.get("format") != "xianli-bundle/1":
                sys.stderr.write(f"{path} 不是 xianli-bundle/1 的审计文件\n")
                return 3
            report = examine(chain([header], lines), receipts)
    except OSError as error:
        sys.stderr.write(f"{error.filename or path} 打不开：{error.strerror}\n")
        return 3
    written = as_json(report) if "--json" in argv else as_text(report)
    sys.stdout.write(written.encode("utf-8", "backslashreplace").decode() + "\n")
    if report.integrity:
        return 6
    return 1 if report.removal else 0


def parsed(file: Iterable[bytes]) -> Iterator[Object]:
    """The lines of a bundle; one that is no JSON object becomes empty, which is a finding."""
    for line in file:
        value: object = None
        with suppress(ValueError, RecursionError):
            value = json.loads(line)
        yield mapping(value)


def as_json(report: Report) -> str:
    """The report under the keys of design section 8."""

    def told(findings: Iterable[Finding], *names: str) -> list[dict[str, object]]:
        return [{name: getattr(one, name) for name in names} for one in findings]

    removal = {
        "permitted": report.permitted, "removed": report.removed, "lawful": report.lawful,
        "findings": told(report.removal, "code", "case", "seq", "message"),
    }  # fmt: skip
    everything = {
        "verified": not report.integrity, "events": report.events, "cases": report.cases,
        "drill": report.drill,
        "findings": told(report.integrity, "code", "stream", "seq", "message"), "removal": removal,
        "proof": report.proof, "signatures_checked": report.signatures_checked,
        "quarantined": list(report.quarantined), "witnesses": list(report.witnesses),
    }  # fmt: skip
    return json.dumps(everything, ensure_ascii=False)


def as_text(report: Report) -> str:
    """The report for people: totals, then the findings by code."""
    lines = ["演练·未核实"] if report.drill else []
    lines += [
        f"事件 {report.events} 个，户 {report.cases} 户",
        f"曾获允许拆除 {report.permitted} 户；原设施曾拆除或封存 {report.removed} 户，"
        f"其中全部合规 {report.lawful} 户",
        "日志核对：" + (f"{len(report.integrity)} 处不符" if report.integrity else "全部相符"),
        "先立后破：" + (f"{len(report.removal)} 处违规" if report.removal else "没有发现违规"),
        "证明等级："
        + "，".join(f"{GRADES[grade]} {number} 户" for grade, number in report.proof.items()),
    ]
    if not report.signatures_checked:
        lines.append("签名未核对：这台电脑的 Python 没有 cryptography（pip install cryptography）")
    for line in report.witnesses:
        lines.append(f"见证人（请与其本人核对公钥）：{'+'.join(map(show, line.split('+')))}")
    if report.quarantined:
        lines.append(f"已隔离：{'、'.join(map(show, report.quarantined))}")
    everything = report.integrity + report.removal
    for code, meaning in FINDING_CODES.items():
        found = [finding for finding in everything if finding.code == code]
        if found:
            lines += ["", f"{code}（{len(found)}）：{meaning}"]
            lines += [f"  {finding.message}" for finding in found]
    return "\n".join(lines)


if __name__ == "__main__":
    gc.disable()  # nothing that is kept is a cycle, and to look for one takes a quarter of the time
    sys.exit(main(sys.argv[1:]))
