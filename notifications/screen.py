"""Answers in Chinese for the terminal: tables that align, plain lines, nothing that could harm.

Takes the plain dicts of the JSON answers and gives text. Characters stay within GBK, so that old
terminals show them; control characters never pass.
"""

from collections.abc import Iterator, Mapping, Sequence

from notifications import screen_words as words
from notifications.screen_audit import Audit
from notifications.screen_daily import Daily
from notifications.screen_words import Answer
from notifications.surface import clean
from states import identity
from states.vocabulary import (
    Trigger,
)

WIDE = 110  # columns from which the months stand beside the figures of the day
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


BULLETIN_FIGURES = {
    "task": "任务数",
    "confirmed": "确户",
    "selected": "选型",
    "started": "开工",
    "installed": "安装",
    "powered": "通电",
    "accepted": "验收",
    "change": "较上期",
    "overdue": "逾期",
    "at_risk": "有风险",
    "rank": "排名",
    "closed": "已退出",
    "longest": "逾期最久（天）",
}


def _told_event(event: Answer) -> str:
    kind = words.label("kind", event["kind"])
    return f"第 {event['seq']} 号事件（{kind}，{event['occurred_on']}）"


class Screen(Daily, Audit):
    """A terminal: one method for each answer that people read."""

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
                parts.append(f"缺：{'、'.join(map(words.key_label, one['missing']))}")
            if one["who"]:
                parts.append(f"由{words.label('role', one['who'])}补")
            if one["earliest"]:
                parts.append(f"最早 {one['earliest']}")
            elif one["earliest_reason"]:
                parts.append(f"最早日期未知：{clean(one['earliest_reason'])}")
            lines.append(f"  - [{one['clause']}] " + "；".join(parts))
        return lines

    def case_list(self, shown: Sequence[Answer], count: int) -> str:
        """`case list`: the first so many of the cases, and how many there are."""
        rows = [
            (
                case["code"],
                case["unit_name"],
                case["village"],
                words.label("path", case["path"]),
                words.label("kind", case["kind"]),
                words.label("state", case["state"]),
                case["state_since"],
                words.due(case),
                words.lateness(case),
            )
            for case in shown
        ]
        headings = ("编号", "责任单位", "村", "路径", "户别", "环节", "自", "期限", "状态")
        text = self.table(headings, rows)
        if len(shown) < count:
            return f"{text}\n共 {count} 户，列出前 {len(shown)} 户；加 --limit 0 全部列出"
        return f"{text}\n共 {count} 户"

    def why(self, answer: Answer) -> str:
        """`case why` for one trigger."""
        name = f"{answer['code']} 办理“{words.label('trigger', answer['trigger'])}”"
        if answer["possible"]:
            lines = [f"{name}：现在可以办理"]
        elif answer["earliest"]:
            lines = [f"{name}：还不能办理，最早 {answer['earliest']}"]
        else:
            lines = [f"{name}：还不能办理；最早日期：{clean(answer['earliest_reason'])}"]
        lines += self._reasons(answer["reasons"])
        lines += words.unverified(answer)
        return "\n".join(lines)

    def history(self, events: Sequence[Answer]) -> str:
        """`case history`."""
        rows = []
        for event in events:
            given = event["evidence"]
            assert isinstance(given, Mapping)
            moved = ""
            if event["to"]:
                moved = f"{words.label('from', event['from'])} → {words.label('to', event['to'])}"
            rows.append(
                (
                    event["seq"],
                    event["occurred_on"],
                    words.local(event["recorded_at"]),
                    words.label("kind", event["kind"]),
                    moved,
                    f"{event['actor']}（{words.label('role', event['role'])}）",
                    "；".join(
                        part
                        for part in (
                            words.told(str(event["kind"]), given),
                            str(event["reason"] or ""),
                            f"逾期 {event['late_days']} 天办理" if event["late_days"] else "",
                        )
                        if part
                    ),
                )
            )
        headings = ("编号", "发生", "登记时间", "事项", "环节", "登记人", "内容")
        return self.table(headings, rows, numbers=(0,))

    def receipt(self, done: Answer) -> str:
        """`advance` and `record`."""
        trigger = words.label("trigger", done["trigger"])
        lines = [
            f"{done['code']} 已登记“{trigger}”（编号 {done['seq']}，发生 {done['occurred_on']}）"
            + ("；此键以前用过，没有重复登记" if done["repeated"] else ""),
            f"现处于“{words.label('state', done['state'])}”，期限 {done['due_on'] or '无'}",
        ]
        if done["late_days"]:
            lines.append(f"逾期 {done['late_days']} 天办理，已如实登记")
        if done["warning"]:
            lines.append(f"注意：{clean(done['warning'])}")
        lines += words.unverified(done)
        return "\n".join(lines)

    def revision(self, found: Answer) -> str:
        """`plan revise`: the changes, what they do to the cases, and what happens next."""
        refused, changes = words.strings(found["refused"]), _answers(found["changes"])
        parts = [f"修订后的计划哈希 {found['hash']}"]
        if not changes:
            parts.append("与现行计划没有实质差别")
        rows: list[tuple[object, ...]] = [
            (
                clean(change["what"]),
                f"不行：{change['refused']}"
                if change["refused"]
                else "须另一人复核"
                if change["second_officer"]
                else "可以",
            )
            for change in changes
        ]
        if rows:
            parts.append(self.table(("改动", ""), rows))
        for key, title in _FATES.items():
            fates = _answers(found[key])
            if not fates:
                continue
            shown = fates if key == "permitted" else fates[:_FATE_LINES]
            rows = [(f["code"], words.label("state", f["state"]), clean(f["why"])) for f in shown]
            more = "" if len(shown) == len(fates) else f"，列出前 {len(shown)} 户"
            told = f"{title} {len(fates)} 户{more}"
            parts.append(self.table(("编号", "环节", "原因"), rows, title=told))
        for key, title in (("deadlines", "期限变动"), ("earliest", "最早可许可日变动")):
            moves = _answers(found[key])
            rows = [
                (
                    m["was"] or "无",
                    m["now"] or "无",
                    m["cases"],
                    "、".join(words.strings(m["units"])),
                )
                for m in moves
            ]
            if rows:
                table = self.table(
                    ("原", "改为", "户数", "责任单位"), rows, title=title, numbers=(2,)
                )
                parts.append(table)
        for over in _answers(found["annex_exceeded"]):
            parts.append(
                f"超出任务：{over['unit']} {over['task']} 任务 {over['households']} 户，"
                f"计划内在办 {over['cases']} 户"
            )
        parts.append(_revision_outcome(found, refused))
        return "\n\n".join(parts)

    def round(self, found: Answer) -> str:
        """What `check --notify` raised and queued."""
        alarms, failures = found["alarms"], found["failures"]
        assert isinstance(alarms, list)
        assert isinstance(failures, list)
        letters, digests = words.strings(found["letters"]), words.strings(found["digests"])
        parts = [
            f"本轮到期 {found['total']} 件：新发提醒和预警 {found['raised']} 件，"
            f"越级不发 {found['superseded']} 件，紧急 {len(alarms)} 户，"
            f"函件 {len(letters)} 份，汇总提醒 {len(digests)} 人"
        ]
        parts += [f"  紧急 {one['code']}：{clean(one['why'])}" for one in alarms]
        parts += [f"  函件 {number}" for number in letters]
        if failures:
            parts.append(f"没有办成 {len(failures)}/{found['total']} 件，下一轮再办：")
            parts += [
                f"  {clean(one['code'])} {clean(one['deadline'])}：{clean(one['message'])}"
                for one in failures
            ]
        return "\n".join(parts)

    def notify(self, found: Answer) -> str:
        """`notify list`: messages with their status, letters with their slips."""
        messages, letters = found["messages"], found["letters"]
        assert isinstance(messages, list)
        assert isinstance(letters, list)
        parts = [f"截至 {found['as_of']}{words.drill(found)}"]
        if messages:
            rows = [
                (
                    one["key"],
                    MESSAGE_KINDS.get(one["kind"], one["kind"]),
                    one["person"],
                    words.local(one["created_at"]),
                    MESSAGE_STATUS.get(one["status"], one["status"]),
                    clean(one["last_error"] or ""),
                )
                for one in messages
            ]
            headings = ("消息", "种类", "收件人", "生成", "状态", "出错")
            parts.append(self.table(headings, rows, title="消息"))
        else:
            parts.append("没有消息")
        if letters:
            letter_rows = [
                (
                    one["number"],
                    MESSAGE_KINDS.get(one["kind"], one["kind"]),
                    one["unit_name"],
                    one["issued_on"],
                    one["matters"],
                    one["reply_by"],
                    one["replied_on"] or ("逾期未回执" if one["unanswered"] else "待回执"),
                )
                for one in letters
            ]
            columns = ("文号", "种类", "责任单位", "发出", "事项", "回执期限", "回执")
            parts.append(self.table(columns, letter_rows, title="函件", numbers=(4,)))
        else:
            parts.append("没有函件")
        return "\n".join(parts)

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
            f"{found['file']}（{words.label('kind', found['kind'])}）：填有 {found['rows']} 行，"
            f"可以办理 {found['passing']} 行"
            + (f"（其中 {found['repeated']} 行此前已办，不再登记）" if found["repeated"] else "")
            + f"，退回 {len(refused)} 行{words.drill(found)}"
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
        parts += words.unverified(found)
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

    def bulletin(self, found: Answer) -> str:
        """`report bulletin`."""
        files = found["files"]
        assert isinstance(files, list)
        said = f"{found['since']} 至 {found['as_of']}{words.drill(found)}"
        number = found["number"]
        if number is not None:
            said = f"{number}（{'已公布' if found['new'] else '此前已公布'}） {said}"
        if not files:
            return f"{said}\n文件都已在，没有重写（--force 重写）"
        return "\n".join([said, *(clean(file) for file in files)])

    def bulletins(self, found: Answer) -> str:
        """`report bulletins`."""
        lines = found["bulletins"]
        assert isinstance(lines, list)
        if not lines:
            return "还没有公布过通报"
        headings = ("文号", "期间", "截至", "所知至第几号事件", "数字的摘要")
        periods = {"week": "周", "month": "月"}
        rows = [
            (
                *(one["number"], periods.get(one["period"], one["period"]), one["as_of"]),
                *(one["known_seq"], one["hash"][:16]),
            )
            for one in lines
        ]
        return self.table(headings, rows)

    def bulletin_difference(self, found: Answer) -> str:
        """`report compare`."""
        changes, cases, rules = found["changes"], found["cases"], found["rules"]
        assert isinstance(changes, list)
        assert isinstance(cases, list)
        assert isinstance(rules, list)
        title = f"{found['number']}，截至 {found['as_of']}{words.drill(found)}"
        if not changes and not cases and not rules:
            return f"{title}：公布后没有变化"
        figures = [
            (one["unit_name"], BULLETIN_FIGURES[one["figure"]], one["was"], one["becomes"])
            for one in changes
        ]
        headings = ("责任单位", "数字", "公布", "现在")
        parts = [self.table(headings, figures, title=title, numbers=(2, 3))]
        if not figures:
            parts = [f"{title}：数字没有变化"]
        if rules:
            told = "、".join(_told_event(one) for one in rules)
            parts.append(f"不属任何一户、可能改变数字的事件：{told}")
        if found["unexplained"]:
            parts.append(
                "没有任何事件能说明上列变化：可能是程序版本不同，请运行 xianli audit verify"
            )
        for one in cases:
            parts.append(f"{one['code']}：{'、'.join(_told_event(e) for e in one['events'])}")
        return "\n".join(parts)

    def ledgers(self, found: Answer) -> str:
        """`report ledgers`."""
        ledgers = found["ledgers"]
        assert isinstance(ledgers, list)
        rows = [
            (one["name"], one["task"], one["registered"], one["planned"], one["done"])
            for one in ledgers
        ]
        headings = ("台账", "任务数", "在册", "其中计划内", "完成")
        title = f"截至 {found['as_of']}{words.drill(found)}，已写到 {clean(found['file'])}"
        table = self.table(headings, rows, title=title, numbers=(1, 2, 3, 4))
        return "\n".join([table, *words.quarantined(found)])

    def dashboard(self, found: Answer) -> str:
        """`report dashboard`."""
        lines = [
            f"截至 {found['as_of']}{words.drill(found)}，看板已写到 {clean(found['file'])}"
            f"（{found['bytes']:,} 字节）",
            f"任务 {found['task']} 户，已验收 {found['done']} 户，逾期 {found['overdue']} 户，"
            f"有风险 {found['at_risk']} 户",
        ]
        if found["gravest"]:
            lines.append(f"最严重：{found['gravest']} 户新旧取暖都没有")
        if found["journal_broken"] is not None:
            lines.append(
                f"日志核对不符：{clean(found['journal_broken'])}；运行 xianli audit verify"
            )
        return "\n".join([*lines, *words.strings(found["cautions"])])

    def dossiers(self, found: Answer) -> str:
        """`report dossier`."""
        forms = words.strings(found["formats"])
        lines = [
            f"{clean(found['out'])}：一户一档 {found['households']} 户（{'、'.join(forms)}），"
            f"截至 {found['as_of']}，写出 {found['made']} 份"
            + (f"，已写好未变的 {found['kept']} 份" if found["kept"] else "")
        ]
        if passed := words.strings(found["passed_over"]):
            lines.append(
                f"没有写的 {len(passed)} 户（当日尚未登记，或已隔离读不出）："
                f"{words.few(passed, 10)}"
            )
        return "\n".join(lines)

    def site(self, found: Answer) -> str:
        """`report site`."""
        lines = [
            f"{clean(found['folder'])}：网站{'已换新' if found['replaced'] else '已建好'}，"
            f"截至 {found['as_of']}{words.drill(found)}，{found['households']} 户，"
            f"共 {found['pages']} 页；"
            "打开其中的 index.html"
        ]
        if passed := words.strings(found["passed_over"]):
            lines.append(
                f"没有单页的 {len(passed)} 户（当日尚未登记，或已隔离读不出）："
                f"{words.few(passed, 10)}"
            )
        return "\n".join(lines)

    def evaluation(self, found: Answer) -> str:
        """`report evaluation`."""
        indicators = found["indicators"]
        assert isinstance(indicators, list)
        ended = "" if found["season_ended"] else "（尚未结束）"
        rows = [
            (
                one["label"],
                one["weight"],
                f"{one['count']}/{one['of']}",
                "-" if one["points"] is None else f"{one['points']:g}",
                one["why"] or "",
            )
            for one in indicators
        ]
        headings = ("指标", "权重", "实数/应数", "得分", "无法计算的原因")
        title = (
            f"截至 {found['as_of']}{words.drill(found)}，"
            f"{found['season']} 采暖季{ended}绩效自评报告已写到 "
            f"{clean(found['file'])}（{found['bytes']:,} 字节）"
        )
        lines = [
            self.table(headings, rows, title=title, numbers=(1, 3)),
            f"可计算的指标共 {found['computable']} 分，得 {found['points']:g} 分",
        ]
        return "\n".join([*lines, *words.strings(found["cautions"])])

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
            (name, words.flat(rules[name]), _verified(one["verified"]), one["source"])
            for name, one in sources.items()
        ]
        parts.append(self.table(("参数", "值", "核实", "来源"), rows, title="规则参数"))
        grouped: dict[tuple[object, ...], list[str]] = {}
        for season in seasons:
            key = (season["label"], season["first_day"], season["last_day"], season["verified"])
            name = f"{words.label('area', season['area'])}{words.label('path', season['path'])}"
            grouped.setdefault(key, []).append(name)
        rows = [
            (key[0], key[1] or "未知", key[2] or "未知", _verified(key[3]), "、".join(names))
            for key, names in grouped.items()
        ]
        parts.append(self.table(("采暖季", "起", "止", "核实", "适用"), rows))
        indicators = plan["evaluation"]
        assert isinstance(indicators, list)
        rows = [
            (
                one["label"],
                one["weight"],
                f"{one['full']:g}",
                f"{one['zero']:g}",
                _verified(one["verified"]),
                one["source"],
            )
            for one in indicators
        ]
        headings = ("指标", "权重", "满分线", "零分线", "核实", "来源")
        parts.append(self.table(headings, rows, title="绩效自评指标", numbers=(1, 2, 3)))
        return "\n\n".join(parts)

    def progress(self, found: Answer) -> str:
        """`plan schedule`: per unit one line a step, the months beside it."""
        by_unit, total = found["by_unit"], found["total"]
        assert isinstance(by_unit, Mapping)
        assert isinstance(total, Mapping)
        lines = [(f"{code} {one['unit_name']}", one) for code, one in by_unit.items()]
        if len(lines) != 1:
            lines.append(("合计", total))
        steps = total["steps"]
        months = list(next(iter(steps.values()))["by_month"])
        names, figures, curves = [], [], []
        for name, line in lines:
            for place, (trigger, step) in enumerate(line["steps"].items()):
                first = (name, f"任务 {line['task']} 户")[place] if place < 2 else ""
                names.append((first, _SHORT[trigger]))
                figures.append((step["planned"], step["done"], step["behind"] or ""))
                curves.append(tuple(step["by_month"][month] for month in months))
        ends = "，".join(f"{_SHORT[key]} {step['target_on']}" for key, step in steps.items())
        title = f"倒排工期，截至 {found['as_of']}{words.drill(found)}\n目标日：{ends}"
        # The year is told where it begins, so that the columns stay narrow.
        heads = tuple(
            month if place == 0 or month.endswith("-01") else f"{int(month[5:])}月"
            for place, month in enumerate(months)
        )
        parts: list[tuple[tuple[str, ...], list[tuple[object, ...]]]] = [
            (("应完成", "已完成", "落后"), [*figures]),
            (heads, curves),
        ]
        if self._width >= WIDE:
            both = [(*ours, *theirs) for ours, theirs in zip(figures, curves, strict=True)]
            parts = [(parts[0][0] + heads, both)]
        tables = [
            self.table(
                ("责任单位", "环节", *headings),
                [(*name, *row) for name, row in zip(names, rows, strict=True)],
                numbers=range(2, 2 + len(headings)),
            )
            for headings, rows in parts
        ]
        told = "应完成是截至日的数，各月是月底应完成的数；由任务数、环节工作日数从目标日倒排"
        return "\n".join((title, *tables, told))

    def holidays_entered(self, found: Answer) -> str:
        """`calendar import`."""
        moved, differing = found["moved"], found["differing"]
        assert isinstance(moved, list)
        assert isinstance(differing, list)
        off, working = words.strings(found["off"]), words.strings(found["working"])
        if found["dry_run"]:
            done = "只是预览，没有写入"
        elif found["seq"] is None:
            done = "与已录入的相同，没有重复登记"
        else:
            done = f"已录入（编号 {found['seq']}）"
        parts = [
            f"{found['year']} 年节假日：{done}\n来源 {clean(found['source'])}\n"
            f"放假 {len(off)} 个平日，调休上班 {len(working)} 个周末日"
        ]
        if differing:
            parts.append(
                f"注意：有 {len(differing)} 天与程序自带的国务院安排不同，以录入的为准："
                + "、".join(words.strings(differing))
            )
        if not moved:
            parts.append("没有在办的期限因此变动")
            return "\n".join(parts)
        rows: list[tuple[object, ...]] = []
        for one in moved:
            first = (one["due_on"], one["cases"], _some(one["units"]))
            for place, change in enumerate(_changes(one)):
                rows.append((*(first if place == 0 else ("", "", "")), *change))
        headings = ("期限", "户数", "责任单位", "变动", "原为", "改为")
        title = f"变动的期限（共 {len(moved)} 个日期）"
        parts.append(self.table(headings, rows, title=title, numbers=(1,)))
        return "\n".join(parts)

    def calendar(self, found: Answer) -> str:
        """`calendar list`."""
        shipped, entered, months = found["shipped"], found["entered"], found["months"]
        assert isinstance(shipped, Mapping)
        assert isinstance(entered, list)
        assert isinstance(months, list)
        rows: list[tuple[object, ...]] = [
            (f"{shipped['first_year']}-{shipped['last_year']}", shipped["source"], "程序自带")
        ]
        rows += [
            (
                one["year"],
                one["source"],
                f"{one['actor']} {words.local(one['recorded_at'])} 录入"
                + ("" if one["in_force"] else "，已被后来的录入取代"),
            )
            for one in entered
        ]
        parts = [*words.missing(found["missing"])]
        parts.append(self.table(("年份", "来源", ""), rows, title="已知的节假日（县里录入的优先）"))
        rows = [
            (one["label"], one["month"], one["workdays"], "" if one["known"] else "暂定")
            for one in months
        ]
        parts.append(self.table(("阶段", "月份", "工作日", ""), rows, numbers=(2,)))
        return "\n".join(parts)

    def officers(self, officers: Sequence[Answer]) -> str:
        """`officer list`."""
        rows = [
            (
                o["login"],
                o["name"],
                o["person"],
                words.label("role", o["role"]),
                o["unit"] or "-",
                "在用" if o["active"] else "停用",
            )
            for o in officers
        ]
        shown = self.table(("账号", "姓名", "人员", "角色", "责任单位", "状态"), rows)
        keys = [
            (o["login"], o["key"], o["key_valid_until"] or "-") for o in officers if o.get("key")
        ]
        if not keys:
            return shown
        return shown + "\n" + self.table(("账号", "签名公钥", "有效期到"), keys)

    def rollup(self, found: Answer) -> str:
        """`report rollup`."""
        plans, total = found["plans"], found["total"]
        assert isinstance(plans, list)
        assert isinstance(total, dict)
        names = ("task", "registered", "completed", "accepted", "permitted", "closed")
        late = ("overdue", "at_risk")
        rows = [
            (
                f"{one['title']}（演练）" if one["drill"] else one["title"],
                one["as_of"],
                *(one[name] for name in (*names, *late)),
            )
            for one in plans
        ]
        rows.append(("合计", "", *(total[name] for name in (*names, *late))))
        headings = (
            "计划",
            "截至",
            "任务",
            "在册",
            "完工",
            "验收",
            "许可",
            "退出",
            "逾期",
            "有风险",
        )
        return self.table(headings, rows, numbers=range(2, len(headings)))

    def gates(self, gates: Sequence[Answer]) -> str:
        """`gate list`."""
        rows = [
            (g["unit"], g["village"], words.label("kind", g["kind"]), g["opened_on"]) for g in gates
        ]
        return self.table(("责任单位", "村", "网络", "开通"), rows)

    def delivered(self, done: Answer) -> str:
        """`notify send`."""
        lines = [
            f"发出 {done['sent']} 件；将再试 {done['retried']} 件，放弃 {done['given_up']} 件，"
            f"待发共 {done['waiting']} 件"
        ]
        problems = done["problems"]
        assert isinstance(problems, list)
        for one in problems:
            what = "放弃" if one["given_up"] else "再试"
            lines.append(f"  - {what} {clean(one['key'])}：{clean(one['error'])}")
        if done["given_up"]:
            lines.append("放弃的信在发件箱文件夹里，请人工送达；改好配置后可用 notify send --again")
        return "\n".join(lines)

    def scheduler(self, found: Answer) -> str:
        """`scheduler status`."""
        jobs, messages = found["jobs"], found["messages"]
        assert isinstance(jobs, list)
        assert isinstance(messages, Mapping)
        leader = clean(found["leader"]) if found["leader"] else "无"
        table = self.table(
            ("任务", "上次开始", "上次做成", "下次", "结果"),
            [
                (
                    job["label"],
                    *(words.local(job[key]) if job[key] else "-" for key in _JOB_INSTANTS),
                    ("【逾时】" if job["overdue"] else "") + (job["outcome"] or "-"),
                )
                for job in jobs
            ],
            title="调度任务",
        )
        lines = [
            f"主持：{leader}",
            f"信件：待发 {messages['waiting']} 件，放弃 {messages['given_up']} 件",
        ]
        if messages["last_error"]:
            lines.append(f"  最近一次没有发出：{clean(messages['last_error'])}")
        if found["warning"]:
            lines.append(f"【警告】{clean(found['warning'])}")
        return "\n".join([table.rstrip("\n"), *lines])

    def backed_up(self, found: Answer) -> str:
        """`db backup`."""
        size = f"{found['bytes']} 字节，已查过完好，只有本账号可读"
        return (
            f"已备份到 {clean(found['file'])}（{size}）\n"
            f"各表共 {found['rows']} 行；日志到第 {found['seq']} 条，哈希 {found['head'] or '-'}"
        )

    def upgraded(self, found: Answer) -> str:
        """`db upgrade`."""
        if not found["upgraded"]:
            return f"数据库已是本程序的版本（{found['after']}），没有改动"
        done = f"已从版本 {found['before']} 升级到 {found['after']}"
        if found["before"] == found["after"]:
            done = f"表已是本程序的版本（{found['after']}），保护触发器和行级策略已重新建立"
        return (
            f"{done}；日志一个字节未变\n"
            f"升级前的备份：{clean(found['backup'])}\n"
            f"重新算过期限的户：{found['clocks']} 户。建议运行 xianli audit verify"
        )

    def moved_house(self, found: Answer) -> str:
        """`db copy`."""
        rows = found["rows"]
        assert isinstance(rows, Mapping)
        told = (
            f"已抄到新库：日志 {found['events']} 条，各表共 {sum(rows.values())} 行，"
            f"逐表核对一致，核验结果一致\n末条哈希 {found['head']}"
        )
        logins = found["logins"]
        assert isinstance(logins, list)
        if logins:
            told += (
                f"\n在服务器上新建了 {len(logins)} 个账号，还没有口令：{clean('、'.join(logins))}"
                "\n下一步：请服务器管理员逐个设口令（psql 里 \\password 账号），或配证书"
            )
        return told

    def restored(self, found: Answer) -> str:
        """`db restore`."""
        last = found["last_recorded_at"]
        lines = [
            f"已恢复：日志 {found['events']} 条，{found['cases']} 户"
            + (f"，最后一条登记于 {words.local(last)}" if last else "")
        ]
        if found["upgraded"]:
            lines.append("备份是旧版本的，已一并升级")
        if found["lost"] is None and found["replaced"] is not None:
            lines.append("原来的数据库读不出来，不知道丢失了多少条登记")
        if found["lost"]:
            lines.append(
                f"注意：原来的数据库中有 {found['lost']} 条登记不在备份里，请按纸质材料补录"
            )
        if found["replaced"] is not None:
            lines.append(f"原来的数据库另存在 {clean(found['replaced'])}")
        if found["witnessed"]:
            lines.append(f"对照过的见证回执最多到第 {found['witnessed']} 条")
        return "\n".join(lines)

    def examined(self, found: Answer) -> str:
        """`db doctor`."""
        healths = {"good": "好", "warning": "注意", "fault": "有问题"}
        names = {
            "settings": "设置",
            "schema": "表结构",
            "integrity": "文件完好",
            "journal": "日志",
            "clock": "时钟",
            "witness": "见证",
            "service": "服务",
            "calendar": "日历",
            "rights": "权限",
            "place": "位置",
            "room": "磁盘",
            "wal": "WAL",
            "backups": "备份",
            "encryption": "加密",
            "collation": "排序",
            "access": "访问控制",
            "server_clock": "两边时钟",
            "connections": "连接数",
            "transactions": "事务",
            "programs": "备份程序",
        }
        rows = [
            (
                healths[str(one["health"])],
                names[str(one["name"])],
                one["message"],
                one["remedy"] or "-",
            )
            for one in words.rows(found["checks"])
        ]
        table = self.table(("结果", "项目", "情况", "办法"), rows)
        return f"{table}\n{'没有必须处理的问题' if found['healthy'] else '有必须处理的问题'}"


MESSAGE_KINDS = {
    "digest": "汇总提醒",
    "urge": "催办单",
    "supervise": "督办通知",
    "bulletin": "通报",
    "alarm": "紧急",
}
MESSAGE_STATUS = {"queued": "待发", "sending": "正在发", "sent": "已发", "given_up": "发不出"}


# The steps as a table of figures has room for.
_SHORT = {
    Trigger.CONFIRM: "确户",
    Trigger.SELECT: "选型",
    Trigger.COMPLETE: "施工",
    Trigger.ACCEPT: "验收",
}


def _changes(moved: Answer) -> Iterator[tuple[str, object, object]]:
    """What an entry of holidays changes about one deadline: what, from, to."""
    target, marked = moved["target_on"], moved["provisional"]
    starts, rungs = moved["latest_start"], moved["rungs"]
    assert isinstance(target, Mapping)
    assert isinstance(marked, Mapping)
    assert isinstance(starts, list)
    assert isinstance(rungs, list)
    if target["was"] != target["becomes"]:
        yield "最后工作日", target["was"], target["becomes"]
    if marked["was"] != marked["becomes"]:
        yield "暂定", words.label("", marked["was"]), words.label("", marked["becomes"])
    for one in starts:
        yield f"{words.label('state', one['state'])}最迟开工", one["was"], one["becomes"]
    for one in rungs:
        yield _rung(one["rung"]), one["was"], one["becomes"]


def _some(names: object) -> str:
    found = words.strings(names)
    return "、".join(found[:5]) + (f" 等 {len(found)} 个" if len(found) > 5 else "")


def _rung(name: object) -> str:
    level, _, days = str(name).partition("_")
    return f"{words.label('level', level)}{f'（前 {days} 天）' if days else ''}"


_JOB_INSTANTS = ("started_at", "succeeded_at", "next_at")


def _verified(value: object) -> str:
    return "已核实" if value else "未核实"


_FATES = {
    "stranded": "将无路可走",
    "blocked": "原可许可，修订后不可",
    "permitted": "原不可许可，修订后可以（逐户核对）",
    "questioned": "已有许可，按修订后的计划不会发出（许可仍按发出时的计划判断，提请县办考虑撤销）",
}
_FATE_LINES = 20


def _answers(value: object) -> list[Answer]:
    assert isinstance(value, list)
    return value


def _revision_outcome(found: Answer, refused: Sequence[str]) -> str:
    if refused:
        return f"不能这样修订（{len(refused)} 条），没有写入任何内容"
    if found["adopted"]:
        return f"已付诸实施（编号 {found['seq']}）：此后的登记都按修订后的计划"
    if found["applied"]:
        return (
            f"已提出（编号 {found['seq']}），尚未生效：请县清洁取暖办另一人用同一文件运行 "
            "xianli plan revise FILE --apply 复核"
        )
    who = "须两人：一人提出，另一人复核" if found["second_officer"] else "一人即可"
    return f"没有写入。付诸实施加 --apply --attach 依据文件 --reason 理由（{who}）"
