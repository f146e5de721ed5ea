"""What the audit says on the terminal: verification, proof, samples, violations, past days."""

from collections.abc import Mapping, Sequence

from notifications import screen_words as words
from notifications.screen_words import Answer
from notifications.surface import Surface, clean
from states.vocabulary import (
    State,
    VisitVerdict,
)

CHANGED_CASES = 10
FIGURES = {
    "cases": "在册",
    "done": "已验收",
    "overdue": "逾期",
    "permitted": "已许可",
    "removed": "旧炉已拆封",
    "violations_open": "未销号违规",
}


class Audit(Surface):
    """The views of the auditor."""

    def certificate(self, found: Answer) -> str:
        """`audit certificate`."""
        if found["same"] is not None:
            return (
                f"{found['file']} 与现在会出具的证明一字不差"
                if found["same"]
                else f"{found['file']} 不是现在会出具的那一页：被改动过，或出具后又有新的检查点"
            )
        text = (
            f"已出具 {found['code']} 的拆除许可证明：{clean(found['file'])}\n"
            f"许可 {found['permitted_on']}（编号 {found['permission']}），"
            f"检查点 {found['size']} 条，证明等级 {found['grade']}"
        )
        if found["unverified"] != "无":
            text += f"\n未经核实：{found['unverified']}"
        return text

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
        return "\n".join([*lines, *words.quarantined(found), *_findings(findings)])

    def chain(self, found: Answer) -> str:
        """`audit verify --chain`, which says how little it looked at."""
        findings = found["findings"]
        assert isinstance(findings, list)
        about = f"{found['events']} 条" + ("" if found["verified"] else f"，{len(findings)} 处问题")
        head = f"哈希链核对{'通过' if found['verified'] else '不通过'}：{about}"
        rest = "只核对了内容、哈希、前后相接、序号和各户末条；其余用 xianli audit verify 核验"
        return "\n".join([head, rest, *_findings(findings)])

    def removal(self, found: Answer) -> str:
        """`audit removal`."""
        findings = found["findings"]
        assert isinstance(findings, list)
        mark = "  【演练·未核实】" if found["drill"] and found["unverified"] else words.drill(found)
        head = (
            f"曾获许可 {found['permitted']} 户；登记过拆除或封存 {found['removed']} 户，"
            f"其中合规 {found['lawful']} 户；问题 {len(findings)} 处{mark}"
        )
        return "\n".join([head, *words.quarantined(found), *_findings(findings)])

    def checkpoint(self, made: Answer) -> str:
        """`audit checkpoint`."""
        state = "已做检查点" if made["new"] else "此后没有新的登记，仍是上一个检查点"
        lines = [f"{state}：{made['size']} 条", str(made["origin"]), str(made["root"])]
        if made["file"]:
            lines.append(
                f"已写 {clean(made['file'])}（从第 {made['since']} 条起证明），请送交见证人；"
                "回执用 xianli audit receipt import 导入"
            )
        return "\n".join(lines)

    def witnessed(self, done: Answer) -> str:
        """`audit witness`."""
        lines = [
            f"已见证 {done['origin']}，共 {done['size']} 条；见证人 {done['witness']}",
            f"回执：{clean(done['receipt'])}，请交回县清洁取暖办",
        ]
        if done["first"]:
            lines.append(
                "第一次见到这本日志：请当面或来函核对上面的名称和条数；"
                f"见证人公钥在 {clean(done['public_key_file'])}，交县清洁取暖办登记"
            )
        return "\n".join(lines)

    def seen(self, found: Answer) -> str:
        """`audit receipt import`."""
        return (
            f"回执有效，已保存：{found['witness']} 于 {words.local(found['witnessed_at'])} "
            f"见证了前 {found['size']} 条"
        )

    def proof_status(self, found: Answer) -> str:
        """`audit status`."""
        last, seen, tail = found["checkpoint"], found["witnessed"], found["unwitnessed"]
        signatures = found["signatures"]
        assert isinstance(tail, Mapping)
        assert isinstance(signatures, Mapping)
        lines = [f"日志 {found['origin']}，共 {found['size']} 条"]
        lines.append(
            f"最近的检查点：{last['size']} 条，{words.local(last['recorded_at'])}"
            if isinstance(last, Mapping)
            else "还没有检查点：xianli audit checkpoint 文件"
        )
        lines.append(
            f"最近的见证：{seen['size']} 条，{words.local(seen['witnessed_at'])}，{seen['witness']}"
            if isinstance(seen, Mapping)
            else "还没有见证回执"
        )
        if tail["events"]:
            lines.append(
                f"未见证的登记 {tail['events']} 条，最早 {words.local(tail['since'])}，"
                f"距今 {tail['hours']} 小时"
            )
        else:
            lines.append("全部登记都已见证")
        if tail["overdue"]:
            lines.append("警告：有登记超过 24 小时没有见证，其间被改写无法发现")
        wanted = "、".join(words.strings(signatures["required"])) or "没有"
        lines.append(f"计划要求签名的事项：{wanted}；已签名 {signatures['signed_events']} 条")
        return "\n".join(lines + words.quarantined(found))

    def quarantine(self, done: Answer) -> str:
        """`audit quarantine`."""
        if done["state"] == "proposed":
            return (
                f"已提出隔离 {done['code']}（第 {done['seq']} 条）；"
                "须由另一方（县清洁取暖办或审计人员）的另一人用同一命令确认"
            )
        return (
            f"已隔离 {done['code']}（第 {done['seq']} 条）：该户不再写入，各报表都会列出；"
            "其他户可以继续发放许可"
        )

    def violations(self, found: Answer) -> str:
        """`audit violations`."""
        matters = found["matters"]
        assert isinstance(matters, list)
        head = f"截至 {found['as_of']}：共 {found['total']} 件，未销号 {found['open']} 件"
        parts = [head + words.drill(found)]
        kinds: dict[str, list[bool]] = {}
        for one in matters:
            kind = words.label("kind", one["kind"])
            named = f"{kind}·{words.label('type', one['type'])}" if one["type"] else kind
            kinds.setdefault(named, []).append(bool(one["open"]))
        parts += [
            f"  {named} {len(some)} 件（未销号 {sum(some)}）" for named, some in kinds.items()
        ]
        rows = [
            (
                one["id"],
                f"{one['code']}\n{clean(one['unit_name'])} {clean(one['village'])}",
                _act(one),
                f"{one['on']}\n{clean(one['recorded_by'])} 登记",
                one["what"],
                _outcome_of(one),
                one["days"],
                _visits_after(one["visits"]),
            )
            for one in matters
        ]
        headings = ("编号", "户", "类型", "发生", "情况", "处理", "天数", "其后回访")
        if rows:
            parts.append(self.table(headings, rows, numbers=(0, 6)))
        return "\n".join(parts)

    def oddities(self, found: Answer, limit: int) -> str:
        """`audit oddities`."""
        listed = found["oddities"]
        assert isinstance(listed, list)
        shown = listed[:limit] if limit else listed
        head = f"截至 {found['as_of']}：可疑之处 {found['total']} 处{words.drill(found)}"
        if not listed:
            return head
        if len(shown) < len(listed):
            head += f"，列出最可疑的 {len(shown)} 处（--limit 0 全部列出）"
        rows = [
            (
                one["strength"],
                words.label("kind", one["kind"]),
                words.few(one["codes"], 4),
                words.few(one["seqs"], 3),
                one["message"],
            )
            for one in shown
        ]
        table = self.table(("强度", "种类", "户", "日志编号", "情况"), rows, numbers=(0,))
        told = "可疑不等于违规：请先入户核实。没有用电数据，“无供热”只凭首次供热、测温和故障判断。"
        return f"{head}\n{table}\n{told}"

    def asof(self, found: Answer) -> str:
        """`audit asof`."""
        by_unit = found["by_unit"]
        assert isinstance(by_unit, Mapping)
        known = found["known_at"]
        clock = f"，按 {words.local(known)} 以前的登记" if known else ""
        parts = [
            f"{found['as_of']} 的情况{clock}（日志第 {found['seq']} 条为止）{words.drill(found)}"
        ]
        states = [state for state in State if state is not State.CLOSED]
        names = ("task", "cases", "done", "overdue", "removed", "violations_open")
        rows: list[tuple[object, ...]] = []
        for line in by_unit.values():
            in_states = [line["by_state"][str(state)] for state in states]
            rows.append(
                (line["unit_name"], line["task"], *in_states, *(line[n] for n in names[1:]))
            )
        figures = [
            sum(value for row in rows if isinstance(value := row[index], int))
            for index in range(1, len(states) + len(names) + 1)
        ]
        rows.append(("合计", *figures))
        headings = (
            *("责任单位", "任务", *(state.label for state in states)),
            *(FIGURES[name] for name in names[1:]),
        )
        parts.append(self.table(headings, rows, numbers=range(1, len(headings))))
        if isinstance(found["published"], Mapping):
            parts += self._since_published(found["published"], by_unit)
        return "\n".join(parts)

    def _since_published(self, old: Answer, by_unit: Mapping[str, Answer]) -> list[str]:
        changes, faults = old["changes"], old["faults"]
        assert isinstance(changes, Mapping)
        assert isinstance(faults, Mapping)
        parts = [f"与 {clean(old['file'])}（{old['as_of']}，日志第 {old['seq']} 条为止）相比："]
        if old["journal_shorter"]:
            parts.append("  注意：公布时的日志比现在的长，日志被截短过；请运行 xianli audit verify")
        elif old["reproduced"] is None:
            parts.append("  公布以后计划修订过，不能按现行计划还原当时的数字")
        elif old["reproduced"]:
            parts.append("  按日志还原，与公布的数字一致")
        else:
            parts.append("  注意：公布的数字与日志当时的记录不符")
            for unit, some in faults.items():
                name = clean(by_unit[unit]["unit_name"]) if unit in by_unit else unit
                parts += [
                    f"    {name}：{_figure(one)} 公布 {one['was']}，日志 {one['becomes']}"
                    for one in some
                ]
        if not changes:
            parts.append("  没有变化")
        for unit, change in changes.items():
            name = clean(by_unit[unit]["unit_name"]) if unit in by_unit else unit
            told = [f"{_figure(one)} {one['was']} → {one['becomes']}" for one in change["figures"]]
            parts.append(f"{name}：{'，'.join(told) or '合计未变，户有变化'}")
            parts += [_changed(one) for one in change["cases"][:CHANGED_CASES]]
            if len(change["cases"]) > CHANGED_CASES:
                parts.append(f"  …… 共 {len(change['cases'])} 户，全部见 --json")
        return parts

    def sample_size(self, found: Answer) -> str:
        """`audit sample --dry-run`."""
        return "\n".join([self._sample_shares(found), "只看户数，没有抽取，没有写入"])

    def _sample_shares(self, found: Answer) -> str:
        by_unit = found["by_unit"]
        assert isinstance(by_unit, Mapping)
        states = "、".join(words.label("state", state) for state in words.strings(found["states"]))
        rows = [
            (unit, line["unit_name"], line["population"], line["drawn"])
            for unit, line in by_unit.items()
        ]
        rows.append(("", "合计", found["population"], found["drawn"]))
        head = (
            f"总体：{states} {found['population']} 户；误判风险 {found['risk']:g}，"
            f"可容忍 {found['tolerable']:g}，预计不合格 {found['expected']} 户\n"
            f"全县须查 {found['size']} 户；按单位取整后抽 {found['drawn']} 户"
        )
        headings = ("编码", "责任单位", "总体", "抽查")
        return f"{head}\n{self.table(headings, rows, numbers=(2, 3))}"

    def sample(self, found: Answer) -> str:
        """`audit sample`."""
        parts = [*self._draw(found), "、".join(words.strings(found["codes"]))]
        if found["earlier"]:
            parts.append(f"此前已抽过 {found['earlier']} 次；每一次都在日志里")
        return "\n".join([*parts, *_sheet(found)])

    def _draw(self, found: Answer) -> list[str]:
        again = "（以前已抽过同样的，没有再写入）" if found["repeated"] else ""
        return [
            f"抽样编号 {found['id']}{again}，{found['drawn_on']}，种子 {clean(found['seed'])}"
            f"{words.drill(found)}",
            f"总体摘要 {found['population_hash']}",
            self._sample_shares(found),
        ]

    def sample_standing(self, found: Answer) -> str:
        """`audit sample show`."""
        draws, visits, concluded = found["draws"], found["visits"], found["conclusion"]
        missing, joined, left = (words.strings(found[key]) for key in ("missing", "joined", "left"))
        assert isinstance(draws, list)
        assert isinstance(visits, list)
        others = "、".join(str(one) for one in draws if one != found["id"])
        parts = [*self._draw(found), *_sheet(found)]
        if others:
            parts.append(f"其他抽样编号：{others}")
        parts.append(
            "按日志重抽：名单一致" if found["reproduced"] else "注意：按日志重抽，名单不一致"
        )
        if joined or left:
            parts.append(
                f"抽样以后总体有变化：新进 {len(joined)} 户，离开 {len(left)} 户；"
                "结论只对抽样时的总体成立"
            )
        if found["corrected"]:
            parts.append(f"结果更正过的户：{'、'.join(words.strings(found['corrected']))}")
        wrong = [one for one in visits if one["verdict"] != VisitVerdict.PASS]
        if wrong:
            rows = [
                (one["code"], one["on"], words.label("verdict", one["verdict"]), one["remarks"])
                for one in wrong
            ]
            headings = ("编号", "检查日期", "结论", "情况说明")
            parts.append(self.table(headings, rows, title="没有合格的户"))
            parts.append("问题属实的，用 xianli record finding 编号 登记为审计发现，才会冻结许可")
        if isinstance(concluded, Mapping):
            parts.append(f"结论：{clean(concluded['sentence'])}{words.drill(found)}")
        else:
            parts.append(
                f"已交回 {found['visited']} 户，还差 {len(missing)} 户（{words.few(missing, 8)}）；"
                "全部交回后才有结论"
            )
        return "\n".join(parts)

    def sample_results(self, found: Answer) -> str:
        """`audit sample results`."""
        faults, recorded, sample = found["faults"], found["recorded"], found["sample"]
        assert isinstance(faults, list)
        assert isinstance(recorded, list)
        if found["verdict"] == "rejected":
            rows = [(f["sheet"] or "-", f["cell"] or "-", f["message"]) for f in faults]
            head = f"{clean(found['file'])}：退回，{len(faults)} 处问题，一户也没有登记"
            return f"{head}\n{self.table(('工作表', '单元格', '问题和办法'), rows)}"
        assert isinstance(sample, Mapping)
        head = f"{clean(found['file'])}：读到 {found['rows']} 户，新登记 {len(recorded)} 户的结果"
        return f"{head}\n{self.sample_standing(sample)}"

    def proof(self, found: Answer) -> str:
        """`safety`."""
        walked = (
            f"走遍 {found['states']} 个可达位置，试过 {found['transitions']} 步，"
            f"其中依规准许 {found['permissions']} 次"
        )
        way = found["counterexample"]
        assert isinstance(way, list)
        if found["holds"]:
            return f"成立：{found['property']}。\n{walked}，没有反例"
        steps = [
            f"  {number}. {one['day']}（{one['recorded_on']} 登记）{one['actor']} "
            f"{words.label('trigger', one['trigger'])} "
            f"{words.told(one['trigger'], one['evidence'])}".rstrip()
            for number, one in enumerate(way, start=1)
        ]
        head = f"不成立：{way[-1]['fault']}。\n{walked}。最短反例（{len(way)} 步）："
        return "\n".join([head, *steps])

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
                roles = "、".join(words.label("role", role) for role in entry["roles"])
                rows.append((f"{name} {entry['label']}", roles, "\n".join(listed)))
            parts.append(self.table(("名称", "由谁办", "材料项（* 可重复）"), rows, title=heading))
        return "\n\n".join(parts)


def _figure(change: Answer) -> str:
    name = str(change["figure"])
    return words.label("state", name.removeprefix("state:")) if ":" in name else FIGURES[name]


def _changed(case: Answer) -> str:
    events = case["events"]
    assert isinstance(events, list)
    told = "；".join(
        f"第 {one['seq']} 条 {words.label('kind', one['kind'])} {one['occurred_on']}"
        f"（{words.local(one['recorded_at'])} 由 {clean(one['actor'])} 登记）"
        for one in events
    )
    was, becomes = words.label("was", case["was"]), words.label("becomes", case["becomes"])
    moved = becomes if was == becomes else f"{was} → {becomes}"
    return f"  {case['code']} {moved}：{told or '没有新的登记，是日期过了期限'}"


def _sheet(sample: Answer) -> list[str]:
    if not sample["sheet"]:
        return []
    return [f"入户表：{clean(sample['sheet'])}（每个单位一页，可直接打印）"]


def _act(matter: Answer) -> str:
    """What was done and by whom; how grave a finding is."""
    named = words.label("kind", matter["kind"])
    more = [words.label(key, matter[key]) for key in ("type", "by", "severity") if matter[key]]
    return "\n".join([named, *more])


def _outcome_of(matter: Answer) -> str:
    if matter["open"]:
        return "未销号"
    papers = words.strings(matter["documents"])
    lines = [
        f"{matter['resolved_on']} {words.label('outcome', matter['outcome'])}",
        f"{clean(matter['resolved_by'])} 办理",
        *papers,
    ]
    return "\n".join(lines)


def _visits_after(visits: object) -> str:
    assert isinstance(visits, list)
    if not visits:
        return "无"
    last = visits[-1]
    return f"{len(visits)} 次，最近\n{last['on']} {last['temperature']:g}℃"


def _findings(findings: Sequence[Answer]) -> list[str]:
    return [f"  - {one['code']}：{clean(one['message'])}" for one in findings]
