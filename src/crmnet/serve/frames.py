"""Messages between the server and its processes: length, then MessagePack.

Both ends are this package; the messages hold plain values only, so nothing is unpickled.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Any, BinaryIO

import msgpack

HEADER = struct.Struct("<I")
LARGEST = 1 << 28
"""Bytes of the largest message."""


def packed(message: Any) -> bytes:
    """A message as bytes."""
    content = msgpack.packb(message, use_bin_type=True)
    return HEADER.pack(len(content)) + content


def unpacked(content: bytes) -> Any:
    """The message in the bytes behind a header."""
    return msgpack.unpackb(content, raw=False, strict_map_key=False)


def read_message(stream: BinaryIO) -> Any:
    """The next message; None at the end of the stream."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    (size,) = HEADER.unpack(header)
    content = stream.read(size)
    return unpacked(content) if len(content) == size else None


async def receive_message(stream: asyncio.StreamReader) -> Any:
    """The next message; None at the end of the stream."""
    try:
        (size,) = HEADER.unpack(await stream.readexactly(HEADER.size))
        return unpacked(await stream.readexactly(size))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
