"""Texts from templates: the only file that knows Jinja2."""

from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined

from notifications.screen import Screen, label

# Plain texts, so nothing is to be escaped; a name that is missing is our mistake and says so.
_TEXTS = Environment(
    loader=PackageLoader("notifications"),
    undefined=StrictUndefined,
    autoescape=False,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_TEXTS.filters["label"] = lambda value, key: label(key, value)
_TEXTS.globals["table"] = Screen(120, colour=False).table


def render(template: str, document: Mapping[str, object]) -> str:
    """The text of a template in `notifications/templates`, filled with plain values."""
    return _TEXTS.get_template(template).render(document)
