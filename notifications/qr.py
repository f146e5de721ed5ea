"""QR codes as drawings: the only file that knows segno."""

import io

import segno


def svg(text: str) -> str:
    """The text as an SVG drawing of a QR code: the same text, the same drawing.

    Error correction M: a page that was folded or stamped can still be read.
    """
    code = segno.make(text, error="m", micro=False, boost_error=False)
    return code.svg_inline(border=4, omitsize=True, svgclass=None, lineclass=None)


def png(text: str) -> bytes:
    """The same QR code as a PNG, for what cannot draw an SVG."""
    out = io.BytesIO()
    code = segno.make(text, error="m", micro=False, boost_error=False)
    code.save(out, kind="png", border=4, scale=4)
    return out.getvalue()
