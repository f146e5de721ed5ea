"""Holds a removal certificate against the auditor's bundle, without the program that made it.

    python verify_certificate.py BUNDLE.jsonl CERTIFICATE.html [--json]
    python verify_certificate.py BUNDLE.jsonl 'XIANLI1|…' [--json]     (what the QR code says)

Standard library and `verify.py` beside it, nothing else. Every value on the page is computed again
from the bundle's events up to the checkpoint that the page names; everything on the page that is no
value must be, byte for byte, what stands on every certificate. Exit status 0: it holds; 1: it does
not, each wrong field named; 3: no bundle, or no certificate; 6: the bundle does not verify.
"""

import base64
import hashlib
import html
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

if __package__:
    from workflow import verify
else:
    import verify  # type: ignore[import-not-found,no-redef]

# SHA-256 of the page without its values: the same for every certificate ever made.
SKELETONS = ("e8752567448d38882ec97ef4c1722fda88727e115cbf061b254ce25e2c023fb8",)
FIELDS = re.compile(
    r"(?P<open><(?P<tag>[a-z0-9]+)[^<>]*? data-field=\"(?P<name>[a-z_]+)\"[^<>]*>)"
    r"(?P<content>.*?)(?=</(?P=tag)>)",
    re.DOTALL,
)
DRAWING = re.compile(r"<svg [^<>]*>(<path [^<>]*/>)+</svg>\n?")
PATHS = {
    "coal_to_electric": "煤改电",
    "central_heating": "集中供热",
    "coal_to_gas": "煤改气",
    "solar": "太阳能",
    "biomass": "生物质",
    "clean_coal": "洁净煤",
}
KINDS = {"residential": "居民户", "collective": "集体户"}
AREAS = {"county_town": "县城", "rural": "农村"}
ROLES = {
    "unit_officer": "责任单位经办人",
    "unit_head": "责任单位负责人",
    "acceptor": "验收人员",
    "county_office": "县清洁取暖办",
    "auditor": "审计人员",
    "system": "系统",
}
GRADES = {"witnessed": "有见证", "signed": "有签名", "clock_only": "仅凭时钟"}
MATTERS = {"violation": "违规", "complaint": "投诉", "finding": "审计发现"}
# The type of a violation, the severity of a finding.
WHAT = {
    "kang_sealed": "封火炕",
    "stove_removed": "拆暖炉",
    "coal_confiscated": "没收煤炭",
    "other": "其他",
    "note": "一般",
    "serious": "严重",
}
OUTCOMES = {"resolved": "已解决", "unfounded": "不属实"}
DRILL = "演练：本页不作凭证"
NOT_ASKED = "本路径按计划不受采暖季限制"


@dataclass
class Then:
    """The journal as it stood at a size, and the bytes that the page quotes."""

    audit: verify.Audit
    root: str = ""
    leaves: list[bytes] = field(default_factory=list)
    lines: dict[int, tuple[str, Mapping[str, object]]] = field(default_factory=dict)
    plans: dict[str, Mapping[str, object]] = field(default_factory=dict)
    whole: verify.Report | None = None


@dataclass(frozen=True)
class Verdict:
    """Which fields are wrong, and why; what became known after the checkpoint."""

    code: str
    wrong: tuple[tuple[str, str], ...]
    later: tuple[str, ...]
    broken: bool


def read(lines: Iterable[Mapping[str, object]], size: int, code: str) -> Then:
    """The journal up to `size` events, and the whole of it beside."""
    then, whole = Then(verify.Audit()), verify.Audit()
    for line in lines:
        whole.take(line)
        if line.get("type") == "header":
            then.audit.take(line)
        elif line.get("type") == "event" and then.audit.events < size:
            then.audit.take(line)
            seq, written = line.get("seq"), line.get("bytes")
            entry = {"seq": seq, "hash": line.get("hash"), "signature": line.get("signature")}
            then.leaves.append(verify.CANONICAL(entry).encode())
            body = _object(written)
            if body.get("stream") == f"case:{code}" and isinstance(seq, int):
                then.lines[seq] = (str(line.get("hash")), body)
            if body.get("kind") == "plan_adopted":
                evidence = body.get("evidence")
                document = evidence.get("document") if isinstance(evidence, dict) else None
                if isinstance(document, dict):
                    text = verify.CANONICAL(document)
                    then.plans[hashlib.sha256(text.encode()).hexdigest()] = document
    then.root = then.audit.tree.root()
    then.whole = whole.finish()
    return then


def _object(written: object) -> Mapping[str, object]:
    try:
        value = json.loads(written) if isinstance(written, str) else None
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {}


def expected(then: Then, code: str, size: int) -> dict[str, str]:
    """What every field of the page must say, by name; empty when no permission is in force."""
    case = then.audit.household(code)
    seqs = sorted(then.lines)
    if case is None or not case.permits or not seqs or case.state != "removal_permitted":
        return {}
    permit = case.permits[-1]
    event = permit.event
    document = then.plans.get(event.plan or "", {})
    columns = {name: value or "" for name, value in case.columns.items()}
    words = {
        "drill": DRILL if then.audit.drill else "",
        "code": code,
        "unit": f"{_unit_name(document, columns['unit'])}（{columns['unit']}）",
        "village": columns["village"],
        "path": PATHS.get(columns["path"], ""),
        "kind": KINDS.get(columns["kind"], ""),
        "area": AREAS.get(columns["area"], ""),
        "permission_seq": str(event.seq),
        "permission_hash": then.lines[event.seq][0],
        "permitted_on": verify.iso(event.heard),
        "permitted_by": event.actor,
        "plan": f"{document.get('title')}（{document.get('document')}）",
        "plan_hash": event.plan or "",
        "clause": f"{document.get('document')} {_source(document)}",
        "origin": then.audit.origin,
        "size": str(size),
        "root": then.root,
        "leaf": base64.b64encode(then.leaves[event.seq - 1]).decode(),
        "inclusion": " ".join(
            base64.b64encode(node).decode() for node in inclusion(then.leaves, event.seq - 1)
        ),
    }
    words["qr_text"] = "|".join(
        ("XIANLI1", words["origin"], code, words["permission_hash"], words["size"], words["root"])
    )
    words["matters"] = "；".join(matters(then)) or "无"
    return words | _computed(then, case, permit) | {"rows": "".join(rows(then))}


def matters(then: Then) -> Iterator[str]:
    """Every violation, complaint and finding of the household, and how it was answered."""
    answers = {}
    for body in (body for _, body in then.lines.values() if body.get("kind") == "resolve"):
        told = _evidence(body)
        answers[verify.event_id(told.get("id"))] = (
            f"{OUTCOMES.get(str(told.get('outcome')), '')}，{body.get('occurred_on')}"
        )
    for seq, (_, body) in sorted(then.lines.items()):
        kind, told = str(body.get("kind")), _evidence(body)
        if kind in MATTERS:
            what = WHAT.get(str(told.get("type") or told.get("severity")))
            about = "，".join([*([what] if what else []), str(body.get("occurred_on"))])
            yield f"第 {seq} 号{MATTERS[kind]}（{about}）：{answers.get(seq, '未销号')}"


def _evidence(body: Mapping[str, object]) -> Mapping[str, object]:
    evidence = body.get("evidence")
    return evidence if isinstance(evidence, dict) else {}


def _unit_name(document: Mapping[str, object], code: str) -> str:
    units = document.get("units")
    for unit in units if isinstance(units, list) else ():
        if isinstance(unit, dict) and unit.get("code") == code:
            return str(unit.get("name"))
    return code


def _source(document: Mapping[str, object]) -> str:
    """Where the plan says that the season's rule comes from."""
    rules = document.get("rules")
    rule = rules.get("required_seasons") if isinstance(rules, dict) else None
    return str(rule.get("source")) if isinstance(rule, dict) else ""


def _computed(then: Then, case: verify.Case, permit: verify.Permit) -> dict[str, str]:
    """The season as it was counted, and what of it nobody has verified."""
    plan, today = permit.plan, permit.event.heard
    names = ("clock_start", "seasons", "first_heat", "longest_outage", "outage_days", "warm_visits")
    if plan is None or permit.path in (plan.exempt or ()):
        unverified = (
            "无" if plan and "exempt_paths" in plan.verified else "路径豁免（exempt_paths）"
        )
        return dict.fromkeys((*names, "signatures"), NOT_ASKED) | {"unverified": unverified}
    chosen = verify.ended_seasons(permit, plan)
    if isinstance(chosen, str) or plan.warm_temperature is None:
        return {}
    warm, spans = plan.warm_temperature, verify.outages(case, today, plan.warm_temperature)
    grace = plan.numbers["first_heat_grace_days"]
    heats, lengths, visits, signed = [], [], [], []
    for season in chosen:
        first, last = season.first, season.last
        heated = verify.first_heat(case, permit, plan, season)
        heats.append(heated)
        late = [(first, heated)] if heated is not None and heated > first + grace else []
        lengths.append(verify.runs([*spans, *late], first, last))
        visits.append(
            sum(
                fact.kind == "visit" and first <= fact.day <= last and verify.is_warm(fact, warm)
                for fact in case.facts.values()
            )
        )
        signed.append(
            min(
                (
                    fact.day
                    for fact in case.facts.values()
                    if fact.kind == "signature"
                    and fact.values.get("season") == season.label
                    and fact.day > last
                ),
                default=None,
            )
        )
    told = [f"{season.label} 采暖季起止日期" for season in chosen if not season.verified]
    if "required_seasons" not in plan.verified:
        told.append("要求的采暖季数（required_seasons）")
    numbers = plan.numbers
    return {
        "clock_start": verify.iso(verify.clock_start(case, permit)),
        "seasons": "；".join(
            f"{one.label}：{verify.iso(one.first)} 至 {verify.iso(one.last)}" for one in chosen
        ),
        "first_heat": "；".join(map(verify.iso, heats)),
        "longest_outage": "；".join(
            f"{max(days, default=0)} 天（上限 {numbers['outage_days']}）" for days in lengths
        ),
        "outage_days": "；".join(
            f"{sum(days)} 天（上限 {numbers['outage_days_total']}）" for days in lengths
        ),
        "warm_visits": "；".join(
            f"{number} 次（至少 {numbers['warm_visits']}）" for number in visits
        ),
        "signatures": "；".join(map(verify.iso, signed)),
        "unverified": "；".join(told) or "无",
    }


def rows(then: Then) -> Iterator[str]:
    """The chain of facts, one line of the table for each event of the household."""
    for seq, (digest, body) in sorted(then.lines.items()):
        kind, attached = str(body.get("kind")), body.get("attachments")
        files = attached if isinstance(attached, list) else []
        cells = (
            str(seq),
            str(body.get("occurred_on")),
            verify.iso(verify.shanghai_day(str(body.get("recorded_at")))),
            verify.CASE_KINDS.get(kind, (kind, set()))[0],
            ROLES.get(str(body.get("role")), ""),
            digest,
            "；".join(f"{one.get('name')} {one.get('sha256')}" for one in files),
        )
        yield "<tr>" + "".join(f"<td>{_escaped(cell)}</td>" for cell in cells) + "</tr>\n"


def _escaped(text: str) -> str:
    return html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")


def inclusion(leaves: list[bytes], index: int) -> list[bytes]:
    """The audit path of a leaf in the tree over all the leaves (RFC 6962, 2.1.1)."""
    level = [hashlib.sha256(b"\0" + leaf).digest() for leaf in leaves]
    path = []
    while len(level) > 1:
        if index ^ 1 < len(level):
            path.append(level[index ^ 1])
        pairs = zip(level[::2], level[1::2], strict=False)
        above = [hashlib.sha256(b"\1" + left + right).digest() for left, right in pairs]
        level, index = above + level[len(above) * 2 :], index // 2
    return path


def parts(page: str) -> tuple[str, dict[str, str], list[str]]:
    """The page without its values, the values by name, and names that stand there twice."""
    values: dict[str, str] = {}
    twice = []
    for match in FIELDS.finditer(page):
        if match["name"] in values and values[match["name"]] != match["content"]:
            twice.append(match["name"])
        values.setdefault(match["name"], match["content"])
    return FIELDS.sub(lambda match: match["open"], page), values, twice


def judge(lines: Iterable[Mapping[str, object]], page: str) -> Verdict | str:
    """Whether the page, or what its QR code says, holds; a text when it is no certificate."""
    if page.startswith("XIANLI1|"):
        given = page.strip().split("|")
        if len(given) != 6 or not given[4].isdigit():
            return "二维码内容不完整"
        code, size = given[2], int(given[4])
        values = {"qr_text": _escaped(page.strip())}
    else:
        skeleton, values, twice = parts(page)
        code, written = html.unescape(values.get("code", "")), values.get("size", "")
        if not code or not written.isdigit():
            return "不是拆除许可证明"
        size = int(written)
    then = read(lines, size, code)
    wanted = expected(then, code, size)
    wrong = [("permission", "截至该检查点，该户没有有效的许可")] if not wanted else []
    if not page.startswith("XIANLI1|"):
        if hashlib.sha256(skeleton.encode()).hexdigest() not in SKELETONS:
            wrong.append(("page", "版面文字与证明的固定格式不符"))
        wrong += [(name, "同一项写了两次，说法不同") for name in twice]
        drawing = values.pop("qr", "")
        wanted["qr_hash"] = hashlib.sha256(drawing.encode()).hexdigest()
        if not DRAWING.fullmatch(drawing):
            wrong.append(("qr", "二维码图形被改动"))
        wanted |= _graded(then, code, values)
        wrong += [(name, "缺少这一项") for name in wanted if name not in values]
    for name, value in values.items():
        right = wanted.get(name, "")
        if value != (right if name == "rows" else _escaped(right)) and wanted:
            wrong.append((name, f"页上写的是“{verify.show(html.unescape(value))}”，应为“{right}”"))
    report = then.whole
    assert report is not None
    later = tuple(finding.message for finding in report.removal if finding.case == code)
    if size > report.events:
        wrong.append(("size", f"审计包只有 {report.events} 条，证明说有 {size} 条"))
    return Verdict(code, tuple(wrong), later, bool(report.integrity))


def _graded(then: Then, code: str, values: Mapping[str, str]) -> dict[str, str]:
    """The grade: what the page claims may be less than what stands by now, never more."""
    order = ("仅凭时钟", "有签名", "有见证")
    assert then.whole is not None
    proved = GRADES.get(then.whole.grades.get(code, "clock_only"), order[0])
    claimed = values.get("grade", "")
    if claimed in order and order.index(claimed) <= order.index(proved):
        return {"grade": claimed}
    return {"grade": proved}


USAGE = "用法：python verify_certificate.py 审计包.jsonl 证明.html|二维码内容 [--json]\n"


def main(argv: list[str]) -> int:
    """Check the certificate named in `argv`, print what was found, return the exit status."""
    left = [argument for argument in argv if argument != "--json"]
    if len(left) != 2:
        sys.stderr.write(USAGE)
        return 2
    bundle, named = left
    try:
        page = named if named.startswith("XIANLI1|") else Path(named).read_bytes().decode()
        with Path(bundle).open("rb") as file:
            verdict = judge(verify.parsed(file), page)
    except UnicodeDecodeError:
        verdict = "不是拆除许可证明：有读不出的字节"
    except OSError as error:
        sys.stderr.write(f"{error.filename} 打不开：{error.strerror}\n")
        return 3
    if isinstance(verdict, str):
        sys.stderr.write(f"{verdict}\n")
        return 3
    if "--json" in argv:
        document = {
            "code": verdict.code,
            "holds": not verdict.wrong and not verdict.broken,
            "wrong": [{"field": name, "message": words} for name, words in verdict.wrong],
            "later": list(verdict.later),
            "bundle_verifies": not verdict.broken,
        }
        sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(told(verdict)) + "\n")
    if verdict.wrong:
        return 1
    return 6 if verdict.broken else 0


def told(verdict: Verdict) -> Iterator[str]:
    """The verdict for people."""
    if verdict.broken:
        yield "审计包本身没有通过核验：先运行 python verify.py 审计包.jsonl"
    if verdict.wrong:
        yield f"户 {verdict.code} 的证明不成立："
        yield from (f"  - {name}：{words}" for name, words in verdict.wrong)
    elif not verdict.broken:
        yield f"户 {verdict.code} 的证明成立：每一项都与审计包一致"
    yield from (f"其后得知：{words}" for words in verdict.later)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
