"""The `--json` answers of the commands that make pages; apart, so that they load nothing else."""

from states.plan import Json
from workflow.dashboard import Drawn
from workflow.models import instant_text


def dashboard(file: str, size: int, found: Drawn) -> dict[str, Json]:
    """`report dashboard`."""
    shown, head = found.board, found.head
    return {
        "file": file,
        "bytes": size,
        "as_of": head.as_of.isoformat(),
        "known_at": instant_text(head.known_at) if head.known_at else None,
        "recorded_until": instant_text(head.recorded_until),
        "seq": head.seq,
        "drill": head.drill,
        "units": [unit.code for unit in shown.units],
        "task": shown.total.task,
        "done": shown.total.done,
        "overdue": shown.total.overdue,
        "at_risk": shown.total.at_risk,
        "gravest": len(shown.alarms),
        "open": len(shown.matters),
        "journal_broken": shown.proof.broken,
        "cautions": list(head.cautions),
    }
