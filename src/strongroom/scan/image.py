"""The layers of a built image, as `docker save`, `podman save` and OCI archives hold them."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from typing import Any, cast

from strongroom.errors import InvalidInputError
from strongroom.scan.matcher import Place, Prefixed, Stream, Trouble

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_HEAD = 512


def places(path: str, trouble: Trouble) -> Iterator[Place]:
    """Yield every file of every layer, and the image's own documents (its history and variables).

    Raises `InvalidInputError` when the file is no archive.
    """
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isreg() else None
                if content is not None:
                    yield from _member(path, member.name, content, trouble)
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror or 'it is damaged'}") from None
    except (tarfile.TarError, EOFError, zlib.error):
        raise InvalidInputError(f"{path} is no archive as `docker save` makes it, or it is cut") from None


def _member(path: str, name: str, content: Stream, trouble: Trouble) -> Iterator[Place]:
    head = _head(content)
    stream: Stream = Prefixed(head, content)
    if head.startswith(_ZSTD):
        trouble(f"{path}!{name}", "its layer is packed with zstd; save the image with gzip or unpacked layers")
        return
    if head.startswith(_GZIP):
        unpacked = gzip.GzipFile(mode="rb", fileobj=cast(Any, stream))
        try:
            head = _head(unpacked)
        except (OSError, EOFError, zlib.error):
            trouble(f"{path}!{name}", "it is damaged or cut")
            return
        stream = Prefixed(head, unpacked)
    if head[257:262] != b"ustar":
        yield Place(f"{path}!{name}", stream)
        return
    yield from _layer(f"{path}!{_short(name)}", stream, trouble)


def _layer(called: str, stream: Stream, trouble: Trouble) -> Iterator[Place]:
    try:
        with tarfile.open(fileobj=cast(Any, stream), mode="r|") as layer:
            for member in layer:
                content = layer.extractfile(member) if member.isreg() else None
                if content is not None:
                    yield Place(f"{called}!{member.name}", content)
    except (tarfile.TarError, OSError, EOFError, zlib.error):
        trouble(called, "the layer is damaged or cut")


def _head(stream: Stream) -> bytes:
    content = b""
    while len(content) < _HEAD and (piece := stream.read(_HEAD - len(content))):
        content += piece
    return content


def _short(name: str) -> str:
    """Return the name of a layer with as much of its digest as people compare."""
    return "/".join(part[:12] if len(part) == 64 else part for part in name.split("/") if part != "blobs")
