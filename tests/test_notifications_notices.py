import json
from collections.abc import Callable
from datetime import date
from itertools import pairwise

import letter_samples as samples
import pytest
from msgspec.structs import replace

from notifications import figures, letters, notices, render, word
from notifications.notices import Document, Heap, Notice, NoticeKind
from states.errors import CaseError, UsageFault
from states.vocabulary import Word

FORMS: list[Callable[[Document], object]] = [
    render.letter_text,
    render.letter_html,
    word.letter_docx,
    letters.subject,
]
KINDS = [notices.kind_of(notice) for notice in samples.every_kind()]


@pytest.mark.parametrize("notice", samples.every_kind(), ids=KINDS)
def test_a_document_survives_json_and_is_read_back_the_same(notice: Notice) -> None:
    kept = json.loads(json.dumps(notices.document(notice)))

    assert notices.read(kept) == notice
    assert kept["kind"] == notices.kind_of(notice)


def plain_values(value: object) -> set[type]:
    if isinstance(value, dict):
        return {dict}.union(*map(plain_values, value.values()))
    if isinstance(value, list):
        return {list}.union(*map(plain_values, value))
    return {type(value)}


@pytest.mark.parametrize("notice", samples.every_kind(), ids=KINDS)
def test_a_document_holds_plain_values_only(notice: Notice) -> None:
    found = plain_values(notices.document(notice))

    assert found <= {dict, list, str, int, bool, type(None)}


def test_every_kind_has_a_sample() -> None:
    assert set(KINDS) == set(NoticeKind)


def test_a_probability_that_is_not_text_is_no_document() -> None:
    row = replace(samples.bulletin().townships[0], chance=0.5)

    with pytest.raises(TypeError):
        notices.document(replace(samples.bulletin(), townships=(row,)))


LATER = {"target_on", "course", "scope"}
LATER_OF_A_LINE = {
    *("installed", "powered", "change", "note", "code", "closed", "longest", "by_state"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("notice", samples.every_kind(), ids=KINDS)
def test_a_missing_key_raises_in_every_form(
    notice: Notice, form: Callable[[Document], object]
) -> None:
    document = notices.document(notice)

    for name in document.keys() - LATER:
        broken = {key: value for key, value in document.items() if key != name}
        with pytest.raises(KeyError, match=name):
            form(broken)


def test_a_missing_key_of_a_row_and_an_unknown_key_raise() -> None:
    document = notices.document(samples.alarm())
    households = document["households"]
    assert isinstance(households, list)
    assert isinstance(households[0], dict)
    lacking = {key: value for key, value in households[0].items() if key != "why"}

    with pytest.raises(KeyError, match="why"):
        notices.read({**document, "households": [lacking]})
    with pytest.raises(KeyError, match="phone"):
        notices.read({**document, "phone": "0350-6522345"})


@pytest.mark.parametrize(
    ("name", "value"), [("as_of", "昨天"), ("as_of", 20231008), ("drill", "yes"), ("issuer", None)]
)
def test_a_value_of_another_type_raises(name: str, value: str | int | None) -> None:
    document = notices.document(samples.alarm())

    with pytest.raises((TypeError, ValueError)):
        notices.read({**document, name: value})


def test_no_document_has_a_place_for_a_person_of_the_household() -> None:
    personal = {"name", "id_number", "phone", "address", "meter", "household", "holder", "remarks"}
    seen: set[str] = set()

    def names(value: object) -> None:
        if isinstance(value, dict):
            seen.update(value)
            for one in value.values():
                names(one)
        if isinstance(value, list):
            for one in value:
                names(one)

    for notice in samples.every_kind():
        names(notices.document(notice))

    # The digest is for an officer, by name; the 通报 may carry remarks of the county.
    assert seen & personal == {"name", "remarks"}


@pytest.mark.parametrize(
    "number",
    ["140922198503151234", "14092219850315123X", "138 0013 8000", "１３８００１３８０００"],
)
def test_a_personal_number_in_any_text_is_refused(number: str) -> None:
    alarm = samples.alarm()
    told = replace(alarm, households=(replace(alarm.households[0], why=f"户主 {number} 无取暖"),))

    with pytest.raises(CaseError) as refusal:
        notices.document(told)

    assert refusal.value.place == "households[0].why"
    assert refusal.value.remedy
    assert number not in str(refusal.value)


@pytest.mark.parametrize("form", FORMS)
def test_a_personal_number_put_into_a_kept_document_is_refused_too(
    form: Callable[[Document], object],
) -> None:
    document = {**notices.document(samples.supervision()), "feedback": "电话 13800138000"}

    with pytest.raises(CaseError, match="身份证号或手机号"):
        form(document)


def test_what_nobody_can_see_is_refused() -> None:
    with pytest.raises(UsageFault) as refusal:
        notices.document(replace(samples.supervision(), unit_name="豆村\u202e镇"))

    assert refusal.value.place == "unit_name"


def test_an_office_telephone_may_stand_in_a_letter() -> None:
    document = notices.document(samples.supervision())

    assert "0350-6522345" in str(document["feedback"])


def test_official_dates_are_in_arabic_numerals_without_leading_noughts() -> None:
    assert notices.day(date(2023, 9, 5)) == "2023年9月5日"


@pytest.mark.parametrize(
    ("probability", "told"),
    [
        (0, "0%"),
        (0.004, "<1%"),
        (0.0099, "<1%"),
        (0.01, "1%"),
        (0.873, "87%"),
        (0.99, "99%"),
        (0.996, ">99%"),
        (1, "100%"),
    ],
)
def test_rounding_never_makes_a_probability_certain(probability: float, told: str) -> None:
    assert figures.chance(probability) == told


def test_a_heap_is_cut_to_what_a_digest_shows_and_the_rest_counted() -> None:
    rows = samples.digest(notices.DIGEST_ROWS).sections[1].rows

    whole = notices.section(Heap.RED, rows)
    cut = notices.section(Heap.RED, (*rows, rows[0]))

    assert (whole.rows, whole.more) == (rows, 0)
    assert (cut.rows, cut.more) == (rows, 1)


def test_a_number_is_of_the_series_of_its_kind() -> None:
    assert notices.number("五清办", NoticeKind.SUPERVISE, 2023, 3) == "五清办督〔2023〕3号"
    assert notices.number("五清办", NoticeKind.URGE, 2023, 12) == "五清办催〔2023〕12号"


def test_letters_of_one_serial_in_two_series_have_two_reply_codes() -> None:
    supervise = notices.reply_code("五清办督〔2023〕3号")
    urge = notices.reply_code("五清办催〔2023〕3号")

    assert supervise.startswith("HZ-D-2023-0003-")
    assert urge.startswith("HZ-C-2023-0003-")
    assert notices.reply_codes(f"{urge} {supervise}") == [urge, supervise]


@pytest.mark.parametrize(
    "typed",
    [
        "回执识别码：{}（请保留）",
        "{} ",
        "hz d 2023 0003 {check}",
        "ＨＺ－Ｄ－２０２３－０００３－{check}",
        "HZ—D—2023—0003—{check}",
        "HZD20230003{check}",
    ],
)
def test_a_reply_code_is_found_as_people_type_it(typed: str) -> None:
    code = notices.reply_code("五清办督〔2023〕3号")

    assert notices.reply_codes(typed.format(code, check=code[-1])) == [code]


def test_a_reply_code_with_one_wrong_figure_or_two_exchanged_is_no_code() -> None:
    code = notices.reply_code("五清办督〔2023〕47号")
    figures = [index for index, character in enumerate(code[:-2]) if character.isdigit()]
    wrong = [
        code[:index] + digit + code[index + 1 :]
        for index in figures
        for digit in "0123456789"
        if digit != code[index]
    ]
    for first, second in pairwise(figures):
        exchanged = list(code)
        exchanged[first], exchanged[second] = exchanged[second], exchanged[first]
        wrong += [text for text in ("".join(exchanged),) if text != code]
    wrong.append(code.replace("D", "C"))

    assert [text for text in wrong if notices.reply_codes(text)] == []


@pytest.mark.parametrize("number", ["五清办通〔2023〕3号", "督办3号", "五清办督〔2023〕12345号"])
def test_no_reply_slip_goes_with_another_number(number: str) -> None:
    with pytest.raises(ValueError, match="reply slip"):
        notices.reply_code(number)


@pytest.mark.parametrize("words", [notices.Heap, NoticeKind])
def test_every_word_has_a_chinese_label(words: type[Word]) -> None:
    assert all(not word.label.isascii() for word in words)


@pytest.mark.parametrize("form", FORMS)
def test_a_bulletin_queued_before_these_figures_were_counted_is_still_read(
    form: Callable[[Document], object],
) -> None:
    """As an earlier version put it into the queue: the keys are not there at all."""
    notice = samples.bulletin(3)
    document = notices.document(notice)
    lines = [*document["townships"], *document["departments"]]  # type: ignore[misc]
    for line in (document, *lines):
        assert isinstance(line, dict)
        for key in LATER | LATER_OF_A_LINE:
            line.pop(key, None)

    assert notices.read(document) == notice
    assert form(document)
    assert set(lines[0]) == {
        *("unit_name", "task", "confirmed", "selected", "started", "completed", "accepted"),
        *("period_done", "overdue", "at_risk", "chance", "rank"),
    }
    with pytest.raises(KeyError, match="accepted"):
        notices.read(
            document | {"townships": [{k: v for k, v in lines[0].items() if k != "accepted"}]}
        )
