"""Small pictures of attached images, and drawings as PNG: the only file that knows Pillow."""

import io
import warnings
from functools import cache

from PIL import Image, ImageDraw, ImageFont, ImageOps

from notifications.timeline import WIDTH, Bar, Timeline

SIDE = 120  # pixels: a stove can be told from a meter, and no number on a paper can be read
LARGEST = 60_000_000  # pixels: a phone takes fewer; what claims more is no photograph
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP")


def thumbnail(content: bytes) -> bytes | None:
    """A small JPEG of an image without its metadata; None where it cannot or should not be opened.

    The size is looked at before a pixel is decoded, so that a small file which unfolds to
    gigabytes is left alone.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                if image.width * image.height > LARGEST:
                    return None
                # Of a large photograph a JPEG can be decoded at an eighth.
                image.draft("RGB", (SIDE * 2, SIDE * 2))
                upright = ImageOps.exif_transpose(image)
                upright.thumbnail((SIDE, SIDE))
                small = Image.new("RGB", upright.size, "white")
                whole = upright.convert("RGBA")
                small.paste(whole, mask=whole.getchannel("A"))
        out = io.BytesIO()
        small.save(out, "JPEG", quality=70)
        return out.getvalue()
    except (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError):
        # What Pillow raises of a damaged file; anything else is a bug of ours or of Pillow.
        return None


# --- the timeline ---------------------------------------------------------------------------------

_PAINT = {
    "season": "#f2dfa2",
    "outage": "#b3261e",
    "fault": "#f7d4d1",
    "step1": "#cfdbe8",
    "step2": "#b4c8dd",
    "step3": "#cfdbe8",
    "step4": "#b4c8dd",
    "step5": "#bfe0cb",
    "step6": "#8fcba6",
    "step7": "#d0d0d0",
}
_INK = {"good": "#1a6b3c", "bad": "#b3261e", "": "#1b1f24"}
_TIMES = 2  # pixels for a unit of the drawing: sharp enough on paper


def timeline_png(line: Timeline) -> bytes:
    """The drawing as a PNG with figures only: what sets it names the lanes in words."""
    high = 112 + line.rows * 20 + 4
    picture = Image.new("RGB", (WIDTH * _TIMES, high * _TIMES), "white")
    pen = ImageDraw.Draw(picture)
    font = _figures(11)

    def box(x: float, y: float, wide: float, tall: float, fill: str, edge: str = "") -> None:
        at = (x * _TIMES, y * _TIMES, (x + wide) * _TIMES, (y + tall) * _TIMES)
        pen.rectangle(at, fill, edge or None, 3 if edge else 0)

    def bars(found: tuple[Bar, ...], y: float, tall: float) -> None:
        for bar in found:
            box(bar.x, y, bar.width, tall, _PAINT[bar.tone])

    for x, name in line.ticks:
        pen.line([(x * _TIMES, 8), (x * _TIMES, high * _TIMES)], fill="#c5cad0", width=1)
        pen.text(((x + 3) * _TIMES, 3 * _TIMES), name.removesuffix("月"), "#57606a", font)
    bars(line.seasons, 22, 20)
    bars(line.states, 46, 20)
    bars(line.outages, 70, 14)
    for dot in line.dots:
        if dot.warm:
            pen.circle((dot.x * _TIMES, 98 * _TIMES), 4.5 * _TIMES, fill=_INK["good"])
        else:
            box(dot.x - 4, 94, 8, 8, "white", _INK["bad"])
    for one in line.marks:
        middle = (one.x * _TIMES, (122 + one.row * 20) * _TIMES)
        pen.circle(middle, 8 * _TIMES, fill="white", outline=_INK[one.tone], width=3)
        pen.text(middle, str(one.number), _INK[""], font, anchor="mm")
    for y in range(18 * _TIMES, high * _TIMES, 14):
        pen.line([(line.today * _TIMES, y), (line.today * _TIMES, y + 7)], fill=_INK[""], width=2)
    out = io.BytesIO()
    # Flat colours: a palette would take longer to find than it saves.
    picture.save(out, "PNG", compress_level=3)
    return out.getvalue()


@cache
def _figures(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font: it has figures and Latin letters, and is there everywhere."""
    return ImageFont.load_default(size * _TIMES)
