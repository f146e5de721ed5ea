"""Texts and pages from templates: the only file that knows Jinja2."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined, TemplateError
from markupsafe import Markup, escape
from msgspec.structs import asdict

from notifications import letters, qr
from notifications.notices import Document
from notifications.pages import Head
from notifications.screen_words import label
from notifications.surface import Surface
from states.workdays import local_minute

DRILL = "演练：本页不作凭证"
# What putting a document into words ends in that lacks something.
NotWorded = TemplateError
LETTER_WIDTH = 150  # columns: the widest table, the bulletin's, in one line a unit


def _environment(*, autoescape: bool) -> Environment:
    # A name that is missing is our mistake and says so.
    return Environment(
        loader=PackageLoader("notifications"),
        undefined=StrictUndefined,
        autoescape=autoescape,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


# Plain texts, so nothing is to be escaped; in the pages everything is.
_TEXTS = _environment(autoescape=False)
_PAGES = _environment(autoescape=True)
_TEXTS.filters["label"] = lambda value, key: label(key, value)
_TEXTS.filters["across"] = lambda cells, width: _across(cells, width)
_TEXTS.globals["table"] = Surface(120, colour=False).table
_TEXTS.globals["letter_table"] = Surface(LETTER_WIDTH, colour=False).table
_PAGES.filters["placeholders"] = lambda text: _placeholders(text)
_PAGES.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
_PAGES.filters["shanghai"] = local_minute


def render(template: str, document: Mapping[str, object]) -> str:
    """The text of a template in `notifications/templates`, filled with plain values."""
    return _TEXTS.get_template(template).render(document)


def letter_text(document: Document) -> str:
    """The letter of a notice's plain document, as plain text. Raises what `notices.read` raises."""
    return render("letter.txt.j2", asdict(letters.letter(document)))


def letter_html(document: Document) -> str:
    """The letter as one page that needs nothing else and prints on A4. Raises as `letter_text`."""
    worded = letters.letter(document)
    size = letters.masthead_size(worded.masthead or "")
    return _PAGES.get_template("letter.html.j2").render(asdict(worded), size=size)


def certificate(fields: Mapping[str, str], rows: Sequence[Sequence[str]], *, drill: bool) -> str:
    """The removal certificate as one page that needs nothing else and prints on A4.

    Each value stands alone in an element with `data-field`, so that everything else on the page is
    the same for every certificate.
    """
    drawing = qr.svg(fields["qr_text"])
    cells = Markup("").join(
        Markup("<tr>{}</tr>\n").format(
            Markup("").join(Markup("<td>{}</td>").format(one) for one in row)
        )
        for row in rows
    )
    return _PAGES.get_template("certificate.html.j2").render(
        fields,
        rows=cells,
        qr=Markup(drawing),
        qr_hash=hashlib.sha256(drawing.encode()).hexdigest(),
        drill=DRILL if drill else "",
    )


def page(template: str, head: Head, **values: object) -> str:
    """A page that needs nothing else, from a template that extends `page.html.j2`."""
    return _PAGES.get_template(template).render(values, head=head)


def script(name: str) -> tuple[Markup, str]:
    """An own script to stand in a page, and the hash by which the page's policy lets it run."""
    assert _PAGES.loader is not None
    text, _, _ = _PAGES.loader.get_source(_PAGES, name)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Markup(text), f"'sha256-{digest}'"


def _across(cells: Sequence[str], width: int) -> Sequence[str]:
    """A row of the table; a band stands in its second column, where the names are."""
    return cells if len(cells) > 1 else ("", *cells, *[""] * (width - 2))


def drawing(template: str, **values: object) -> str:
    """A drawing that needs nothing else, as SVG; what it says is escaped."""
    return _PAGES.get_template(template).render(values)


def _placeholders(text: str) -> Markup:
    """A text with what is to be filled in by hand marked."""
    return Markup(re.sub(r"【待填写.*?】", r"<mark>\g<0></mark>", str(escape(text))))
