"""What a revision of a plan may change while cases are under way, and what it may never (design 8).

A revision may make the rule stricter, enter what was unknown, and move dates that lie ahead. It may
never loosen what removals rest on. Whether a change strands a case is asked of the cases, not here.
"""

from collections.abc import Iterator
from datetime import date

from msgspec import Struct

from states.plan import PHASES, Indicator, Phase, Plan, Season
from states.vocabulary import Area, GateKind, Path


class Change(Struct, frozen=True):
    """One difference between two plans, as people read it.

    `refused` says why it can never be; `second` that another county officer has to confirm it.
    """

    key: str
    what: str
    refused: str | None = None
    second: bool = False


def compare(old: Plan, new: Plan, today: date) -> tuple[Change, ...]:
    """Every difference between the plan in force and a revision of it, refused ones first."""
    found = (
        *_identity(old, new),
        *_phases(old, new),
        *_units(old, new),
        *_rules(old, new),
        *_paths(old, new),
        *_acceptance(old, new),
        *_seasons(old, new, today),
        *_indicators(old, new),
    )
    return tuple(sorted(dict.fromkeys(found), key=lambda change: change.refused is None))


def _identity(old: Plan, new: Plan) -> Iterator[Change]:
    for key, was, now in (
        ("name", old.name, new.name),
        ("county", old.county, new.county),
        ("year", old.year, new.year),
        ("effective_from", old.effective_from, new.effective_from),
    ):
        if was != now:
            yield Change(key, f"{was} → {now}", "这是另一份计划，不是本计划的修订")
    for key, was, now in (
        ("title", old.title, new.title),
        ("document", old.document, new.document),
    ):
        if was != now:
            yield Change(key, f"{was} → {now}")


def _phases(old: Plan, new: Plan) -> Iterator[Change]:
    for key in PHASES:
        was, now = old.phase(key), new.phase(key)
        if (was.start, was.end) != (now.start, now.end):
            yield Change(f"phases.{key}", f"{now.label}：{_span(was)} → {_span(now)}")


def _span(phase: Phase) -> str:
    return f"{phase.start or '—'} 至 {phase.end}"


def _units(old: Plan, new: Plan) -> Iterator[Change]:
    was = {unit.code: unit for unit in old.units}
    now = {unit.code: unit for unit in new.units}
    moved = old.totals.households == new.totals.households
    for code in was.keys() | now.keys():
        if code not in now:
            unit = was[code]
            told = f"{unit.name} 不再是责任单位（任务 {unit.task} 户）"
            yield Change(f"units.{code}", told, second=True)
        elif code not in was:
            unit = now[code]
            told = f"新增责任单位 {unit.name}（任务 {unit.task} 户）"
            yield Change(f"units.{code}", told, second=True)
        elif was[code].tasks != now[code].tasks:
            before, after = was[code].task, now[code].task
            difference = f"{after - before:+d}" if after != before else "类别调整"
            told = f"{now[code].name} 任务 {before} → {after} 户（{difference}）"
            yield Change(f"units.{code}", told, second=not moved)
    if not moved:
        told = f"总任务 {old.totals.households} → {new.totals.households} 户，不是各单位间调剂"
        yield Change("totals.households", told, second=True)


# The rules whose numbers the season rule rests on, and which way is looser (design, section 4).
_LOOSER_UP = ("outage_days", "outage_days_total", "first_heat_grace_days")
_LOOSER_DOWN = ("required_seasons", "warm_visits", "warm_temperature")


def _rules(old: Plan, new: Plan) -> Iterator[Change]:
    was, now = old.rules.values, new.rules.values
    for name in was:
        before, after = was[name], now[name]
        told = f"{name}：{_flat(before)} → {_flat(after)}"
        if before != after:
            refused = None
            if name == "exempt_paths" and set(after) - set(before):
                refused = "不得缩小先立后破的适用范围"
            elif name == "required_seasons" and after < before:
                refused = "不得减少要求的采暖季数"
            elif name == "signatures" and "all" not in after and set(before) - set(after):
                refused = "不得取消签名的要求"
            elif (name in _LOOSER_UP and after > before) or (
                name in _LOOSER_DOWN and after < before
            ):
                refused = "不得放宽稳定运行的要求"
            strict = name in (*_LOOSER_UP, *_LOOSER_DOWN, "exempt_paths")
            yield Change(f"rules.{name}", told, refused, second=not strict)
        rule = getattr(new.rules, name)
        if rule.verified and not getattr(old.rules, name).verified:
            told = f"{name}：核实为 {_flat(after)}（来源：{rule.source}）"
            yield Change(f"rules.{name}", told, second=True)


def _flat(value: object) -> str:
    if isinstance(value, list):
        return "、".join(map(str, value)) or "无"
    if isinstance(value, dict):
        return "、".join(f"{key} {one}" for key, one in value.items())
    return str(value)


def _paths(old: Plan, new: Plan) -> Iterator[Change]:
    for rule in old.paths:
        now = new.path_rule(rule.path)
        if now == rule:
            continue
        told = f"{rule.path.label}：{rule.gate.label} → {now.gate.label}"
        dropped = rule.gate is not GateKind.NONE and now.gate is not rule.gate
        refused = "电网、管网须前置（七、工作要求（三））" if dropped else None
        if now.supply is not rule.supply:
            refused = "供热方式不能在办理途中改变"
        yield Change(f"paths.{rule.path}", told, refused, second=True)


def _acceptance(old: Plan, new: Plan) -> Iterator[Change]:
    for was in old.acceptance:
        now = new.acceptance_of(was.path, was.kind, was.area)
        for name, before, after in (
            ("items", was.items, now.items),
            ("signers", was.signers, now.signers),
            ("documents", was.documents, now.documents),
        ):
            if before != after:
                less = "、".join(sorted(set(before) - set(after)))
                more = "、".join(sorted(set(after) - set(before)))
                told = f"{was.path.label}{was.kind.label}验收{_ACCEPTANCE[name]}："
                told += "；".join(
                    part
                    for part in (f"减 {less}" if less else "", f"增 {more}" if more else "")
                    if part
                )
                yield Change(f"acceptance.{name}", told, second=True)


_ACCEPTANCE = {"items": "检查项", "signers": "签字方", "documents": "材料"}


def _seasons(old: Plan, new: Plan, today: date) -> Iterator[Change]:
    was = {(s.label, s.area, s.path): s for s in old.seasons}
    now = {(s.label, s.area, s.path): s for s in new.seasons}
    found: dict[tuple[str, str, str | None, bool], list[str]] = {}
    for key in sorted(was.keys() | now.keys()):
        before, after = was.get(key), now.get(key)
        if before and after and _said(before) == _said(after):
            continue
        label, area, path = key
        refused, second = _judged(before, after, today)
        told = f"{_dates(before)} → {_dates(after)}"
        found.setdefault((label, told, refused, second), []).append(f"{area.label}{path.label}")
    for (label, told, refused, second), households in found.items():
        every = len(households) == len(Area) * len(Path)
        where = "各区域各路径" if every else "、".join(households)
        what = f"{label} 采暖季（{where}）：{told}"
        yield Change(f"seasons.{label}", what, refused, second)


def _judged(was: Season | None, now: Season | None, today: date) -> tuple[str | None, bool]:
    """Why a season may not change like this, and whether a second officer has to confirm it."""
    if now is None:
        return "不能删去计划已列的采暖季", False
    moved = _days(was) != _days(now)
    begun = any(s and s.first_day and s.first_day <= today for s in (was, now))
    if was is not None and was.verified and _began(was, today) and moved:
        return "已核实并已开始的采暖季，起止日期不能再改", False
    if moved and not _within_its_years(now):
        return "起止日期不在该采暖季的年度之内", False
    # What has begun may only be entered as verified; what lies ahead may still move.
    if moved and begun and not now.verified:
        return "已开始的采暖季，未核实的日期只能换成核实的日期", False
    return None, moved or now.verified


def _began(season: Season, today: date) -> bool:
    return season.first_day is not None and season.first_day <= today


def _said(season: Season) -> tuple[date | None, date | None, bool]:
    return season.first_day, season.last_day, season.verified


def _days(season: Season | None) -> tuple[date | None, date | None]:
    return (season.first_day, season.last_day) if season else (None, None)


def _dates(season: Season | None) -> str:
    if season is None:
        return "（未列）"
    if season.first_day is None:
        return "未知"
    verified = "已核实" if season.verified else "未核实"
    return f"{season.first_day} 至 {season.last_day}（{verified}）"


def _within_its_years(season: Season) -> bool:
    if season.first_day is None or season.last_day is None:
        return True
    year = season.start_year
    return date(year, 7, 1) <= season.first_day and season.last_day <= date(year + 1, 7, 31)


def _indicators(old: Plan, new: Plan) -> Iterator[Change]:
    """Weights of the self-evaluation: no removal rests on them, so nothing of it is a loosening."""
    was = {one.key: one for one in old.indicators}
    now = {one.key: one for one in new.indicators}
    for key in dict.fromkeys((*was, *now)):
        before, after = _weighed(was.get(key)), _weighed(now.get(key))
        if before != after:
            told = f"绩效指标 {key.label}：{before} → {after}"
            yield Change(f"evaluation.{key}", told)
        elif now[key].verified and not was[key].verified:
            told = f"绩效指标 {key.label}：核实为 {after}（来源：{now[key].source}）"
            yield Change(f"evaluation.{key}", told, second=True)


def _weighed(one: Indicator | None) -> str:
    if one is None:
        return "（未列）"
    return f"{one.name} {one.weight} 分（满分线 {one.full:g}，零分线 {one.zero:g}）"
