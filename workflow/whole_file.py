"""Files that come into their place whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path

from workflow.errors import BadFile


def put(path: Path, content: bytes) -> None:
    """Writes a file, whole or not at all. Raises BadFile."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        os.replace(part, path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise BadFile(
            f"写不了 {path}：{error.strerror}", place=str(path), remedy="换一个可写、有空间的文件夹"
        ) from error
