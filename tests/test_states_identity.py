from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from states import identity
from states.identity import PersonalData

FIRST_17 = st.builds(
    lambda county, born, order: f"{county:06}{born:%Y%m%d}{order:03}",
    st.integers(110000, 659999),
    st.dates(date(1920, 1, 1), date(2020, 12, 31)),
    st.integers(1, 999),
)


@pytest.mark.parametrize(
    ("first_17", "last"),
    # The example of the standard's annex, and one for each end of the mapping.
    [("11010519491231002", "X"), ("44052418800101001", "4"), ("14092219690608453", "4")],
)
def test_the_check_digit_is_that_of_gb_11643(first_17: str, last: str) -> None:
    assert identity.check_digit(first_17) == last


@given(FIRST_17, st.integers(0, 16), st.integers(1, 9))
def test_one_wrong_digit_is_always_noticed(first_17: str, place: int, shift: int) -> None:
    number = first_17 + identity.check_digit(first_17)
    other = str((int(number[place]) + shift) % 10)

    assert identity.checks_out(number)
    assert not identity.checks_out(number[:place] + other + number[place + 1 :])


@pytest.mark.parametrize(
    ("number", "well_formed"),
    [
        ("140922196412145004", True),
        ("14092219640229500X", True),
        ("140922196302295004", False),  # no leap year
        ("140922196413145004", False),
        ("140922189912315004", False),
        ("040922196412145004", False),
        ("14092219641214500x", False),
        ("14092219641214500", False),
        ("140922640229500", True),
        ("140922630229500", False),
        ("１４０９２２１９６４１２１４５００４", False),
        ("", False),
    ],
)
def test_an_id_has_its_length_its_characters_and_a_day_of_birth(
    number: str, well_formed: bool
) -> None:
    assert identity.is_well_formed(number) is well_formed


def test_a_15_digit_number_becomes_the_18_characters_of_the_same_person() -> None:
    assert identity.to_18("140922550221634") == "140922195502216348"
    assert identity.birth_date("140922550221634") == date(1955, 2, 21)
    assert identity.birth_date("140922195502216348") == date(1955, 2, 21)


@given(FIRST_17.filter(lambda first_17: first_17[6:8] == "19"))
def test_a_converted_number_checks_out(first_17: str) -> None:
    assert identity.checks_out(identity.to_18(first_17[:6] + first_17[8:]))


@pytest.mark.parametrize(
    ("mask", "plain", "masked"),
    [
        (identity.mask_id, "140922196412141234", "1409**********1234"),
        (identity.mask_id, "140922641214123", "1409*******4123"),
        (identity.mask_id, "1409221234", "**********"),
        (identity.mask_id, "", ""),
        (identity.mask_phone, "13800135678", "138****5678"),
        (identity.mask_phone, "03506543210", "035****3210"),
        (identity.mask_phone, "6543210", "*******"),
        (identity.mask_meter, "1409011588", "******1588"),
        (identity.mask_meter, "158", "***"),
        (identity.mask_name, "张三", "张*"),
        (identity.mask_name, "张", "张*"),
        (identity.mask_name, "欧阳平", "欧阳*"),
        (identity.mask_name, "欧阳", "欧*"),
        (identity.mask_name, "𠮷桂英", "𠮷*"),
        (identity.mask_name, "", ""),
        (identity.mask_address, "豆村镇东村25号", "豆村镇东村***"),
        (identity.mask_address, "豆村镇东村２５号", "豆村镇东村***"),
        (identity.mask_address, "豆村镇东村大槐树旁", "豆村镇***"),
        (identity.mask_address, "", ""),
    ],
)
def test_a_mask_shows_the_ends_and_never_the_middle(
    mask: Callable[[str], str], plain: str, masked: str
) -> None:
    assert mask(plain) == masked
    assert identity.is_masked(masked) is bool(plain)


@pytest.mark.parametrize(
    "text",
    [
        "140922196906084534",
        "户主140922196906084534已签字",
        "140922 19690608 4534",
        "140922-19690608-4534",
        "１４０９２２１９６９０６０８４５３４",
        "14092219620411337X",
        "14092219620411337x。",
        "14092219620411337X请核",
        "14092219620411337 X",
        "140922196906084535",  # a wrong check digit still points to a person
        "140922550221634",
        "13800138000",
        "电话：13800138000。",
        "138-0013-8000",
        "138 0013 8000",
        "138\u20130013\u20118000",
        "１３８００１３８０００",
        "１３８ ００１３ ８０００",
        "+8613800138000",
        "+86 13800138000",
        "1\u200b3800138000",
        "\u202d13800138000\u202c",
        "2023年5月 12 13800138000",
        "1 3 8 0 0 1 3 8 0 0 0",
        "13800138000、13900139000",
    ],
)
def test_free_text_with_a_personal_number_is_noticed(text: str) -> None:
    assert identity.holds_personal_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "户主不在家，改日再访",
        "1409011588",
        "用电户号 1409011588",
        "五政办发〔2023〕16号",
        "五政办发〔2023〕16号 2023-05-19",
        "123456789012",
        "1234567890123",
        "12345678901234",
        "SN 20230519000123",
        "2023-05-19 13:00",
        "2023年9月1日至2023年9月30日",
        "室温 18.5 19.2 17.8",
        "0350-6543210",
        "12800138000",  # no mobile number begins with 12
        "138001380001",
        "140922196913084534",  # month 13
        "6222021234567890123",
        "建筑面积 135.5，采暖面积 101.6",
    ],
)
def test_other_numbers_are_left_alone(text: str) -> None:
    assert not identity.holds_personal_number(text)


@given(FIRST_17, st.text("  -－　\u200b", max_size=2))
def test_an_id_is_noticed_however_it_is_spread(first_17: str, between: str) -> None:
    number = first_17 + identity.check_digit(first_17)

    assert identity.holds_personal_number(between.join(number))


def test_a_long_text_is_searched_in_no_time() -> None:
    assert not identity.holds_personal_number("0 " * 20_000)
    assert not identity.holds_personal_number("1" * 100_000)


def test_masked_personal_data_shows_no_more_than_a_screen_may() -> None:
    data = PersonalData(
        name="欧阳平",
        id_number="140922196906084534",
        credit_code="11140922560022814B",
        phone="13800138000",
        meter="1409011588",
        address="豆村镇东村25号",
        remarks="儿子王强代办",
    )

    assert data.masked() == PersonalData(
        name="欧阳*",
        id_number="1409**********4534",
        credit_code="11140922560022814B",
        phone="138****8000",
        meter="******1588",
        address="豆村镇东村***",
        remarks="***",
    )
    assert data.holds() == (
        "address", "credit_code", "id_number", "meter", "name", "phone", "remarks"
    )  # fmt: skip
    assert PersonalData().masked() == PersonalData()
    assert PersonalData().holds() == ()
    assert PersonalData(phone="1", address="2").holds() == ("address", "phone")
