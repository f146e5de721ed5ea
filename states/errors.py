"""What people may do wrong; everything else is our bug and keeps its traceback.

`status` is the exit status of the command line, `code` the identifier in `--json` (design,
section 8).
"""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from states.vocabulary import Role


class Reason(NamedTuple):
    """Why a step is refused: the guard and its clause, what is missing, who can put it right.

    `earliest` is the first day this guard could pass; None with `earliest_reason` when it never can
    or nobody knows yet. `missing` holds evidence keys and fact names, never prose.
    """

    guard: str
    clause: str
    message: str
    missing: tuple[str, ...] = ()
    who: Role | None = None
    earliest: date | None = None
    earliest_reason: str | None = None


class CaseError(Exception):
    """Something asked of the program that it does not permit; never a bug of ours."""

    status = 1
    code = "refused"

    def __init__(
        self,
        message: str,
        *,
        place: str | None = None,
        remedy: str | None = None,
        reasons: Sequence[Reason] = (),
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.remedy = remedy
        self.reasons = tuple(reasons)
        if code is not None:
            self.code = code


class StepRefused(CaseError):
    """The rules say no; carries every reason, so that one visit can put them all right."""

    code = "refused"


class UsageFault(CaseError):
    """An unknown key, a value outside its enumeration, or an option that does not apply."""

    status = 2
    code = "usage"


class PlanFault(CaseError):
    """The plan file is not a plan; `place` is the key in the file."""

    status = 3
    code = "plan"


class JournalBroken(CaseError):
    """The journal does not verify, or says what nobody can read; writing there has stopped."""

    status = 6
    code = "journal_broken"


def unreadable(stream: str, seq: int) -> JournalBroken:
    """The error for an event whose bytes may hold, but that says nothing the rules can read."""
    remedy = "运行 xianli audit verify 查看全部问题"
    if stream.startswith("case:"):
        remedy += (
            "；由县清洁取暖办和审计人员一人提出、一人确认，隔离该户："
            f"xianli audit quarantine {stream.removeprefix('case:')} --reason 理由"
        )
    else:
        remedy += "，报县清洁取暖办和审计人员；用最近的备份恢复"
    return JournalBroken(
        f"日志 {stream} 第 {seq} 条的内容读不出来（缺少、多出或写错了值），已停止写入；其他户照常",
        place=f"{stream} seq {seq}",
        remedy=remedy,
    )


# What reading a value of the wrong shape, or an impossible one, ends in.
MISSHAPEN = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError),
    *(RecursionError, TypeError, ValueError),
)
