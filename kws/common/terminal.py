"""Text of unknown origin made safe to print: names of files, cells of tables, what other programs say."""

import json
import re
from typing import Any

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]?|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~]?)")


def plain(text: object, keep: str = "") -> str:
    """Return a text that moves no cursor, changes no colour and fits on one line.

    Escape sequences are dropped; every other character that does not print, but for those in `keep`, is
    written out as `\\r` or `\\x9b`.
    """
    shown = _ESCAPES.sub("", str(text))
    named = {ord(c): _name(c) for c in set(shown) if not c.isprintable() and c not in keep}
    return shown.translate(named) if named else shown


def plain_json(value: Any, indent: int | None = None) -> str:
    """Return JSON in which letters of any script stand as they are and what does not print is escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    named = {ord(c): json.dumps(c)[1:-1] for c in set(text) if not c.isprintable() and c != "\n"}
    return text.translate(named) if named else text


def _name(character: str) -> str:
    code = ord(character)
    known = {0: "\\0", 9: "\\t", 10: "\\n", 13: "\\r"}
    if code in known:
        return known[code]
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
