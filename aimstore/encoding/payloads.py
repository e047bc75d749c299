"""Payloads of extensions that are msgpack themselves. They contain no extensions."""

from __future__ import annotations

from typing import Any

import msgpack  # type: ignore[import-untyped]

from aimstore.errors import CorruptionError


def unpack_payload(payload: bytes) -> Any:
    """Decode a payload.

    Raises:
        CorruptionError: the payload contains an extension.
        ValueError: the payload is not msgpack.
    """
    return msgpack.unpackb(payload, ext_hook=_refuse)


def _refuse(code: int, payload: bytes) -> Any:
    raise CorruptionError(f"extension code {code} inside the payload of another")
