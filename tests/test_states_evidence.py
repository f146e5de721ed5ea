from datetime import date

import pytest

from states import evidence
from states.errors import UsageFault
from states.evidence import Complete, Confirm, Correct, FacilityClaim, Notice, Sighting, Visit
from states.vocabulary import (
    Facility,
    FacilitySeen,
    FacilityStatus,
    FactKind,
    Path,
    PauseCause,
    Signatory,
    Trigger,
    YesNo,
)

# Design, section 8, with those that section 9 and the deadlines add. `*` marks a repeated key.
DESIGN: dict[Trigger | FactKind, str] = {
    Trigger.CONFIRM: "visit_on notice_from notice_to consent_on consent_by old_facility* "
    "unfit_document",
    Trigger.SELECT: "model connection_point selection_on selection_by",
    Trigger.COMPLETE: "started_on installed_on ready_on contractor serial training_on "
    "grid_document",
    Trigger.REJECT: "findings put_right_by",
    Trigger.ACCEPT: "item* signer* facility* document*",
    Trigger.PERMIT: "",
    Trigger.OVERTURN: "findings put_right_by",
    Trigger.REPLACE: "findings put_right_by",
    Trigger.CHANGE_PATH: "path keep_device unfit_document quota put_right_by",
    Trigger.REVOKE: "cause findings",
    Trigger.SEND_BACK: "",
    Trigger.CLOSE: "cause requested_by document replaced_by",
    Trigger.REINSTATE: "quota",
    FactKind.WORKS: "started_on installed_on ready_on first_heat_on serial",
    FactKind.NOTICE: "from to objection",
    FactKind.OLD_FACILITY: "facility status by",
    FactKind.FAULT: "what",
    FactKind.REPAIR: "fault",
    FactKind.VISIT: "temperature",
    FactKind.SIGNATURE: "season by",
    FactKind.VIOLATION: "type by what",
    FactKind.COMPLAINT: "what",
    FactKind.FINDING: "what severity",
    FactKind.PAUSE: "cause",
    FactKind.RESUME: "",
    FactKind.EXTENSION: "due_on requested_by",
    FactKind.RESOLVE: "id outcome",
    FactKind.CORRECT: "id",
}
EVERY_KIND: tuple[Trigger | FactKind, ...] = (*Trigger, *FactKind)


def refused(kind: Trigger | FactKind, *pairs: tuple[str, str]) -> UsageFault:
    """The fault of evidence that is not evidence."""
    with pytest.raises(UsageFault) as fault:
        evidence.parse(kind, pairs)
    return fault.value


@pytest.mark.parametrize("kind", EVERY_KIND, ids=str)
def test_the_keys_are_those_of_the_design_and_late_document(kind: Trigger | FactKind) -> None:
    written = {f"{key.name}{'*' * key.repeated}" for key in evidence.keys(kind).values()}

    assert written == {"late_document", *DESIGN[kind].split()}


@pytest.mark.parametrize(
    ("kind", "key", "choices"),
    [
        (Trigger.CONFIRM, "consent_by", "household family agent"),
        (Trigger.CHANGE_PATH, "keep_device", "yes no"),
        (Trigger.REVOKE, "cause", "not_stable paper_fault"),
        (
            Trigger.CLOSE,
            "cause",
            "withdrawn refused replaced demolished duplicate carried_over",
        ),
        (FactKind.OLD_FACILITY, "status", "in_use standby sealed removed"),
        (FactKind.OLD_FACILITY, "by", "household contractor official unknown"),
        (FactKind.VIOLATION, "type", "kang_sealed stove_removed coal_confiscated other"),
        (FactKind.FINDING, "severity", "note serious"),
        (FactKind.PAUSE, "cause", "weather supply grid household other"),
        (FactKind.RESOLVE, "outcome", "resolved unfounded"),
    ],
)
def test_the_enumerations_are_those_of_the_design(
    kind: Trigger | FactKind, key: str, choices: str
) -> None:
    assert evidence.keys(kind)[key].choices == tuple(choices.split())


def test_nothing_typed_is_no_evidence_and_no_fault() -> None:
    assert evidence.parse(Trigger.COMPLETE, ()) == Complete()


def test_dates_words_and_lists_are_read_as_what_they_are() -> None:
    given = evidence.parse(
        Trigger.CONFIRM,
        [
            ("visit_on", "2024-02-29"),
            ("consent_by", "family"),
            ("old_facility", "kang:in_use"),
            ("old_facility", "stove:sealed"),
        ],
    )

    assert given == Confirm(
        visit_on=date(2024, 2, 29),
        consent_by=Signatory.FAMILY,
        old_facility=(
            FacilityClaim(Facility.KANG, FacilityStatus.IN_USE),
            FacilityClaim(Facility.STOVE, FacilityStatus.SEALED),
        ),
    )


def test_words_may_be_typed_by_their_chinese_labels() -> None:
    by_label = evidence.parse(Trigger.CHANGE_PATH, [("path", "集中供热"), ("keep_device", "否")])
    by_name = evidence.parse(
        Trigger.CHANGE_PATH, [("path", "central_heating"), ("keep_device", "no")]
    )

    assert by_label == by_name
    assert evidence.to_json(by_label) == {"path": "central_heating", "keep_device": "no"}


def test_old_facilities_may_be_typed_by_their_chinese_labels() -> None:
    assert str(FacilityClaim.parse("火炕:备用")) == "kang:standby"


def test_the_python_word_from_is_a_key_all_the_same() -> None:
    given = evidence.parse(FactKind.NOTICE, [("from", "2024-02-01"), ("to", "2024-02-07")])

    assert given == Notice(from_=date(2024, 2, 1), to=date(2024, 2, 7))
    assert evidence.to_json(given) == {"from": "2024-02-01", "to": "2024-02-07"}


def test_an_unknown_key_is_refused_with_those_that_there_are() -> None:
    fault = refused(Trigger.SELECT, ("modle", "KFR-35"))

    assert (fault.status, fault.place) == (2, "-e modle")
    assert "modle" in fault.message
    assert fault.remedy is not None
    assert "model" in fault.remedy


def test_a_key_of_another_step_is_an_unknown_key() -> None:
    assert refused(Trigger.SELECT, ("ready_on", "2024-06-01")).place == "-e ready_on"


def test_an_attribute_name_is_not_a_key() -> None:
    assert refused(FactKind.NOTICE, ("from_", "2024-06-01")).place == "-e from_"


def test_a_value_outside_its_enumeration_is_refused_with_the_choices() -> None:
    fault = refused(FactKind.PAUSE, ("cause", "rain"))

    assert (fault.status, fault.place) == (2, "-e cause")
    assert all(cause in fault.message for cause in PauseCause)
    assert fault.remedy is not None
    assert "weather" in fault.remedy


def test_a_key_given_twice_is_refused() -> None:
    fault = refused(FactKind.VISIT, ("temperature", "20"), ("temperature", "21"))

    assert (fault.status, fault.place) == (2, "-e temperature")


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-30",
        "2023-02-29",
        "2024-6-1",
        "20240601",
        "2024/06/01",
        "2024-W23-6",
        "2024-06-01T00:00",
        "６月１日",
        "２０２４-06-01",
        "昨天",
    ],
)
def test_what_is_no_date_is_refused(text: str) -> None:
    fault = refused(Trigger.COMPLETE, ("ready_on", text))

    assert (fault.status, fault.place) == (2, "-e ready_on")
    assert "2023-09-01" in fault.message


@pytest.mark.parametrize(
    "text", ["nan", "inf", "-inf", "1e1", "1_8", "18度", "60.1", "-50.1", "--1"]
)
def test_what_is_no_indoor_temperature_is_refused(text: str) -> None:
    assert refused(FactKind.VISIT, ("temperature", text)).status == 2


@pytest.mark.parametrize(
    ("text", "value"), [("60", 60.0), ("-50", -50.0), ("17.96", 17.96), ("+18", 18.0)]
)
def test_a_temperature_is_kept_as_it_was_read(text: str, value: float) -> None:
    assert evidence.parse(FactKind.VISIT, [("temperature", text)]) == Visit(temperature=value)


@pytest.mark.parametrize("text", ["", "0x1", "-1", "１２", "1.0", "1" * 16])
def test_what_is_no_event_id_is_refused(text: str) -> None:
    assert refused(FactKind.REPAIR, ("fault", text)).place == "-e fault"


def test_an_event_id_of_fifteen_digits_is_one() -> None:
    given = evidence.parse(FactKind.REPAIR, [("fault", "1" * 15)])

    assert evidence.to_json(given) == {"fault": int("1" * 15)}


@pytest.mark.parametrize(
    ("kind", "key", "form"),
    [
        (FactKind.REPAIR, "fault", "事件编号"),
        (FactKind.VISIT, "temperature", "数字"),
        (FactKind.FAULT, "what", "文字"),
        (Trigger.COMPLETE, "ready_on", "YYYY-MM-DD"),
        (Trigger.CHANGE_PATH, "keep_device", "yes|no"),
        (Trigger.ACCEPT, "document", "材料名:附件文件名"),
    ],
)
def test_each_key_says_how_its_value_is_written(
    kind: Trigger | FactKind, key: str, form: str
) -> None:
    assert evidence.keys(kind)[key].form == form


@pytest.mark.parametrize(
    "text",
    ["不\x1b[31m热", "不\n热", "不\x00热", "不\u202e热", "不\u200b热", "不\u2028热", "不\udcff热"],
    ids=["escape", "line", "null", "direction", "no width", "line separator", "other encoding"],
)
def test_what_nobody_sees_is_not_taken_as_text(text: str) -> None:
    fault = refused(FactKind.FAULT, ("what", text))

    assert (fault.status, fault.place) == (2, "-e what")


@pytest.mark.parametrize("text", ["", "   "])
def test_an_empty_value_is_refused(text: str) -> None:
    assert refused(FactKind.FAULT, ("what", text)).status == 2


def test_blanks_around_a_value_are_dropped() -> None:
    assert evidence.to_json(evidence.parse(FactKind.FAULT, [("what", " 不热 ")])) == {
        "what": "不热"
    }


@pytest.mark.parametrize(
    "text", ["kang", "kang:", "kang:gone", "chimney:in_use", "none:in_use", "", "kang:in_use:x"]
)
def test_an_old_facility_is_listed_with_its_status_or_none(text: str) -> None:
    assert refused(Trigger.CONFIRM, ("old_facility", text)).place == "-e old_facility"


def test_none_is_listed_alone() -> None:
    assert FacilityClaim.parse("none") == FacilityClaim(Facility.NONE)


@pytest.mark.parametrize(
    "text",
    ["kang", "kang:present", "kang:present:", "kang:removed:photo.jpg", "kang:gone:", "none:x"],
)
def test_an_old_facility_is_seen_with_its_photo_or_its_event(text: str) -> None:
    assert refused(Trigger.ACCEPT, ("facility", text)).place == "-e facility"


@pytest.mark.parametrize(
    ("text", "sighting"),
    [
        ("kang:present:a:b.jpg", Sighting(Facility.KANG, FacilitySeen.PRESENT, photo="a:b.jpg")),
        ("stove:removed:12", Sighting(Facility.STOVE, FacilitySeen.REMOVED, event=12)),
        ("boiler:gone:7", Sighting(Facility.BOILER, FacilitySeen.GONE, event=7)),
        ("none", Sighting(Facility.NONE)),
    ],
)
def test_a_sighting_reads_back_as_it_was_written(text: str, sighting: Sighting) -> None:
    assert Sighting.parse(text) == sighting
    assert str(sighting) == text


@pytest.mark.parametrize("text", ["通电", ":pass", "通电:ok"])
def test_a_check_item_is_a_name_and_an_answer(text: str) -> None:
    assert refused(Trigger.ACCEPT, ("item", text)).place == "-e item"


@pytest.mark.parametrize("text", ["验收单", "验收单:", ":a.pdf"])
def test_a_document_is_a_name_and_a_file(text: str) -> None:
    assert refused(Trigger.ACCEPT, ("document", text)).place == "-e document"


def test_the_journal_keeps_the_given_keys_and_only_those() -> None:
    given = evidence.parse(
        Trigger.ACCEPT,
        [
            ("item", "通电:pass"),
            ("item", "接地:不合格"),
            ("signer", "用户"),
            ("document", "验收单:a.pdf"),
            ("late_document", "b.pdf"),
        ],
    )

    assert evidence.to_json(given) == {
        "late_document": "b.pdf",
        "item": ["通电:pass", "接地:fail"],
        "signer": ["用户"],
        "document": ["验收单:a.pdf"],
    }


def test_a_correction_takes_the_keys_of_what_can_be_corrected() -> None:
    given = evidence.parse(FactKind.CORRECT, [("id", "7"), ("temperature", "19.5")])

    assert given == Correct(id=7, values=(("temperature", "19.5"),))
    assert evidence.to_json(given) == {"id": 7}


@pytest.mark.parametrize("key", ["contractor", "severity", "outcome", "due_on", "values"])
def test_a_correction_does_not_take_other_keys(key: str) -> None:
    assert refused(FactKind.CORRECT, ("id", "7"), (key, "x")).place == f"-e {key}"


def test_the_free_texts_are_those_in_which_a_number_could_hide() -> None:
    given = evidence.parse(
        Trigger.COMPLETE,
        [("contractor", "某公司"), ("serial", "140922196412145"), ("ready_on", "2024-06-01")],
    )

    assert list(evidence.texts(given)) == [("contractor", "某公司")]
    assert evidence.keys(Trigger.COMPLETE)["serial"].identifier
    assert not evidence.keys(Trigger.COMPLETE)["contractor"].identifier


def test_every_word_knows_its_label() -> None:
    assert Path.CLEAN_COAL.label == "洁净煤"
    assert YesNo.YES.label == "是"
    assert str(Trigger.CONFIRM) == "confirm"
