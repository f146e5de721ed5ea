"""Small pictures of attached images: the only file that knows Pillow."""

import io
import warnings

from PIL import Image, ImageOps

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
