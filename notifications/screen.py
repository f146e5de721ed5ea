"""Answers in Chinese for the terminal: tables that align, plain lines, nothing that could harm.

Takes the plain dicts of the JSON answers and gives text. Characters stay within GBK, so that old
terminals show them; control characters never pass.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from io import StringIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from states import evidence, identity
from states.vocabulary import (
    Area,
    Facility,
    FacilitySeen,
    FacilityStatus,
    FactKind,
    GateKind,
    ItemResult,
    Kind,
    Path,
    Quota,
    RemovedBy,
    Role,
    Severity,
    Signatory,
    State,
    Trigger,
    ViolationType,
    Word,
)
from states.workdays import SHANGHAI

Answer = Mapping[str, object]
_WORDS: Mapping[str, tuple[type[Word], ...]] = {
    "state": (State,),
    "trigger": (Trigger, FactKind),
    "kind": (Trigger, FactKind, Kind, GateKind),
    "path": (Path,),
    "area": (Area,),
    "quota": (Quota,),
    "role": (Role,),
    "facility": (Facility,),
    "status": (FacilityStatus,),
    "by": (RemovedBy,),
    "type": (ViolationType,),
    "severity": (Severity,),
    "from": (State,),
    "to": (State,),
}
OTHER_KINDS = {
    "registered": "登记",
    "amended": "台账更改",
}

IMPORT_LINES = 200  # more than anybody corrects from a screen; the marked copy has them all
READINGS = {
    "heading_alias": "表头别名",
    "column_ignored": "不采用的列",
    "sheet_ignored": "不是台账的表",
    "subtotal_skipped": "跳过小计、说明",
    "repeated_header_skipped": "跳过重复表头",
    "hidden_row_read": "隐藏的行照读",
    "unit_blanks_removed": "单位名称去空格",
    "unit_alias": "单位别名",
    "fullwidth_converted": "全角转半角",
    "nbsp_removed": "去不换行空格",
    "number_read_as_text": "数值读作文本",
    "text_read_as_number": "文本读作数值",
    "id_15_digit_converted": "15 位升 18 位",
    "id_lowercase_x": "小写 x 转大写",
    "date_text_parsed": "文本读作日期",
    "date_year_from_plan": "年份取自计划",
    "date_serial_parsed": "序列值读作日期",
    "date_1904_parsed": "1904 序列值读作日期",
    "encoding_detected": "识别出的编码",
    "control_character": "去控制字符",
}


def clean(text: object) -> str:
    """The text without control, escape and direction characters."""
    return "".join(
        character
        for character in str(text)
        if character == "\n" or unicodedata.category(character) not in ("Cc", "Cf")
    )


def key_label(key: str) -> str:
    """What people call an evidence key or fact, with the identifier that is to be typed."""
    if key in tuple(FactKind):
        return f"{FactKind(key).label}（{key}）"
    return f"{evidence.LABELS[key]}（{key}）" if key in evidence.LABELS else key


def told(kind: str, given: Mapping[str, object]) -> str:
    """The evidence of an event in Chinese."""
    words: dict[str, type[Word]] = {}
    for known in (*Trigger, *FactKind):
        if known == kind:
            for name, key in evidence.keys(known).items():
                if issubclass(key.value, Word):
                    words[name] = key.value
    parts = []
    for name, value in given.items():
        shown = _flat(value)
        if name in words and shown in tuple(words[name]):
            shown = words[name](shown).label
        elif kind in OTHER_KINDS:
            shown = "、".join(_ledger_word(name, part) for part in shown.split("、"))
        else:
            shown = "、".join(map(_composite, shown.split("、")))
        parts.append(f"{evidence.LABELS.get(name, name)} {shown}")
    return "；".join(parts)


def _ledger_word(name: str, text: str) -> str:
    """A word of a ledger line in Chinese: an identifier, a facility, the name of a field."""
    return evidence.LABELS.get(text) or _composite(label(name, text))


def _composite(text: str) -> str:
    """`stove:in_use` in Chinese; what is no identifier stays."""
    parts = text.split(":")
    words = (Facility, FacilityStatus, FacilitySeen, ItemResult)
    for index, part in enumerate(parts):
        found = next((kind(part).label for kind in words if part in tuple(kind)), part)
        parts[index] = found
    return "：".join(parts)


def label(key: str, value: object) -> str:
    """The Chinese label of an identifier under this key; an absent value is a dash."""
    if value is None or value == "":
        return "-"
    for words in _WORDS.get(key, ()):
        if value in tuple(words):
            return words(str(value)).label
    if isinstance(value, bool):
        return "是" if value else "否"
    return clean(OTHER_KINDS.get(str(value), value))


class Screen:
    """A terminal of a width in columns, with or without colour."""

    def __init__(self, width: int, *, colour: bool) -> None:
        self._width = width
        self._colour = colour

    def _render(self, *parts: Table | Text) -> str:
        out = StringIO()
        console = Console(
            file=out,
            width=self._width,
            force_terminal=self._colour,
            no_color=not self._colour,
            legacy_windows=False,
        )
        for part in parts:
            console.print(part)
        return "\n".join(line.rstrip() for line in out.getvalue().splitlines())

    def table(
        self,
        headings: Sequence[str],
        rows: Iterable[Sequence[object]],
        *,
        title: str | None = None,
        numbers: Sequence[int] = (),
    ) -> str:
        """A table whose columns align with Chinese text; `numbers` are set to the right."""
        table = Table(
            title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, expand=False
        )
        for index, heading in enumerate(headings):
            table.add_column(
                heading, justify="right" if index in numbers else "left", overflow="fold"
            )
        for row in rows:
            table.add_row(*(Text(clean(cell)) for cell in row))
        return self._render(table)

    def pairs(self, title: str, pairs: Iterable[tuple[str, object]]) -> str:
        """A title and lines of name and value."""
        table = Table(
            title=title, title_justify="left", box=None, show_header=False, pad_edge=False
        )
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in pairs:
            table.add_row(Text(name, style="bold"), Text(clean(value)))
        return self._render(table)

    # One method for each answer that people read ------------------------------------------

    def error(self, failure: Answer) -> str:
        """A refusal: what, where, why, and what to do."""
        reasons = self._reasons(failure.get("reasons"))
        message = clean(failure["message"])
        # Every reason follows on a line of its own, so the sentence need not hold them too.
        lines = [f"错误：{message.partition('：')[0] if reasons else message}"]
        if failure.get("place"):
            lines.append(f"位置：{clean(failure['place'])}")
        lines += reasons
        if failure.get("remedy"):
            lines.append(f"办法：{clean(failure['remedy'])}")
        return "\n".join(lines)

    def _reasons(self, reasons: object) -> list[str]:
        lines = []
        for one in reasons if isinstance(reasons, list) else []:
            parts = [clean(one["message"])]
            if one["missing"] and not any(key in parts[0] for key in one["missing"]):
                parts.append(f"缺：{'、'.join(map(key_label, one['missing']))}")
            if one["who"]:
                parts.append(f"由{label('role', one['who'])}补")
            if one["earliest"]:
                parts.append(f"最早 {one['earliest']}")
            elif one["earliest_reason"]:
                parts.append(f"最早日期未知：{clean(one['earliest_reason'])}")
            lines.append(f"  - [{one['clause']}] " + "；".join(parts))
        return lines

    def case_list(self, cases: Sequence[Answer], limit: int) -> str:
        """`case list`; `limit` 0 shows all."""
        shown = cases[:limit] if limit else cases
        rows = [
            (
                case["code"],
                case["unit_name"],
                case["village"],
                label("path", case["path"]),
                label("kind", case["kind"]),
                label("state", case["state"]),
                case["state_since"],
                case["due_on"] or "-",
                _lateness(case),
            )
            for case in shown
        ]
        headings = ("编号", "责任单位", "村", "路径", "户别", "环节", "自", "期限", "状态")
        text = self.table(headings, rows)
        if len(shown) < len(cases):
            return f"{text}\n共 {len(cases)} 户，列出前 {len(shown)} 户；加 --limit 0 全部列出"
        return f"{text}\n共 {len(cases)} 户"

    def case(self, case: Answer) -> str:
        """`case show`."""
        personal, tracks = case["personal"], case["tracks"]
        assert isinstance(personal, Mapping)
        assert isinstance(tracks, Mapping)
        parts = [
            self.pairs(
                f"{case['code']}  {case['unit_name']} {case['village']}" + _drill(case),
                [
                    ("环节", f"{label('state', case['state'])}（自 {case['state_since']}）"),
                    ("期限", f"{case['due_on'] or '无'}（{case['due_reason']}）{_lateness(case)}"),
                    ("取暖路径", label("path", case["path"])),
                    (
                        "户别·区域·类别",
                        "·".join(label(key, case[key]) for key in ("kind", "area", "quota")),
                    ),
                    ("户主", f"{personal['name']}  {personal['phone']}"),
                    ("证件", personal["id_number"] or personal["credit_code"] or "-"),
                    ("用电户号", personal["meter"] or "-"),
                    ("地址", personal["address"] or "-"),
                    ("建筑/采暖面积", f"{case['building_area']} / {case['heating_area']} ㎡"),
                    ("设备型号/接入点", case["model"] or case["connection_point"] or "-"),
                    ("运行起算日", case["clock_start"] or "-"),
                    ("有效许可", case["permission_in_force"] or "无"),
                    ("下一步可办", "、".join(_named(case["next"]))),
                ],
            ),
            *_unverified(case),
        ]
        for name, heading in TRACKS.items():
            found = tracks[name]
            if isinstance(found, Mapping) and any(found.values()):
                found = [found]
            if isinstance(found, list) and found:
                keys = list(found[0])
                rows = [[_track(name, key, line[key]) for key in keys] for line in found]
                parts.append(
                    self.table([COLUMNS.get(key, key) for key in keys], rows, title=heading)
                )
        return "\n\n".join(parts)

    def why(self, answer: Answer) -> str:
        """`case why` for one trigger."""
        name = f"{answer['code']} 办理“{label('trigger', answer['trigger'])}”"
        if answer["possible"]:
            lines = [f"{name}：现在可以办理"]
        elif answer["earliest"]:
            lines = [f"{name}：还不能办理，最早 {answer['earliest']}"]
        else:
            lines = [f"{name}：还不能办理；最早日期：{clean(answer['earliest_reason'])}"]
        lines += self._reasons(answer["reasons"])
        lines += _unverified(answer)
        return "\n".join(lines)

    def history(self, events: Sequence[Answer]) -> str:
        """`case history`."""
        rows = []
        for event in events:
            given = event["evidence"]
            assert isinstance(given, Mapping)
            moved = ""
            if event["to"]:
                moved = f"{label('from', event['from'])} → {label('to', event['to'])}"
            rows.append(
                (
                    event["seq"],
                    event["occurred_on"],
                    _local(event["recorded_at"]),
                    label("kind", event["kind"]),
                    moved,
                    f"{event['actor']}（{label('role', event['role'])}）",
                    "；".join(
                        part
                        for part in (told(str(event["kind"]), given), str(event["reason"] or ""))
                        if part
                    ),
                )
            )
        headings = ("编号", "发生", "登记时间", "事项", "环节", "登记人", "内容")
        return self.table(headings, rows, numbers=(0,))

    def receipt(self, done: Answer) -> str:
        """`advance` and `record`."""
        trigger = label("trigger", done["trigger"])
        lines = [
            f"{done['code']} 已登记“{trigger}”（编号 {done['seq']}，发生 {done['occurred_on']}）"
            + ("；此键以前用过，没有重复登记" if done["repeated"] else ""),
            f"现处于“{label('state', done['state'])}”，期限 {done['due_on'] or '无'}",
        ]
        if done["warning"]:
            lines.append(f"注意：{clean(done['warning'])}")
        lines += _unverified(done)
        return "\n".join(lines)

    def todo(self, items: Sequence[Answer], limit: int) -> str:
        """`todo`."""
        if not items:
            return "没有待办"
        shown = items[:limit] if limit else items
        rows = [
            (
                item["code"],
                item["village"],
                label("trigger", item["trigger"]),
                item["due_on"] or "-",
                "-" if item["days_left"] is None else item["days_left"],
                " ".join(map(key_label, _strings(item["missing"]))) or "材料齐备，可以办理",
            )
            for item in shown
        ]
        text = self.table(("编号", "村", "待办", "期限", "剩余天数", "还缺"), rows, numbers=(4,))
        more = (
            "" if len(shown) == len(items) else f"，列出最急的 {len(shown)} 件；加 --limit 0 全列"
        )
        return f"{text}\n共 {len(items)} 件{more}"

    def check(self, found: Answer) -> str:
        """`check`: the gravest first, then the units."""
        gravest, by_unit = found["gravest"], found["by_unit"]
        assert isinstance(gravest, list)
        assert isinstance(by_unit, Mapping)
        parts = [f"截至 {found['as_of']}{_drill(found)}"]
        if gravest:
            parts.append(f"最严重：{len(gravest)} 户新旧取暖都没有")
            parts += [f"  {one['code']}：{clean(one['why'])}" for one in gravest]
        rows = [
            (
                code,
                line["unit_name"],
                line["task"],
                line["done"],
                _rate(line["done"], line["task"]),
                line["overdue"],
                line["at_risk"],
                _chance(line["p_construction"]),
                _near(line["expected"], found["as_of"]),
            )
            for code, line in by_unit.items()
        ]
        lines = list(by_unit.values())
        sums = [sum(line[key] for line in lines) for key in ("task", "done", "overdue", "at_risk")]
        rows.append(
            ("", "合计", sums[0], sums[1], _rate(sums[1], sums[0]), sums[2], sums[3], "", ""),
        )
        headings = (
            "编码",
            "责任单位",
            "任务",
            "已验收",
            "完成率",
            "逾期",
            "有风险",
            "按期完工",
            "预计",
        )
        parts.append(self.table(headings, rows, numbers=(2, 3, 4, 5, 6, 7)))
        parts.append(
            f"在办 {found['cases']} 户，逾期 {found['overdue']} 户，有风险 {found['at_risk']} 户；"
            f"错过计划生效前的节点 {found['historic']} 户（历史，不报警）"
        )
        parts += self._nearest("逾期", found["overdue_cases"])
        parts += self._nearest("有风险", found["at_risk_cases"])
        return "\n".join(parts)

    def forecast(self, found: Answer) -> str:
        """`forecast`: who is most in danger first."""
        by_unit, as_of = found["by_unit"], found["as_of"]
        assert isinstance(by_unit, Mapping)
        in_danger = sorted(
            by_unit.items(),
            key=lambda one: (one[1]["p_construction"], one[1]["p_acceptance"], -one[1]["to_build"]),
        )
        rows = []
        for _, line in in_danger:
            done = not line["to_build"]
            rows.append(
                (
                    line["unit_name"],
                    line["to_build"],
                    _chance(line["p_construction"]),
                    _chance(line["p_acceptance"]),
                    _near(line["expected"], as_of),
                    "已完" if done else _near(line["low"], as_of),
                    "-" if done else _near(line["high"], as_of),
                    "-" if line["pace_needed"] is None else line["pace_needed"],
                    line["pace_shown"],
                    label("state", line["binding_state"]),
                )
            )
        headings = (
            *("责任单位", "未完工", "完工", "验收", "预计", "早则", "迟则"),
            *("需要", "近期", "卡在"),
        )
        return "\n".join(
            (
                f"截至 {as_of}{_drill(found)}",
                self.table(headings, rows, numbers=(1, 2, 3, 7, 8)),
                f"完工、验收：{found['works_end']} 前全部完工、{found['acceptance_end']} "
                "前全部验收的可能性",
                "预计：最后一户完工的日期；八成可能在“早则”与“迟则”之间",
                "需要：按期完工每周要完成的户数；近期：近四周平均每周完成的户数",
                "卡在：最费时间的环节",
            )
        )

    def _nearest(self, name: str, cases: object) -> list[str]:
        assert isinstance(cases, list)
        if not cases:
            return []
        rows = [
            (
                case["code"],
                case["unit_name"],
                case["village"],
                label("state", case["state"]),
                case["due_on"],
            )
            for case in cases[:10]
        ]
        title = f"{name}（共 {len(cases)} 户，列出最急的 {len(rows)} 户）"
        return [self.table(("编号", "责任单位", "村", "环节", "期限"), rows, title=title)]

    def imported(self, found: Answer) -> str:
        """`ledger import`."""
        faults, differences = found["faults"], found["differences"]
        normalisations = found["normalisations"]
        assert isinstance(faults, list)
        assert isinstance(differences, list)
        assert isinstance(normalisations, list)
        if found["verdict"] == "rejected":
            head = (
                f"{found['file']}：退回，读到 {found['rows']} 户，{len(faults)} 处问题，"
                "一户也没有导入"
            )
        else:
            nature = "只检查，没有写入；导入将" if found["dry_run"] else ""
            head = (
                f"{found['file']}：读到 {found['rows']} 户，{nature}新增 {found['added']} 户，"
                f"更改 {found['changed']} 户"
            )
        parts = [clean(head)]
        rows: list[tuple[object, ...]]
        if differences:
            shown = differences[:IMPORT_LINES]
            rows = [(d["code"], d["heading"], d["was"], d["becomes"]) for d in shown]
            title = f"更改（共 {len(differences)} 处，列出前 {len(rows)} 处）"
            parts.append(self.table(("编号", "项目", "原为", "改为"), rows, title=title))
        if faults:
            shown = faults[:IMPORT_LINES]
            rows = [(f["sheet"] or "-", f["cell"] or "-", f["code"], f["message"]) for f in shown]
            title = f"问题（共 {len(faults)} 处，列出前 {len(rows)} 处）"
            parts.append(self.table(("工作表", "单元格", "代码", "问题和办法"), rows, title=title))
        if normalisations:
            shown = normalisations[:50]
            rows = [
                (
                    n["sheet"] or "-",
                    n["cell"] or "-",
                    READINGS.get(n["code"], n["code"]),
                    identity.mask_field(n["field"] or "", str(n["read"])),
                    identity.mask_field(n["field"] or "", str(n["value"])),
                )
                for n in shown
            ]
            title = f"按惯例读入（共 {len(normalisations)} 处，列出前 {len(rows)} 处）"
            parts.append(
                self.table(("工作表", "单元格", "惯例", "原文", "读作"), rows, title=title)
            )
        if found["marked"]:
            parts.append(f"标注副本：{clean(found['marked'])}（红色是问题，黄色是按惯例读入的）")
        elif faults and not found["dry_run"]:
            parts.append("加 --dry-run 再运行一次，可得到逐格标注的副本")
        return "\n".join(parts)

    def batch(self, found: Answer) -> str:
        """`batch preview` and `batch apply`."""
        refused, reused = found["refused"], found["warnings"]
        normalisations = found["normalisations"]
        assert isinstance(refused, list)
        assert isinstance(reused, list)
        assert isinstance(normalisations, list)
        head = (
            f"{found['file']}（{label('kind', found['kind'])}）：填有 {found['rows']} 行，"
            f"可以办理 {found['passing']} 行"
            + (f"（其中 {found['repeated']} 行此前已办，不再登记）" if found["repeated"] else "")
            + f"，退回 {len(refused)} 行{_drill(found)}"
        )
        parts = [clean(head)]
        rows: list[tuple[object, ...]] = [
            (
                one["row"],
                one["code"] or "-",
                "\n".join(dict.fromkeys(str(each["message"]) for each in one["reasons"])),
                one["earliest"] or "-",
            )
            for one in refused[:50]
        ]
        if rows:
            more = f"（列出前 {len(rows)} 行；全部见 --json）" if len(rows) < len(refused) else ""
            parts.append(
                self.table(("行", "编号", "问题", "最早"), rows, title=f"退回{more}", numbers=(0,))
            )
        if reused:
            rows = [("、".join(one["files"]), "、".join(one["cases"])) for one in reused[:20]]
            title = f"同一份文件用于几户（共 {len(reused)} 份），请核对是否拍错或附错"
            parts.append(self.table(("文件", "户"), rows, title=title))
        if normalisations:
            rows = [
                (
                    n["cell"],
                    READINGS.get(n["code"], n["code"]),
                    n["read"],
                    n["value"] or "-",
                )
                for n in normalisations[:20]
            ]
            title = f"按惯例读入（共 {len(normalisations)} 处，列出前 {len(rows)} 处）"
            parts.append(self.table(("单元格", "惯例", "原文", "读作"), rows, title=title))
        parts += _unverified(found)
        parts.append(self._outcome(found))
        return "\n".join(parts)

    def _outcome(self, found: Answer) -> str:
        if "applied" not in found:
            return "只是预览，没有写入任何内容"
        if found["receipt"] is None:
            return "一行也没有登记" if found["rows"] else "表中没有填好的行，没有登记"
        told = f"新登记 {found['applied']} 行\n回执 {found['receipt']}"
        if found["returned_file"]:
            told += f"\n退回的行写在 {clean(found['returned_file'])}，改正后可再交"
        return told

    def ledgers(self, found: Answer) -> str:
        """`report ledgers`."""
        ledgers = found["ledgers"]
        assert isinstance(ledgers, list)
        rows = [
            (one["name"], one["task"], one["registered"], one["planned"], one["done"])
            for one in ledgers
        ]
        headings = ("台账", "任务数", "在册", "其中计划内", "完成")
        title = f"截至 {found['as_of']}{_drill(found)}，已写到 {clean(found['file'])}"
        return self.table(headings, rows, title=title, numbers=(1, 2, 3, 4))

    def plan(self, plan: Answer) -> str:
        """`plan show`."""
        phases, units, rules = plan["phases"], plan["units"], plan["rules"]
        seasons, sources = plan["seasons"], plan["sources"]
        assert isinstance(phases, list)
        assert isinstance(units, list)
        assert isinstance(rules, Mapping)
        assert isinstance(seasons, list)
        assert isinstance(sources, Mapping)
        parts = [f"{plan['title']}（{plan['document']}）\n计划 {plan['name']}  哈希 {plan['hash']}"]
        rows: list[tuple[object, ...]] = [
            (p["label"], p["start"] or "-", p["end"], "已过（历史）" if p["historic"] else "")
            for p in phases
        ]
        parts.append(self.table(("阶段", "起", "止", ""), rows))
        rows = [(unit["code"], unit["name"], unit["task"]) for unit in units]
        rows.append(("", "合计", sum(unit["task"] for unit in units)))
        parts.append(self.table(("编码", "责任单位", "任务户数"), rows, numbers=(2,)))
        rows = [
            (name, _flat(rules[name]), _verified(one["verified"]), one["source"])
            for name, one in sources.items()
        ]
        parts.append(self.table(("参数", "值", "核实", "来源"), rows, title="规则参数"))
        grouped: dict[tuple[object, ...], list[str]] = {}
        for season in seasons:
            key = (season["label"], season["first_day"], season["last_day"], season["verified"])
            name = f"{label('area', season['area'])}{label('path', season['path'])}"
            grouped.setdefault(key, []).append(name)
        rows = [
            (key[0], key[1] or "未知", key[2] or "未知", _verified(key[3]), "、".join(names))
            for key, names in grouped.items()
        ]
        parts.append(self.table(("采暖季", "起", "止", "核实", "适用"), rows))
        return "\n\n".join(parts)

    def officers(self, officers: Sequence[Answer]) -> str:
        """`officer list`."""
        rows = [
            (
                o["login"],
                o["name"],
                o["person"],
                label("role", o["role"]),
                o["unit"] or "-",
                "在用" if o["active"] else "停用",
            )
            for o in officers
        ]
        return self.table(("账号", "姓名", "人员", "角色", "责任单位", "状态"), rows)

    def gates(self, gates: Sequence[Answer]) -> str:
        """`gate list`."""
        rows = [(g["unit"], g["village"], label("kind", g["kind"]), g["opened_on"]) for g in gates]
        return self.table(("责任单位", "村", "网络", "开通"), rows)

    def verification(self, found: Answer) -> str:
        """`audit verify`."""
        findings = found["findings"]
        assert isinstance(findings, list)
        proof = found["proof"]
        assert isinstance(proof, Mapping)
        if found["verified"]:
            head = f"日志核验通过：{found['events']} 条，{found['cases']} 户，与各表一致"
        else:
            head = (
                f"日志核验不通过：{found['events']} 条，{found['cases']} 户，{len(findings)} 处问题"
            )
        grades = (
            f"证明等级：有见证 {proof['witnessed']} 户，有签名 {proof['signed']} 户，"
            f"仅凭时钟 {proof['clock_only']} 户"
        )
        lines = [head, grades] if found["verified"] else [head]
        return "\n".join([*lines, *_findings(findings)])

    def removal(self, found: Answer) -> str:
        """`audit removal`."""
        findings = found["findings"]
        assert isinstance(findings, list)
        mark = "  【演练·未核实】" if found["drill"] and found["unverified"] else _drill(found)
        head = (
            f"曾获许可 {found['permitted']} 户；登记过拆除或封存 {found['removed']} 户，"
            f"其中合规 {found['lawful']} 户；问题 {len(findings)} 处{mark}"
        )
        return "\n".join([head, *_findings(findings)])

    def proof(self, found: Answer) -> str:
        """`safety`."""
        if found["holds"]:
            return f"成立：{found['property']}。走遍 {found['states']} 个可达位置，没有反例"
        way = found["counterexample"]
        assert isinstance(way, list)
        steps = " → ".join(f"{label('trigger', one['trigger'])}" for one in way)
        return f"不成立：{found['property']}。最短反例：{steps}（{way[-1]['fault']}）"

    def schema(self, found: Answer) -> str:
        """`safety --schema`."""
        parts = []
        for group, heading in (("triggers", "办理环节"), ("facts", "线外登记")):
            rows = []
            entries = found[group]
            assert isinstance(entries, Mapping)
            for name, entry in entries.items():
                listed = [
                    f"{key['name']}{'*' if key['repeated'] else ''}（{key['type']}）"
                    for key in entry["keys"]
                ]
                roles = "、".join(label("role", role) for role in entry["roles"])
                rows.append((f"{name} {entry['label']}", roles, "\n".join(listed)))
            parts.append(self.table(("名称", "由谁办", "材料项（* 可重复）"), rows, title=heading))
        return "\n\n".join(parts)


TRACKS = {
    "old_facility": "原取暖设施",
    "works": "施工",
    "notice": "公示",
    "faults": "故障",
    "visits": "入户测温",
    "signatures": "用户签字",
    "violations": "违规",
    "complaints": "投诉",
    "findings": "审计发现",
    "objections": "公示异议",
    "pauses": "暂停",
    "extensions": "延期",
    "permissions": "许可",
}
COLUMNS = {
    "id": "编号",
    "on": "日期",
    "facility": "设施",
    "status": "状态",
    "by": "由谁",
    "started_on": "开工",
    "installed_on": "安装",
    "ready_on": "具备使用条件",
    "first_heat_on": "首次供热",
    "serial": "设备编号",
    "accepted_on": "验收",
    "from": "起",
    "to": "止",
    "until": "止",
    "what": "情况",
    "repaired_on": "修复",
    "temperature": "室内温度℃",
    "season": "采暖季",
    "type": "类型",
    "severity": "程度",
    "open": "未销号",
    "outcome": "处理结果",
    "resolved_on": "销号日期",
    "cause": "原因",
    "resumed_on": "恢复",
    "due_on": "延至",
}


def _local(instant: object) -> str:
    """An instant of the answers on the county's own clock."""
    return f"{datetime.fromisoformat(str(instant)).astimezone(SHANGHAI):%Y-%m-%d %H:%M}"


def _track(name: str, key: str, value: object) -> str:
    if name == "signatures" and key == "by":
        return Signatory(str(value)).label
    if value == "ledger":
        return "台账所列"
    return label(key, value)


def _lateness(case: Answer) -> str:
    return "逾期" if case["overdue"] else "有风险" if case["at_risk"] else ""


def _drill(answer: Answer) -> str:
    return "  【演练】" if answer.get("drill") else ""


def _unverified(answer: Answer) -> list[str]:
    found = _strings(answer["unverified"])
    if not found:
        return []
    mark = "演练·未核实" if answer.get("drill") else "未核实"
    return [f"【{mark}】所依据的 {'；'.join(found)} 尚未核实"]


def _strings(value: object) -> list[str]:
    return [clean(one) for one in value] if isinstance(value, list) else []


def _named(value: object) -> list[str]:
    return [f"{label('trigger', one)}（{one}）" for one in _strings(value)]


def _chance(probability: object) -> str:
    """A probability in whole per cent; what is all but sure is not said to be sure."""
    assert isinstance(probability, float)
    if 0 < probability < 0.01:
        return "<1%"
    if 0.99 < probability < 1:
        return ">99%"
    return f"{probability:.0%}"


def _near(day: object, as_of: object) -> str:
    """A day without its year, which the forecast's horizon leaves no doubt of; None lies beyond."""
    if day is None:
        return "更晚"
    before = str(day) < str(as_of) and str(day)[:4] != str(as_of)[:4]
    return str(day) if before else str(day)[5:]


def _rate(done: object, task: object) -> str:
    if not isinstance(done, int) or not isinstance(task, int) or task == 0:
        return "-"
    return f"{100 * done / task:.1f}%"


def _verified(value: object) -> str:
    return "已核实" if value else "未核实"


def _flat(value: object) -> str:
    if isinstance(value, list):
        return "、".join(str(one) for one in value) or "无"
    if isinstance(value, Mapping):
        return "、".join(f"{key} {one}" for key, one in value.items())
    return str(value)


def _findings(findings: Sequence[Answer]) -> list[str]:
    return [f"  - {one['code']}：{clean(one['message'])}" for one in findings]
