# SPDX-License-Identifier: Apache-2.0
"""What a page holds deflated until somebody asks for it: pictures are alike, so hundreds fit into little."""

from __future__ import annotations

import base64
import json
import zlib

_BEST: int = 9
_RAW: int = -15  # RFC 1951 without a header: "deflate-raw" of the Compression Streams standard


def packed(found: object) -> str:
    """A JSON value, deflated, in base64."""
    squeeze = zlib.compressobj(_BEST, zlib.DEFLATED, _RAW)
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    return base64.b64encode(squeeze.compress(text) + squeeze.flush()).decode()


def unpacked(text: str) -> object:
    """The way back, for tests."""
    return json.loads(zlib.decompress(base64.b64decode(text), _RAW))
