"""The words of the notice and the identifiers they go by (design, section 2).

Every member is its identifier (a `str`, as `--json` and the journal carry it) and knows its Chinese
`label`, as screens and letters show it.
"""

from enum import StrEnum
from typing import Self


class Word(StrEnum):
    """An identifier with the Chinese label that people read."""

    label: str

    def __new__(cls, identifier: str, label: str = "") -> Self:
        word = str.__new__(cls, identifier)
        word._value_ = identifier
        word.label = label
        return word


class State(Word):
    """A case is in a state while that work is under way."""

    HOUSEHOLD_CONFIRMATION = "household_confirmation", "确村确户"
    EQUIPMENT_SELECTION = "equipment_selection", "设备选型"
    CONSTRUCTION = "construction", "施工"
    ACCEPTANCE = "acceptance", "验收"
    STABLE_SEASON = "stable_season", "稳定运行一季"
    REMOVAL_PERMITTED = "removal_permitted", "允许拆除"
    CLOSED = "closed", "已退出"


class Trigger(Word):
    """What moves a case from one state to the next."""

    CONFIRM = "confirm", "确户完成"
    SELECT = "select", "选型完成"
    COMPLETE = "complete", "施工完成"
    REJECT = "reject", "验收不合格"
    ACCEPT = "accept", "验收合格"
    PERMIT = "permit", "允许拆除"
    OVERTURN = "overturn", "抽查推翻"
    REPLACE = "replace", "换机"
    CHANGE_PATH = "change_path", "换径"
    REVOKE = "revoke", "撤销许可"
    SEND_BACK = "send_back", "退回"
    CLOSE = "close", "退出"
    REINSTATE = "reinstate", "恢复"


class FactKind(Word):
    """What is recorded beside the line, in any state, without moving the case."""

    WORKS = "works", "施工情况"
    NOTICE = "notice", "公示"
    OLD_FACILITY = "old-facility", "原设施"
    FAULT = "fault", "故障"
    REPAIR = "repair", "修复"
    VISIT = "visit", "入户测温"
    SIGNATURE = "signature", "用户签字"
    VIOLATION = "violation", "违规"
    COMPLAINT = "complaint", "投诉"
    FINDING = "finding", "审计发现"
    PAUSE = "pause", "暂停"
    RESUME = "resume", "恢复施工"
    EXTENSION = "extension", "延期"
    RESOLVE = "resolve", "销号"
    CORRECT = "correct", "更正"


class Path(Word):
    """取暖路径: how the household is to be heated."""

    COAL_TO_ELECTRIC = "coal_to_electric", "煤改电"
    CENTRAL_HEATING = "central_heating", "集中供热"
    COAL_TO_GAS = "coal_to_gas", "煤改气"
    SOLAR = "solar", "太阳能"
    BIOMASS = "biomass", "生物质"
    CLEAN_COAL = "clean_coal", "洁净煤"


class Kind(Word):
    """户别."""

    RESIDENTIAL = "residential", "居民户"
    COLLECTIVE = "collective", "集体户"


class Area(Word):
    """区域."""

    COUNTY_TOWN = "county_town", "县城"
    RURAL = "rural", "农村"


class Quota(Word):
    """计划类别: only planned cases count against the annex."""

    PLANNED = "planned", "计划内"
    CARRIED_OVER = "carried_over", "结转"
    OVER_PLAN = "over_plan", "超计划"


class Role(Word):
    """What an officer may do (design, section 3)."""

    UNIT_OFFICER = "unit_officer", "责任单位经办人"
    UNIT_HEAD = "unit_head", "责任单位负责人"
    ACCEPTOR = "acceptor", "验收人员"
    COUNTY_OFFICE = "county_office", "县清洁取暖办"
    AUDITOR = "auditor", "审计人员"
    SYSTEM = "system", "系统"


class Facility(Word):
    """原取暖设施. `none` must be said, it is never assumed."""

    KANG = "kang", "火炕"
    STOVE = "stove", "暖炉"
    BOILER = "boiler", "土锅炉"
    OTHER = "other", "其他"
    NONE = "none", "无"


class FacilityStatus(Word):
    """What has become of an old facility."""

    IN_USE = "in_use", "在用"
    STANDBY = "standby", "备用"
    SEALED = "sealed", "封存"
    REMOVED = "removed", "已拆除"


class FacilitySeen(Word):
    """What the acceptor found where the old facility stood."""

    PRESENT = "present", "在"
    REMOVED = "removed", "经允许已拆除"
    GONE = "gone", "未经允许已不在"


class RemovedBy(Word):
    """Who sealed or took down an old facility."""

    HOUSEHOLD = "household", "用户自行"
    CONTRACTOR = "contractor", "施工单位"
    OFFICIAL = "official", "工作人员"
    UNKNOWN = "unknown", "不明"


class Signatory(Word):
    """Who consented or signed: a role, never a name (design, section 5)."""

    HOUSEHOLD = "household", "本人"
    FAMILY = "family", "家属"
    AGENT = "agent", "代办人"


class ItemResult(Word):
    """The answer to one check item of the acceptance."""

    PASS = "pass", "合格"
    FAIL = "fail", "不合格"


class GateKind(Word):
    """The network that must be there before a village's households are ready."""

    GRID = "grid", "电网改造"
    HEAT = "heat", "供热管网"
    GAS = "gas", "燃气管网"
    NONE = "none", "无"


class Supply(Word):
    """Whether a path heats with a device of its own or from a network."""

    DEVICE = "device", "设备"
    NETWORK = "network", "管网"


class CloseCause(Word):
    """Why a case left the campaign."""

    WITHDRAWN = "withdrawn", "用户退出"
    REFUSED = "refused", "用户拒绝"
    REPLACED = "replaced", "由他户替换"
    DEMOLISHED = "demolished", "房屋拆除"
    DUPLICATE = "duplicate", "重复登记"
    CARRIED_OVER = "carried_over", "结转下年"


class RevokeCause(Word):
    """Why a permission was taken back; only `not_stable` restarts the clock."""

    NOT_STABLE = "not_stable", "运行不稳定"
    PAPER_FAULT = "paper_fault", "材料有误"


class ViolationType(Word):
    """The acts the notice forbids by name (第四部分), and others."""

    KANG_SEALED = "kang_sealed", "封火炕"
    STOVE_REMOVED = "stove_removed", "拆暖炉"
    COAL_CONFISCATED = "coal_confiscated", "没收煤炭"
    OTHER = "other", "其他"


class Severity(Word):
    """A note freezes nothing; a serious finding freezes `permit`."""

    NOTE = "note", "一般"
    SERIOUS = "serious", "严重"


class PauseCause(Word):
    """Why works stand still."""

    WEATHER = "weather", "天气"
    SUPPLY = "supply", "供货"
    GRID = "grid", "电网"
    HOUSEHOLD = "household", "用户原因"
    OTHER = "other", "其他"


class Outcome(Word):
    """How a violation, complaint, finding or objection was answered."""

    RESOLVED = "resolved", "已解决"
    UNFOUNDED = "unfounded", "不属实"


class YesNo(Word):
    """A plain answer."""

    YES = "yes", "是"
    NO = "no", "否"


class Clock(Word):
    """What a deadline is of; several run at once."""

    PREPARATION = "preparation", "制定方案"
    WORKS = "works", "施工完成"
    ACCEPTANCE = "acceptance", "项目验收"
    PUT_RIGHT = "put_right", "整改"
    OBJECTION = "objection", "公示异议答复"
    COMPLAINT = "complaint", "投诉办理"
    RESTITUTION = "restitution", "违规恢复原状"
    HEAT = "heat", "恢复供热"


class Level(Word):
    """How grave a flag is."""

    REMIND = "remind", "提醒"
    YELLOW = "yellow", "黄色预警"
    ORANGE = "orange", "橙色预警"
    RED = "red", "红色预警"
    GRAVEST = "gravest", "紧急"


class Found(Word):
    """What an inspector answers to a question on the visit sheet of a sample."""

    YES = "yes", "是"
    NO = "no", "否"
    NONE = "none", "无此设施"


class VisitVerdict(Word):
    """What a visit to a sampled household comes to; who could not be visited is no pass."""

    PASS = "pass", "合格"
    FAIL = "fail", "不合格"
    UNSEEN = "unseen", "未查到"


class Oddity(Word):
    """What looks odd in the journal and is worth a visit; none of it is a proof."""

    DEVICE_IN_TWO_VILLAGES = "device_in_two_villages", "一机同日两村"
    SERIAL_IN_SEVERAL = "serial_in_several", "一个编号几户"
    ACCEPTED_BEFORE_ENERGISED = "accepted_before_energised", "验收早于通电"
    PHOTO_IN_SEVERAL = "photo_in_several", "一张照片几户"
    NO_HEAT_AFTER_ACCEPTANCE = "no_heat_after_acceptance", "验收后无供热"
    ACCEPTANCE_BURST = "acceptance_burst", "集中验收"
    ROUND_NUMBERS = "round_numbers", "整数集中"
    EDITED_AFTER_ACCEPTANCE = "edited_after_acceptance", "验收后改动"


class Measure(Word):
    """What the self-evaluation can compute; a plan weighs some of these."""

    TASK_COMPLETION = "task_completion", "任务完成率"
    WORKS_IN_TIME = "works_in_time", "按期完工率"
    ACCEPTED_IN_TIME = "accepted_in_time", "按期验收率"
    PUT_RIGHT_IN_TIME = "put_right_in_time", "按期整改率"
    STABLE = "stable", "全季稳定运行率"
    EVIDENCE_KNOWN = "evidence_known", "运行证据齐全率"
    VIOLATIONS = "violations", "百户违规件数"
    ANSWERED_IN_TIME = "answered_in_time", "投诉违规按期办结率"
    LAWFUL_REMOVALS = "lawful_removals", "依规拆除率"
    DOSSIERS_COMPLETE = "dossiers_complete", "一户一档完整率"


class Stability(Word):
    """What a season says of a household, by the rule of permission and nothing else."""

    STABLE = "stable", "全季稳定"
    UNSTABLE = "unstable", "不稳定"
    UNKNOWN = "unknown", "证据不全"
    RUNNING = "running", "尚未结束"
    NOT_SERVED = "not_served", "未经历全季"
    SEASON_UNKNOWN = "season_unknown", "采暖季未知"
    EXEMPT = "exempt", "路径豁免"
    NOT_ACCEPTED = "not_accepted", "尚未验收"


class Paper(Word):
    """What the ledgers and the 一户一档 of a household hold, each from its own step on."""

    NOTICE = "notice", "公示"
    CONSENT = "consent", "用户同意"
    SELECTION = "selection", "选型或接入点"
    WORKS = "works", "施工日期"
    SERIAL = "serial", "设备编号"
    ITEMS = "items", "验收项目"
    SIGNERS = "signers", "验收签字"
    DOCUMENTS = "documents", "验收材料"
    FIRST_HEAT = "first_heat", "首次供热日期"
    VISITS = "visits", "季内入户测温"
    SIGNATURE = "signature", "季末用户签字"
