"""The performance self-evaluation (通知 五（四）), counted from the journal on any day.

What is in time, done, stable or lawful is asked of the rules that say so elsewhere; here it is
added up by unit. `known_at` holds for all but the proof, which is of now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from statistics import median

from sqlalchemy import Connection

from notifications import evaluation as report
from notifications.evaluation import Evaluation, HouseholdLine, Parameter, UnitFigures
from notifications.pages import Head
from states import deadlines, machine, progress_of
from states.deadlines import STEPS_TO_GO
from states.errors import UsageFault
from states.evaluation import Tally, Winter, dated_season, lacking, score, together, winter
from states.facts import GONE, CaseFacts, Event, fold
from states.plan import LEAD_TRIGGERS, Plan
from states.vocabulary import (
    CloseCause,
    Facility,
    FactKind,
    Outcome,
    Quota,
    Stability,
    State,
    Trigger,
)
from workflow import cases, dashboard, journal, overdue, page_head, register
from workflow.cases import Clocks
from workflow.errors import NotPermitted
