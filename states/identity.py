"""Who a household is: ID numbers, what of a person may be shown, and what free text must not hold.

GB 11643-1999 for the check digit. The area prefix is a hint and never tested: county codes were
renamed and merged, and people keep the number of the county they were born in.
"""

import re
import unicodedata
from collections.abc import Iterator
from datetime import date
from functools import lru_cache

from msgspec import Struct

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643-1999, table B.1
CHECK_CHARACTERS = "10X98765432"  # by the weighted sum modulo 11
BIRTH_YEARS = range(1900, 2100)

_TWO_BY_TWO = (
    "欧阳太史端木上官司马东方独孤南宫万俟闻人夏侯诸葛尉迟公羊赫连澹台皇甫宗政濮阳公冶太叔申屠公孙慕容仲孙钟离"
    "长孙宇文司徒鲜于司空闾丘子车亓官司寇巫马公西颛孙壤驷公良漆雕乐正宰父谷梁拓跋夹谷轩辕令狐段干百里呼延东郭"
    "南门羊舌微生梁丘左丘东门西门"
)
COMPOUND_SURNAMES = frozenset(
    _TWO_BY_TWO[start : start + 2] for start in range(0, len(_TWO_BY_TWO), 2)
)

# What people put between the figures of one number. Not the full stop: it stands in 18.5 ℃.
SEPARATORS = re.compile(r"[\s_\-\u2010-\u2015\u2212]+")
NEIGHBOURS = re.compile(
    rf"(?:\+86)?\d(?:(?:{SEPARATORS.pattern})?\d)*(?:(?:{SEPARATORS.pattern})?[xX](?![A-Za-z0-9]))?"
)

MASK = "***"  # a whole value that is not shown, and the hidden end of an address


# Letters of one alphabet only: no other alphabet's a passes for the Latin one.
_LOGIN = re.compile(r"[a-z][a-z0-9._-]*|[\u4e00-\u9fff][\u4e00-\u9fff0-9._-]*")
# What a server keeps of a role's name.
_LOGIN_BYTES = 63


def is_login(text: str) -> bool:
    """Whether an officer's login may be called so: small Latin letters, or Chinese characters."""
    return _LOGIN.fullmatch(text) is not None and len(text.encode()) <= _LOGIN_BYTES


def looks(login: str) -> str:
    """What a login looks like: logins that differ in case or width alone look the same."""
    return unicodedata.normalize("NFKC", login).casefold()


def check_digit(first_17: str) -> str:
    """The 18th character that GB 11643 gives these seventeen digits."""
    total = sum(int(digit) * weight for digit, weight in zip(first_17, WEIGHTS, strict=True))
    return CHECK_CHARACTERS[total % 11]


def birth_date(number: str) -> date | None:
    """The day of birth in an ID of 15 or 18 characters; None when that is no plausible day."""
    digits = number[6:14] if len(number) == 18 else "19" + number[6:12]
    try:
        born = date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return None
    return born if born.year in BIRTH_YEARS else None


def is_well_formed(number: str) -> bool:
    """Whether this looks like an ID: 15 digits, or 17 and a digit or X, with a day of birth."""
    if re.fullmatch(r"[1-9][0-9]{14}|[1-9][0-9]{16}[0-9X]", number) is None:
        return False
    return birth_date(number) is not None


def checks_out(number: str) -> bool:
    """Whether a well-formed ID of 18 characters carries its right check digit."""
    return check_digit(number[:17]) == number[17]


def to_18(number: str) -> str:
    """The 18-character form of a 15-digit ID; these were given out in the 1900s only."""
    first_17 = number[:6] + "19" + number[6:]
    return first_17 + check_digit(first_17)


def mask_id(number: str) -> str:
    """`1409**********1234`: the first four and the last four."""
    return _keep(number, 4, 4)


def mask_phone(number: str) -> str:
    """`138****5678`: the first three and the last four."""
    return _keep(number, 3, 4)


def mask_meter(number: str) -> str:
    """`******1588`: the last four."""
    return _keep(number, 0, 4)


def mask_name(name: str) -> str:
    """`张*`, `欧阳*`: the surname, however long the rest."""
    if not name:
        return ""
    compound = len(name) > 2 and name[:2] in COMPOUND_SURNAMES
    return name[: 2 if compound else 1] + "*"


def mask_address(address: str) -> str:
    """`豆村镇东村***`: nothing from the first figure on; without a figure, the first three."""
    if not address:
        return ""
    figure = re.search(r"[0-9０-９]", address)
    return address[: figure.start() if figure else 3] + MASK


_MASKS = {
    "name": mask_name,
    "id_number": mask_id,
    "phone": mask_phone,
    "meter": mask_meter,
    "address": mask_address,
}


def mask_field(name: str, text: str) -> str:
    """The content of a field of personal data, or of any other, fit for a screen.

    What was read need not be what belongs there: a number long enough to be a person's is masked
    wherever it stands.
    """
    text = text.strip()
    if masks := _MASKS.get(name):
        return masks(text)
    long_number = re.search(r"\d{10}", unicodedata.normalize("NFKC", text))
    return mask_phone(text) if long_number or holds_personal_number(text) else text


def is_masked(text: str) -> bool:
    """Whether part of this was hidden, and so says nothing about the value."""
    return "*" in text or "＊" in text


# The same few words stand in the papers of thousands of households.
@lru_cache(maxsize=8192)
def holds_personal_number(text: str) -> bool:
    """Whether free text holds an ID number or a mobile phone number.

    Sees through full-width digits, blanks, hyphens and invisible characters. A wrong check digit
    does not excuse a number: a mistyped ID still points to a person.
    """
    return any(map(_is_personal, _numbers(text)))


class PersonalData(Struct, frozen=True):
    """What is known of the person behind a household; empty where nothing is.

    Stands in its own table and never in the journal (design, section 5).
    """

    name: str = ""
    id_number: str = ""
    credit_code: str = ""
    phone: str = ""
    meter: str = ""
    address: str = ""
    remarks: str = ""

    def masked(self) -> "PersonalData":
        """A copy fit for a screen; the credit code of an organisation is public and stays."""
        return PersonalData(
            name=mask_name(self.name),
            id_number=mask_id(self.id_number),
            credit_code=self.credit_code,
            phone=mask_phone(self.phone),
            meter=mask_meter(self.meter),
            address=mask_address(self.address),
            remarks=MASK if self.remarks else "",
        )

    def holds(self) -> tuple[str, ...]:
        """The sorted names of the fields that are filled."""
        return tuple(name for name in _PERSONAL if getattr(self, name))


_PERSONAL = tuple(sorted(PersonalData.__struct_fields__))


def _keep(text: str, first: int, last: int) -> str:
    """Stars for all but the ends; for all of it when the ends would leave too little hidden."""
    hidden = len(text) - first - last
    if hidden < 3:
        return "*" * len(text)
    return text[:first] + "*" * hidden + text[len(text) - last :]


def _numbers(text: str) -> Iterator[str]:
    """Every number that neighbouring groups of digits could be meant as.

    `138-0013 8000` is one number in three groups, `12 13800138000` two numbers: so each run of
    neighbours is tried, up to the 18 characters of an ID.
    """
    plain = "".join(
        character
        for character in unicodedata.normalize("NFKC", text)
        if character.isspace() or unicodedata.category(character) not in {"Cf", "Cc"}
    )
    for run in NEIGHBOURS.findall(plain):
        groups = [_ascii(group) for group in SEPARATORS.split(run)]
        groups[0] = groups[0].removeprefix("+86")
        for start in range(len(groups)):
            number = ""
            for group in groups[start:]:
                number += group
                if len(number) > 18:
                    break
                yield number


def _ascii(group: str) -> str:
    return "".join(
        str(unicodedata.digit(character)) if character.isdigit() else character.upper()
        for character in group
    )


def _is_personal(number: str) -> bool:
    return re.fullmatch(r"1[3-9][0-9]{9}", number) is not None or is_well_formed(number)
