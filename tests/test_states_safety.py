from collections.abc import Callable
from dataclasses import replace

import pytest

from states import guards_permit, lifecycle, safety
from states.lifecycle import Step
from states.vocabulary import Role, State, Trigger

S, T = State, Trigger


def table(trigger: Trigger, change: Callable[[Step], Step]) -> list[Step]:
    """The real table with one row changed."""
    return [change(step) if step.trigger is trigger else step for step in lifecycle.STEPS]


def with_edge(trigger: Trigger, source: State, target: State) -> list[Step]:
    """The real table with one more way."""
    return table(trigger, lambda step: replace(step, moves={**step.moves, source: target}))


def way(steps: list[Step]) -> list[Trigger]:
    """The shortest way to an unsafe permission."""
    found = safety.walk(steps)
    assert not found.holds
    return [trigger for trigger, _, _ in found.counterexample]


def test_the_property_holds_on_the_real_table() -> None:
    found = safety.walk()

    assert found.holds
    assert found.counterexample == ()
    assert found.places >= len(State)


def test_every_state_is_reached() -> None:
    for state in State:
        broken = with_edge(T.CONFIRM, state, S.REMOVAL_PERMITTED)

        assert not safety.walk(broken).holds


@pytest.mark.parametrize(
    ("trigger", "source", "shortest"),
    [
        (T.CONFIRM, S.HOUSEHOLD_CONFIRMATION, [T.CONFIRM]),
        (T.COMPLETE, S.CONSTRUCTION, [T.CONFIRM, T.SELECT, T.COMPLETE]),
        (T.ACCEPT, S.ACCEPTANCE, [T.CONFIRM, T.SELECT, T.COMPLETE, T.ACCEPT]),
        (T.PERMIT, S.ACCEPTANCE, [T.CONFIRM, T.SELECT, T.COMPLETE, T.PERMIT]),
        (T.REINSTATE, S.CLOSED, [T.CLOSE, T.REINSTATE]),
        (T.REPLACE, S.STABLE_SEASON, [T.CONFIRM, T.SELECT, T.COMPLETE, T.ACCEPT, T.REPLACE]),
    ],
    ids=str,
)
def test_another_way_to_the_permission_is_found_by_the_shortest_way(
    trigger: Trigger, source: State, shortest: list[Trigger]
) -> None:
    assert way(with_edge(trigger, source, S.REMOVAL_PERMITTED)) == shortest


def test_a_way_around_acceptance_is_found_when_it_is_permitted() -> None:
    assert way(with_edge(T.COMPLETE, S.CONSTRUCTION, S.STABLE_SEASON)) == [
        T.CONFIRM,
        T.SELECT,
        T.COMPLETE,
        T.PERMIT,
    ]


@pytest.mark.parametrize("trigger", [T.OVERTURN, T.REPLACE, T.REINSTATE, T.CHANGE_PATH], ids=str)
def test_an_acceptance_from_before_a_restart_does_not_count(trigger: Trigger) -> None:
    source = S.CLOSED if trigger is T.REINSTATE else S.STABLE_SEASON

    found = way(with_edge(trigger, source, S.STABLE_SEASON))

    assert found[-2:] == [trigger, T.PERMIT] or found[-3:] == [trigger, T.ACCEPT, T.PERMIT]
    assert T.PERMIT in found


@pytest.mark.parametrize("guard", safety.SEASON_GUARDS, ids=lambda guard: str(guard.__name__))
def test_each_dropped_condition_is_named(guard: Callable[..., object]) -> None:
    broken = table(
        T.PERMIT, lambda step: replace(step, guards=tuple(g for g in step.guards if g != guard))
    )

    found = safety.walk(broken)

    assert not found.holds
    assert guard.__name__ in found.counterexample[-1][2]
    assert [trigger for trigger, _, _ in found.counterexample] == [
        T.CONFIRM,
        T.SELECT,
        T.COMPLETE,
        T.ACCEPT,
        T.PERMIT,
    ]


def test_the_conditions_are_all_of_section_four() -> None:
    assert set(safety.SEASON_GUARDS) == set(lifecycle.BY_TRIGGER[T.PERMIT].guards)
    assert len(safety.SEASON_GUARDS) == 12


@pytest.mark.parametrize(
    "roles",
    [(Role.COUNTY_OFFICE, Role.UNIT_HEAD), (Role.ACCEPTOR,), tuple(Role), ()],
    ids=str,
)
def test_other_roles_at_the_door_are_found(roles: tuple[Role, ...]) -> None:
    assert way(table(T.PERMIT, lambda step: replace(step, roles=roles)))[-1] is T.PERMIT


def test_a_second_trigger_is_found_even_under_all_conditions() -> None:
    permit = lifecycle.BY_TRIGGER[T.PERMIT]
    broken = table(
        T.CLOSE,
        lambda step: replace(step, moves=permit.moves, roles=permit.roles, guards=permit.guards),
    )

    assert way(broken)[-1] is T.CLOSE


def test_a_table_that_never_permits_is_safe() -> None:
    assert safety.walk([step for step in lifecycle.STEPS if step.trigger is not T.PERMIT]).holds


def test_a_guard_that_looks_alike_is_not_the_guard() -> None:
    def season_served(_: object) -> None:
        return None

    broken = table(
        T.PERMIT,
        lambda step: replace(
            step,
            guards=tuple(
                season_served if guard is guards_permit.season_served else guard
                for guard in step.guards
            ),
        ),
    )

    assert not safety.walk(broken).holds
