"""django-fsm-2: an FSMField with its transitions, and a table of events beside it."""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import django
from django.conf import settings
from django.db import connection, connections, models, transaction
from django_fsm import FSMField
from django_fsm import transition as step
from peers import FIRST, ROUTE, TOLD, Act, Peer

from states.vocabulary import Trigger

_PART = 500
_LABEL = "peers"
settings.configure(
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": "",
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;",
            },
        }
    },
)
django.setup()


class DjangoCase(models.Model):
    """A household."""

    class Meta:
        app_label = _LABEL

    code = models.CharField(max_length=20, primary_key=True)
    state = FSMField(default=str(FIRST), protected=True)
    version = models.IntegerField(default=0)
    next_rung_on = models.DateField(null=True, db_index=True)

    @step(field=state, source=ROUTE[Trigger.CONFIRM][0], target=ROUTE[Trigger.CONFIRM][1])
    def confirm(self) -> None:
        """确户完成."""

    @step(field=state, source=ROUTE[Trigger.SELECT][0], target=ROUTE[Trigger.SELECT][1])
    def select(self) -> None:
        """选型完成."""

    @step(field=state, source=ROUTE[Trigger.COMPLETE][0], target=ROUTE[Trigger.COMPLETE][1])
    def complete(self) -> None:
        """施工完成."""

    @step(field=state, source=ROUTE[Trigger.ACCEPT][0], target=ROUTE[Trigger.ACCEPT][1])
    def accept(self) -> None:
        """验收合格."""

    @step(field=state, source=ROUTE[Trigger.PERMIT][0], target=ROUTE[Trigger.PERMIT][1])
    def permit(self) -> None:
        """允许拆除."""


class DjangoEvent(models.Model):
    """A step or a fact."""

    class Meta:
        app_label = _LABEL

    code = models.CharField(max_length=20, db_index=True)
    version = models.IntegerField()
    kind = models.CharField(max_length=20)
    source = models.CharField(max_length=30)
    target = models.CharField(max_length=30)
    day = models.DateField()
    actor = models.CharField(max_length=30)
    evidence = models.TextField()


class DjangoFile(models.Model):
    """An attached file."""

    class Meta:
        app_label = _LABEL

    sha256 = models.CharField(max_length=64, primary_key=True)
    content = models.BinaryField()


class DjangoFlag(models.Model):
    """A rung that was reached."""

    class Meta:
        app_label = _LABEL
        unique_together = (("code", "rung_on"),)

    code = models.CharField(max_length=20)
    rung_on = models.DateField()


class DjangoNotice(models.Model):
    """Who is to be told of it."""

    class Meta:
        app_label = _LABEL
        unique_together = (("code", "rung_on", "person"),)

    code = models.CharField(max_length=20)
    rung_on = models.DateField()
    person = models.CharField(max_length=30)


class Django(Peer):
    """Django's ORM with `bulk_create` and `bulk_update` where many are done at once."""

    name = "django-fsm-2"

    def open(self, file: Path) -> None:
        connections.databases["default"]["NAME"] = str(file)
        with connection.schema_editor() as editor:
            for model in (DjangoCase, DjangoEvent, DjangoFile, DjangoFlag, DjangoNotice):
                editor.create_model(model)

    def register(self, codes: Sequence[str], rungs: Mapping[str, date]) -> None:
        with transaction.atomic():
            DjangoCase.objects.bulk_create(
                [DjangoCase(code=code, next_rung_on=rungs.get(code)) for code in codes]
            )

    def act(self, act: Act) -> None:
        with transaction.atomic():
            case = DjangoCase.objects.get(pk=act.code)
            event = _take(case, act)
            case.save(update_fields=["state", "version"])
            event.save(force_insert=True)
            if act.files:
                DjangoFile.objects.bulk_create(_files(act))

    def act_all(self, acts: Sequence[Act]) -> None:
        with transaction.atomic():
            found: dict[str, DjangoCase] = {}
            for start in range(0, len(acts), _PART):
                codes = [act.code for act in acts[start : start + _PART]]
                found |= DjangoCase.objects.in_bulk(codes)
            events = [_take(found[act.code], act) for act in acts]
            DjangoEvent.objects.bulk_create(events)
            DjangoFile.objects.bulk_create([file for act in acts for file in _files(act)])
            DjangoCase.objects.bulk_update(found.values(), ["state", "version"], batch_size=_PART)

    def sweep(self, today: date, next_on: date) -> int:
        with transaction.atomic():
            due = DjangoCase.objects.filter(next_rung_on__lte=today)
            codes = list(due.values_list("code", flat=True))
            if not codes:
                return 0
            DjangoFlag.objects.bulk_create([DjangoFlag(code=c, rung_on=today) for c in codes])
            DjangoNotice.objects.bulk_create(
                [
                    DjangoNotice(code=code, rung_on=today, person=person)
                    for code in codes
                    for person in TOLD
                ]
            )
            due.update(next_rung_on=next_on)
        return len(codes)

    def replay(self) -> int:
        cases: dict[str, DjangoCase] = {}
        number = 0
        rows = DjangoEvent.objects.order_by("id").values_list("code", "kind", "evidence")
        for code, kind, evidence in rows.iterator(chunk_size=2000):
            json.loads(evidence)
            if code not in cases:
                cases[code] = DjangoCase(code=code)
            if kind in ROUTE:
                getattr(cases[code], kind)()
            number += 1
        for code, state in DjangoCase.objects.values_list("code", "state").iterator():
            if (cases[code].state if code in cases else FIRST) != state:
                raise SystemExit(f"{code} is in {state}")
        return number

    def close(self) -> None:
        connection.close()


def _files(act: Act) -> list[DjangoFile]:
    return [DjangoFile(sha256=sha256, content=content) for sha256, content in act.files]


def _take(case: DjangoCase, act: Act) -> DjangoEvent:
    source = case.state
    if act.kind in ROUTE:
        getattr(case, act.kind)()
    case.version += 1
    return DjangoEvent(
        code=act.code,
        version=case.version,
        kind=act.kind,
        source=source,
        target=case.state,
        day=act.day,
        actor=act.actor,
        evidence=act.evidence,
    )
