"""The `--json` answers of `db`: backup, restoring, upgrading, moving, the examination."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow import answers
from workflow.health import Health

if TYPE_CHECKING:
    from collections.abc import Sequence

    from states.plan import Json
    from workflow.answers import Document
    from workflow.backup import Saved
    from workflow.health import Check as HealthCheck
    from workflow.moving import Moved as MovedHouse
    from workflow.upgrade import Upgraded
    from workflow.weigh import Restored


def backed_up(saved: Saved) -> Document:
    """`db backup`."""
    return {
        "file": str(saved.file),
        "bytes": saved.file.stat().st_size,
        "rows": saved.rows,
        "seq": saved.seq,
        "head": saved.head,
    }


def upgraded(done: Upgraded) -> Document:
    """`db upgrade`."""
    return {
        "before": done.before,
        "after": done.after,
        "upgraded": done.copy is not None,
        "backup": None if done.copy is None else str(done.copy),
        "clocks": done.clocks,
    }


def moved_house(found: MovedHouse) -> Document:
    """`db copy`."""
    rows: dict[str, Json] = {**found.rows}
    return {
        "events": found.events,
        "head": found.head,
        "rows": rows,
        "logins": [*found.logins],
    }


def restored(done: Restored) -> Document:
    """`db restore`."""
    return {
        "events": done.events,
        "cases": done.cases,
        "last_recorded_at": answers.instant(done.last),
        "lost": done.lost,
        "replaced": None if done.replaced is None else str(done.replaced),
        "witnessed": done.witnessed,
        "upgraded": done.upgraded,
    }


def examined(found: Sequence[HealthCheck]) -> Document:
    """`db doctor`."""
    return {
        "healthy": all(one.health is not Health.FAULT for one in found),
        "checks": [
            {
                "name": one.name,
                "health": one.health,
                "message": one.message,
                "remedy": one.remedy,
            }
            for one in found
        ],
    }
