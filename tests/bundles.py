"""Bundles for the tests of the independent audit, made event by event.

Nothing of ours helps to make them: the canonical JSON, the hashes, the tree, the signatures and the
tables are this file's own.
"""

import base64
import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from workflow import verify

Line = dict[str, object]

CODE = "103-0001"
FIRST_DAY, LAST_DAY = "2023-11-01", "2024-03-31"
PERMIT_DAY = "2024-04-20"


def season(label: str, first: str, last: str, **more: object) -> Line:
    where: Line = {"areas": ["rural"], "paths": ["coal_to_electric", "solar"]}
    days: Line = {"label": label, "first_day": first, "last_day": last, "verified": False}
    return {**where, **days, **more}


SEASONS = [
    season("2023-2024", FIRST_DAY, LAST_DAY),
    season("2024-2025", "2024-11-01", "2025-03-31"),
]
CHECKED = {"verified": True, "document": "d" * 64, "entered_by": "zhang"}


def make_plan(seasons: list[Line] | None = None, **rules: object) -> Line:
    values: Line = {
        "required_seasons": 1,
        "exempt_paths": [],
        "outage_days": 7,
        "outage_days_total": 15,
        "warm_visits": 2,
        "warm_temperature": 18,
        "first_heat_grace_days": 5,
        "backdating_days": 15,
    }
    entries = {name: {"value": value, "verified": False} for name, value in values.items()}
    for name, value in rules.items():
        entries[name] = value if isinstance(value, dict) else {**entries[name], "value": value}
    return {"name": "tiny", "rules": entries, "seasons": SEASONS if seasons is None else seasons}


@dataclass(frozen=True)
class Step:
    """One event to write; `over` are fields of the body that shall be other than right.

    In the evidence "@label" stands for the seq of the step with that label.
    """

    kind: str
    on: str
    by: str = "wang"
    evidence: Mapping[str, object] = field(default_factory=dict)
    heard: str = ""
    attach: tuple[str, ...] = ()
    label: str = ""
    stream: str = f"case:{CODE}"
    over: Mapping[str, object] = field(default_factory=dict)

    @property
    def recorded_at(self) -> str:
        heard = self.heard or self.on
        return heard if "T" in heard else f"{heard}T04:00:00.000000Z"


OFFICERS: dict[str, tuple[str, str | None, str]] = {
    "zhang": ("county_office", None, "zhang"),
    "lin": ("county_office", None, "lin"),
    "wang": ("unit_officer", "103", "wang"),
    "wang2": ("acceptor", None, "wang"),
    "zhao": ("unit_head", "103", "zhao"),
    "qian": ("unit_officer", "200", "qian"),
    "sun": ("acceptor", None, "sun"),
    "sun2": ("county_office", None, "sun"),
    "he": ("auditor", None, "he"),
}
MOVES = {
    "registered": "household_confirmation",
    "confirm": "equipment_selection",
    "select": "construction",
    "complete": "acceptance",
    "reject": "construction",
    "accept": "stable_season",
    "permit": "removal_permitted",
    "overturn": "construction",
    "replace": "construction",
    "change_path": "equipment_selection",
    "revoke": "stable_season",
    "close": "closed",
    "reinstate": "household_confirmation",
}


def canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def digest(written: str) -> str:
    return hashlib.sha256(written.encode()).hexdigest()


class Book:
    """Writes events and keeps the tables that belong to them."""

    def __init__(self, plan: Line, *, drill: bool) -> None:
        self.lines: list[Line] = []
        self.heads: dict[str, tuple[int, str]] = {}
        self.labels: dict[str, int] = {}
        self.cases: dict[str, Line] = {}
        self.permissions: list[Line] = []
        self.milestones: dict[str, Line] = {}
        self.officers = dict(OFFICERS)
        self.disabled: set[str] = set()
        self.gates: dict[str, Line] = {}
        self.keys: dict[str, Line] = {}
        self.drill = drill
        self.plan = digest(canonical(plan))
        on = "2023-05-19"
        self.add(Step("init", on, "zhang", {"drill": drill, "plan": "tiny"}, stream="database"))
        adopted: Line = {"name": "tiny", "document": plan}
        self.add(Step("plan_adopted", on, "zhang", adopted, stream="plan"))
        for login, (role, unit, person) in OFFICERS.items():
            evidence = {"login": login, "name": login, "person": person, "role": role, "unit": unit}
            self.add(Step("officer_added", on, "zhang", evidence, stream="officers"))

    def add(self, step: Step) -> None:
        seq = len(self.lines) + 1
        self.labels[step.label] = seq
        evidence = {key: self.named(value) for key, value in step.evidence.items()}
        if step.kind == "plan_adopted" and isinstance(evidence["document"], dict):
            self.plan = digest(canonical(evidence["document"]))
        version, previous = self.heads.get(step.stream, (0, None))
        row = self.cases.get(step.stream[5:])
        moves = step.kind in MOVES
        body: Line = {
            "schema": 1,
            "stream": step.stream,
            "version": version + 1,
            "previous": previous,
            "kind": step.kind,
            "from": row["state"] if moves and row else None,
            "to": MOVES[step.kind] if moves else None,
            "occurred_on": step.on,
            "recorded_at": step.recorded_at,
            "actor": step.by,
            "role": self.officers.get(step.by, ("county_office",))[0],
            "reason": None,
            "evidence": evidence,
            "attachments": [{"name": name, "sha256": "a" * 64} for name in step.attach],
            "plan": self.plan,
            "personal": None,
            **step.over,
        }
        written = canonical(body)
        columns = {name: body[name] for name in verify.JOURNAL_COLUMNS}
        self.heads[step.stream] = (version + 1, digest(written))
        line: Line = {"type": "event", "seq": seq, "hash": digest(written), "bytes": written}
        self.lines.append({**line, "signature": None, "columns": columns})
        self.project(step, seq, body, evidence)

    def named(self, value: object) -> object:
        if isinstance(value, list):
            return [self.named(item) for item in value]
        if isinstance(value, str) and "@" in value:
            before, _, label = value.partition("@")
            return before + str(self.labels[label])
        return value

    def project(self, step: Step, seq: int, body: Line, evidence: Line) -> None:
        if step.kind == "officer_disabled":
            self.disabled.add(str(evidence.get("login")))
        if step.kind == "key_added":
            key = str(evidence.get("key"))
            until = {"valid_until": evidence.get("valid_until"), "revoked_seq": None}
            mine: Line = {"key": key, "login": evidence.get("login"), "added_seq": seq, **until}
            self.keys[key] = {"type": "key", **mine}
        if step.kind == "key_revoked" and str(evidence.get("key")) in self.keys:
            self.keys[str(evidence["key"])]["revoked_seq"] = seq
        if step.kind == "gate_opened":
            key = canonical([evidence.get(name) for name in ("unit", "village", "kind")])
            self.gates[key] = {"type": "gate", **evidence}
        if not step.stream.startswith("case:"):
            return
        code = step.stream[5:]
        row = self.cases.setdefault(code, {"type": "case", "code": code})
        columns = ("unit", "village", "path", "kind", "area", "quota")
        if step.kind in ("registered", "amended", "change_path", "reinstate"):
            row |= {name: evidence[name] for name in columns if name in evidence}
        if body["to"] is not None:
            row |= {"state": body["to"], "state_since": step.on}
        row["version"], row["head_hash"] = self.heads[step.stream]
        person = self.officers.get(step.by, ("", None, step.by))[2]
        if step.kind == "accept":
            self.milestones |= {
                code: {
                    **self.milestones.get(code, {}),
                    "accepted_on": step.on,
                    "acceptance_seq": seq,
                    "accepted_by": person,
                }
            }
        if step.kind == "complete":
            self.milestones[code] = {"ready_on": evidence.get("ready_on"), "readiness_seq": seq}
        if step.kind == "permit":
            season_days = {"season_first_day": FIRST_DAY, "season_last_day": LAST_DAY}
            mine = {"case": code, "seq": seq, "permitted_on": step.recorded_at[:10]}
            rest = {"permitted_by": person, "plan": body["plan"], **season_days}
            found = self.milestones.get(code, {})
            self.permissions.append({"type": "permission", **mine, **found, **rest})

    def bundle(self) -> list[Line]:
        header: Line = {"type": "header", "format": "xianli-bundle/1", "drill": self.drill}
        header |= {"size": len(self.lines), "triggers": {}}
        officers: list[Line] = [
            {
                "type": "officer",
                "login": login,
                "name": login,
                "person": person,
                "role": role,
                "unit": unit,
                "active": login not in self.disabled,
            }
            for login, (role, unit, person) in self.officers.items()
        ]
        tables = [
            *self.cases.values(),
            *self.permissions,
            *officers,
            *self.gates.values(),
            *self.keys.values(),
        ]
        return copy.deepcopy([header, *self.lines, *tables])


REGISTERED: Line = {
    "unit": "103",
    "village": "东会村",
    "path": "coal_to_electric",
    "kind": "residential",
    "area": "rural",
    "quota": "planned",
    "old_facilities": ["kang"],
    "holds": ["name"],
}


def story(*extra: Step, **changed: Step | None) -> list[Step]:
    """A household from the ledger to the permission, each step on its day; None leaves one out."""
    steps: dict[str, Step | None] = {
        "registered": Step("registered", "2023-05-20", evidence=REGISTERED, label="registered"),
        "confirm": Step(
            "confirm",
            "2023-06-01",
            evidence={"consent_by": "household", "old_facility": ["kang:in_use"]},
        ),
        "select": Step("select", "2023-06-10", evidence={"model": "KFR-1"}),
        "works": Step("works", "2023-08-01", evidence={"started_on": "2023-08-01"}, label="works"),
        "complete": Step("complete", "2023-09-20", evidence={"ready_on": "2023-09-20"}),
        "accept": Step(
            "accept", "2023-10-10", "sun", {"facility": ["kang:present:a.jpg"]}, label="accept"
        ),
        "heat": Step("works", "2023-11-02", evidence={"first_heat_on": "2023-11-02"}, label="heat"),
        "visit_1": Step("visit", "2023-12-01", evidence={"temperature": "20.5"}, label="visit_1"),
        "visit_2": Step("visit", "2024-02-01", evidence={"temperature": 18}, label="visit_2"),
        "signature": Step(
            "signature",
            "2024-04-01",
            evidence={"season": "2023-2024", "by": "household"},
            label="signature",
        ),
        "permit": Step("permit", PERMIT_DAY, "zhang", label="permit"),
    }
    steps |= changed
    kept = [step for step in steps.values() if step is not None]
    return sorted([*kept, *extra], key=lambda step: step.recorded_at)


def make(*steps: Step, plan: Line | None = None, drill: bool = True) -> list[Line]:
    book = Book(make_plan() if plan is None else plan, drill=drill)
    for step in steps or story():
        book.add(step)
    return book.bundle()


def integrity(lines: list[Line]) -> set[str]:
    return {finding.code for finding in verify.examine(lines).integrity}


def removal(lines: list[Line]) -> list[str]:
    """The removal findings of a bundle that is otherwise sound."""
    report = verify.examine(lines)
    assert report.integrity == ()
    return [finding.code for finding in report.removal]


def changed(kind: str, on: str, by: str = "wang", **evidence: object) -> Step:
    return Step(kind, on, by, evidence)


def events(lines: list[Line]) -> list[Line]:
    return [line for line in lines if line["type"] == "event"]


def row(lines: list[Line], kind: str) -> Line:
    return next(line for line in lines if line["type"] == kind)


def rewritten(line: Line, **fields: object) -> None:
    """Change the bytes and the columns of an event, and its hash with them."""
    body = {**json.loads(str(line["bytes"])), **fields}
    columns = cast("Line", line["columns"])
    columns |= {name: value for name, value in fields.items() if name in columns}
    line["bytes"] = canonical(body)
    line["hash"] = digest(canonical(body))


# ---------------------------------------------------------------- steps


def later(kind: str, on: str, by: str = "wang", **evidence: object) -> Step:
    """A step recorded after the permission, with its document."""
    return Step(kind, on, by, {**evidence, "late_document": "d"}, "2024-05-01", ("d",))


def facility(status: str, on: str, **more: object) -> Step:
    evidence = {"facility": "kang", "status": status, "by": "contractor", **more}
    return Step("old-facility", on, evidence=evidence, label=f"{status}{on}")


def revised(later: Line, by: str = "zhang", **evidence: object) -> Step:
    given = {"name": "tiny", "document": later, "permitted": [], **evidence}
    old = {"plan": digest(canonical(make_plan()))}
    return Step("plan_adopted", "2024-05-02", by, given, stream="plan", over=old)


def proposed(later: Line, by: str) -> Step:
    given = {"name": "tiny", "document": later, "permitted": []}
    return Step("plan_proposed", "2024-05-01", by, given, label="proposal", stream="plan")


def letter(count: int, on: str, by: str = "system", **over: object) -> Step:
    matter = {"case": CODE, "deadline": "works", "due_on": "2023-09-30"}
    evidence: Line = {
        "number": f"甲清办催〔{on[:4]}〕{count}号",
        "kind": "urge",
        "unit": "103",
        "level": "orange",
        "reply_by": on,
        "matters": [matter],
        **over,
    }
    role = {"role": "system"} if by == "system" else {}
    return Step("letter_issued", on, by, evidence, stream="letters", over=role)


def slip(number: str, on: str, by: str) -> Step:
    return Step("letter_answered", on, by, {"number": number}, stream="letters", attach=("回执",))


# ---------------------------------------------------------------- keys, tree, receipts


def length_prefixed(*parts: bytes) -> bytes:
    """SSH's way to write strings one after another."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


class Signer:
    """Somebody with an Ed25519 key, the same at every run."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.secret = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
        self.raw = self.secret.public_key().public_bytes_raw()

    @property
    def line(self) -> str:
        """The public key as in a `.pub` file."""
        return f"ssh-ed25519 {base64_of(length_prefixed(b'ssh-ed25519', self.raw))}"

    def signature(self, message: str, space: str = "xianli-drill@v1") -> str:
        """An SSHSIG blob over the message, in base64."""
        hashed = hashlib.sha512(message.encode()).digest()
        framed = b"SSHSIG" + length_prefixed(space.encode(), b"", b"sha512", hashed)
        raw = length_prefixed(b"ssh-ed25519", self.secret.sign(framed))
        key = length_prefixed(b"ssh-ed25519", self.raw)
        blob = length_prefixed(key, space.encode(), b"", b"sha512", raw)
        return base64_of(b"SSHSIG" + (1).to_bytes(4, "big") + blob)

    def sign(self, lines: list[Line], *logins: str, after: int = 0) -> None:
        """Sign what these logins recorded after an event."""
        for line in events(lines):
            body = json.loads(str(line["bytes"]))
            if body["actor"] in (logins or (self.name,)) and int(str(line["seq"])) > after:
                line["signature"] = self.signature(str(line["bytes"]))

    @property
    def witness_line(self) -> str:
        """The key of a witness, `name+id+key`."""
        return f"{self.name}+{self.key_id.hex()}+{base64_of(bytes([4]) + self.raw)}"

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([4]) + self.raw).digest()[:4]

    def receipt(self, origin: str, size: int, root: str, seconds: int = 1_700_000_000) -> str:
        """A cosigned checkpoint."""
        body = f"{origin}\n{size}\n{root}\n"
        signed = self.secret.sign(f"cosignature/v1\ntime {seconds}\n{body}".encode())
        written = base64_of(self.key_id + seconds.to_bytes(8, "big") + signed)
        return f"{body}\n\u2014 {self.name} {written}\n"


def tree_of(lines: list[Line], size: int | None = None) -> tuple[str, int, str]:
    """Origin, size and root of the first events of a bundle, by RFC 6962's own definition."""
    taken = events(lines)[:size]
    leaves = [
        canonical({name: line[name] for name in ("seq", "hash", "signature")}).encode()
        for line in taken
    ]
    first = json.loads(str(taken[0]["bytes"]))["evidence"]
    middle = "drill/" if first["drill"] else ""
    origin = f"xianli/{first['plan']}/{middle}{str(taken[0]['hash'])[:16]}"
    return origin, len(leaves), base64_of(root_of(leaves))


def root_of(leaves: list[bytes]) -> bytes:
    if len(leaves) < 2:
        return hashlib.sha256(b"\0" + leaves[0] if leaves else b"").digest()
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    halves = root_of(leaves[:split]), root_of(leaves[split:])
    return hashlib.sha256(b"\1" + halves[0] + halves[1]).digest()
