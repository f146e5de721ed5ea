"""What people look at every day: `todo`, `check`, `forecast`, `case show`.

The county's position in one view, what to do next in words that can be typed. Colours only
underline what a word says.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from notifications import figures
from notifications import screen_words as words
from notifications.screen_words import Answer
from notifications.surface import Surface, Toned, clean
from states import evidence
from states.vocabulary import FactKind, State, Trigger

# The way of a household; `closed` lies beside it.
WAY = tuple(state for state in State if state is not State.CLOSED)
WEEK = 7
STRIP, WIDE_STRIP, WIDE_FROM = 24, 40, 130
FEW = 10  # cases shown of a list that `case list` shows whole


class Daily(Surface):
    """The views of the day."""

    # What to do next ----------------------------------------------------------------------

    def todo(self, shown: Sequence[Answer], count: int) -> str:
        """`todo`: the most urgent of so many, in groups of urgency."""
        if not shown:
            return "没有待办"
        parts = []
        for name, tone, group in _by_urgency(shown):
            rows = [
                (
                    Toned(item["code"], "strong"),
                    item["village"],
                    words.label("trigger", item["trigger"]),
                    words.due(item),
                    Toned(words.days_left(item["days_left"]), tone),
                    " ".join(map(words.key_label, words.strings(item["missing"])))
                    or Toned("材料齐备，可以办理", "green"),
                )
                for item in group
            ]
            headings = ("编号", "村", "待办", "期限", "还剩", "还缺")
            title = f"{name}（{len(group)} 件）"
            parts.append(self.table(headings, rows, title=title, optional=(1, 3)))
        more = "" if len(shown) == count else f"，列出最急的 {len(shown)} 件；加 --limit 0 全列"
        parts.append(f"共 {count} 件{more}")
        parts.append(f"先办：{_command(shown[0])}")
        return "\n".join(parts)

    # The county's position ----------------------------------------------------------------

    def check(self, found: Answer) -> str:
        """`check`: the gravest first, then the units."""
        gravest, by_unit = found["gravest"], found["by_unit"]
        assert isinstance(gravest, list)
        assert isinstance(by_unit, Mapping)
        parts = [
            f"截至 {found['as_of']}{words.drill(found)}",
            *words.missing(found["calendar_missing"]),
        ]
        if found["service_warning"]:
            parts.append(f"注意：{clean(found['service_warning'])}")
        if gravest:
            parts.append(self.say(f"最严重：{len(gravest)} 户新旧取暖都没有", "red"))
            parts += [f"  {one['code']}：{clean(one['why'])}" for one in gravest]
        rows = [self._unit(code, line, found["as_of"]) for code, line in by_unit.items()]
        lines = list(by_unit.values())
        task, done, late, risky = (
            sum(line[key] for line in lines) for key in ("task", "done", "overdue", "at_risk")
        )
        if len(lines) != 1:
            rows.append(
                (
                    "",
                    Toned("合计", "strong"),
                    *(Toned(one, "strong") for one in (task, done)),
                    Toned(figures.rate(done, task), "strong"),
                    *(Toned(one, "strong") for one in (late, risky)),
                    "",
                    "",
                    self.bar(done, task),
                )
            )
        headings = (
            *("编码", "责任单位", "任务", "已验收", "完成率"),
            *("逾期", "有风险", "按期完工", "预计", "验收进度"),
        )
        parts.append(
            self.table(
                headings, rows, numbers=(2, 3, 4, 5, 6, 7), optional=(9, 0, 8, 4), drawn=(9,)
            )
        )
        parts.append(
            f"在办 {found['cases']} 户，逾期 {found['overdue']} 户，有风险 {found['at_risk']} 户；"
            f"错过计划生效前的节点 {found['historic']} 户（历史，不报警）"
        )
        parts += self._nearest("逾期", found["overdue_cases"])
        parts += self._nearest("有风险", found["at_risk_cases"])
        parts += self._matters(found["matters"])
        return "\n".join(parts + words.quarantined(found))

    def _unit(self, code: str, line: Answer, as_of: object) -> tuple[object, ...]:
        task, done, late, risky = (line[key] for key in ("task", "done", "overdue", "at_risk"))
        assert isinstance(task, int)
        assert isinstance(done, int)
        chance = line["p_construction"]
        assert isinstance(chance, float)
        return (
            code,
            line["unit_name"],
            task,
            done,
            figures.rate(done, task),
            Toned(late, "red") if late else late,
            Toned(risky, "amber") if risky else risky,
            figures.chance(chance),
            words.near(line["expected"], as_of),
            self.bar(done, task),
        )

    def _nearest(self, name: str, cases: object) -> list[str]:
        assert isinstance(cases, list)
        if not cases:
            return []
        rows = [
            (
                Toned(case["code"], "strong"),
                case["unit_name"],
                case["village"],
                words.label("state", case["state"]),
                words.due(case),
            )
            for case in cases[:FEW]
        ]
        title = f"{name}（共 {len(cases)} 户，列出最急的 {len(rows)} 户）"
        headings = ("编号", "责任单位", "村", "环节", "期限")
        return [self.table(headings, rows, title=title, optional=(1, 2))]

    def _matters(self, matters: object) -> list[str]:
        assert isinstance(matters, list)
        if not matters:
            return []
        rows = [
            (
                Toned(one["code"], "strong"),
                words.label("clock", one["clock"]),
                one["seq"],
                one["due_on"],
                Toned(one["days_late"], "red"),
            )
            for one in matters[:FEW]
        ]
        title = f"逾期未答复、未恢复（共 {len(matters)} 件，列出最早的 {len(rows)} 件）"
        headings = ("编号", "事项", "事件编号", "期限", "逾期天数")
        return [self.table(headings, rows, title=title, numbers=(2, 4), optional=(2,))]

    # The outlook --------------------------------------------------------------------------

    def forecast(self, found: Answer) -> str:
        """`forecast`: who is most in danger first, each interval on one axis of days."""
        by_unit, as_of = found["by_unit"], found["as_of"]
        assert isinstance(by_unit, Mapping)
        in_danger = sorted(
            by_unit.items(),
            key=lambda one: (one[1]["p_construction"], one[1]["p_acceptance"], -one[1]["to_build"]),
        )
        axis = _axis(found)
        width = WIDE_STRIP if self._width >= WIDE_FROM else STRIP
        rows = [self._outlook(line, as_of, axis, width) for _, line in in_danger]
        headings = (
            *("责任单位", "未完工", "完工", "验收", "预计", "早则", "迟则"),
            *("需要", "近期", "卡在", _axis_told(axis, width)),
        )
        table = self.table(
            headings,
            rows,
            numbers=(1, 2, 3, 7, 8),
            optional=(9, 8, 7, 5, 6, 10, 3),
            drawn=(10,),
        )
        return "\n".join(
            (
                f"截至 {as_of}{words.drill(found)}",
                table,
                f"完工、验收：{found['works_end']} 前全部完工、{found['acceptance_end']} "
                "前全部验收的可能性",
                "预计：最后一户完工的日期；八成可能在“早则”与“迟则”之间",
                f"右栏：[ 早则，o 预计，] 迟则，| {found['works_end']}，X 预计恰在这一天",
                "需要：按期完工每周要完成的户数；近期：近四周平均每周完成的户数",
                "卡在：最费时间的环节",
            )
        )

    def _outlook(
        self, line: Answer, as_of: object, axis: tuple[date, date, date], width: int
    ) -> tuple[object, ...]:
        done = not line["to_build"]
        works, acceptance = line["p_construction"], line["p_acceptance"]
        assert isinstance(works, float)
        assert isinstance(acceptance, float)
        tone = "red" if works < 0.5 else "amber" if works < 0.8 else "green"
        first, last, end = axis

        def place(day: object) -> float:
            if day is None:
                return 1.0
            span = max(1, (last - first).days)
            return (date.fromisoformat(str(day)) - first).days / span

        drawn = (
            ""
            if done
            else self.strip(
                place(line["low"]),
                place(line["expected"]),
                place(line["high"]),
                place(end),
                width,
            )
        )
        return (
            line["unit_name"],
            line["to_build"],
            Toned(figures.chance(works), tone),
            figures.chance(acceptance),
            words.near(line["expected"], as_of),
            "已完" if done else words.near(line["low"], as_of),
            "-" if done else words.near(line["high"], as_of),
            "-" if line["pace_needed"] is None else line["pace_needed"],
            line["pace_shown"],
            words.label("state", line["binding_state"]),
            drawn,
        )

    # One household ------------------------------------------------------------------------

    def case(self, case: Answer) -> str:
        """`case show`: where it stands on its way, then all there is to say."""
        personal, tracks = case["personal"], case["tracks"]
        assert isinstance(personal, Mapping)
        assert isinstance(tracks, Mapping)
        state = State(str(case["state"]))
        here = WAY.index(state) if state in WAY else None
        head = f"{case['code']}  {case['unit_name']} {case['village']}" + words.drill(case)
        way = self.way([one.label for one in WAY], here)
        if here is None:
            way = f"{way}   【{state.label}】"
        late = "red" if case["overdue"] else "amber" if case["at_risk"] else ""
        due = f"{case['due_on'] or '无'}（{case['due_reason']}）{words.standing(case)}"
        parts = [
            self.say(head, "strong") + "\n" + way,
            self.pairs(
                "",
                [
                    ("环节", f"{state.label}（自 {case['state_since']}）"),
                    ("期限", Toned(due, late) if late else due),
                    *self._beside(case),
                    ("取暖路径", words.label("path", case["path"])),
                    (
                        "户别·区域·类别",
                        "·".join(words.label(key, case[key]) for key in ("kind", "area", "quota")),
                    ),
                    ("户主", f"{personal['name']}  {personal['phone']}"),
                    ("证件", personal["id_number"] or personal["credit_code"] or "-"),
                    ("用电户号", personal["meter"] or "-"),
                    ("地址", personal["address"] or "-"),
                    ("建筑/采暖面积", f"{case['building_area']} / {case['heating_area']} ㎡"),
                    ("设备型号/接入点", case["model"] or case["connection_point"] or "-"),
                    ("运行起算日", case["clock_start"] or "-"),
                    ("有效许可", case["permission_in_force"] or "无"),
                    ("下一步可办", "、".join(words.named(case["next"]))),
                ],
            ).lstrip("\n"),
            *words.unverified(case),
            *self._clocks(case["clocks"]),
        ]
        for name, heading in words.TRACKS.items():
            found = tracks[name]
            if isinstance(found, Mapping) and any(found.values()):
                found = [found]
            if isinstance(found, list) and found:
                keys = list(found[0])
                rows = [[words.track(name, key, line[key]) for key in keys] for line in found]
                columns = [words.COLUMNS.get(key, key) for key in keys]
                parts.append(self.table(columns, rows, title=heading))
        parts.append(f"办理前先看：xianli case why {case['code']}")
        return "\n\n".join(part.strip("\n") for part in parts)

    def _beside(self, case: Answer) -> list[tuple[str, object]]:
        lines: list[tuple[str, object]] = []
        if case["latest_start"]:
            told = f"{case['latest_start']}（此后余下的工作日不够办完期限内的环节）"
            lines.append(("最迟开工", told))
        if case["historic_missed"]:
            lines.append(("历史节点", "计划生效前的节点未赶上，单独统计，不报警"))
        return lines

    def _clocks(self, clocks: object) -> list[str]:
        """The clocks of a case where there is more to say than its one deadline."""
        assert isinstance(clocks, list)
        if len(clocks) < 2 and all(one["seq"] is None for one in clocks):
            return []
        rows = [
            (
                one["label"],
                one["seq"] or "计划",
                words.due(one),
                Toned(words.days_left(one["days_left"]), "red" if one["overdue"] else ""),
            )
            for one in clocks
        ]
        return [self.table(("事项", "编号", "期限", ""), rows, title="期限")]


def _by_urgency(items: Sequence[Answer]) -> Iterator[tuple[str, str, list[Answer]]]:
    """The heaps in their order, each with its tone; empty ones are left out."""
    heaps: dict[tuple[str, str], list[Answer]] = {}
    for item in items:
        left = item["days_left"]
        if not isinstance(left, int):
            heap = ("没有期限", "soft")
        elif left < 0:
            heap = ("逾期", "red")
        elif left == 0:
            heap = ("今天到期", "red")
        elif left <= WEEK:
            heap = ("七天之内", "amber")
        else:
            heap = ("以后", "")
        heaps.setdefault(heap, []).append(item)
    for (name, tone), group in heaps.items():
        yield name, tone, group


def _command(item: Answer) -> str:
    """What to type for a line of `todo`, its missing values left to be filled in."""
    trigger, missing = Trigger(str(item["trigger"])), words.strings(item["missing"])
    facts = [key for key in missing if key in tuple(FactKind)]
    if facts:
        return f"xianli record {facts[0]} {item['code']} …（{FactKind(facts[0]).label}）"
    keys = [key for key in evidence.keys(trigger) if key in missing]
    given = "".join(f" -e {key}=…" for key in keys)
    return f"xianli advance {item['code']} {trigger}{given}"


def _axis(found: Answer) -> tuple[date, date, date]:
    """First and last day of the strips, and the end of the works."""
    by_unit = found["by_unit"]
    assert isinstance(by_unit, Mapping)
    end = date.fromisoformat(str(found["works_end"]))
    days = [
        date.fromisoformat(str(line[key]))
        for line in by_unit.values()
        if line["to_build"]
        for key in ("low", "high")
        if line[key] is not None
    ]
    first = min([date.fromisoformat(str(found["as_of"])), end, *days])
    return first, max([end, *days]), end


def _axis_told(axis: tuple[date, date, date], width: int) -> str:
    first, last, _ = axis
    ends = f"{first:%m-%d}", f"{last:%m-%d}"
    return ends[0] + " " * (width - 10) + ends[1]
