"""Names of labels: each is a folder on any computer, and a word in a table, a file name or a command."""

import re
import unicodedata

LONGEST = 100
"""Bytes in UTF-8: file systems take 255, and endings are added."""
_DEVICE = re.compile(r"con|prn|aux|nul|(com|lpt)\d", re.IGNORECASE)


def wrong_name(name: str, what: str = "a label") -> str | None:
    """Return what is wrong with the name of a label, or of what else becomes a folder, or None.

    The answer says what to write instead.
    """
    composed = unicodedata.normalize("NFC", name)
    if name != composed and wrong_name(composed) is None:
        return f"its accents stand apart from their letters (Unicode NFD); write {composed} (NFC)"
    if not name or not name[0].isalnum() or not all(map(_fits, name)):
        return f"{what} has letters, digits, _ and -, and begins with one of the first two{_say(name)}"
    if len(name.encode()) > LONGEST:
        return f"{what} takes {LONGEST} bytes at the most; shorten it"
    if _DEVICE.fullmatch(name):
        return f"so a device is called on Windows; write {name}_"
    return None


def same_folder(name: str) -> str:
    """Return what two names have in common that are one folder on Windows or macOS."""
    return unicodedata.normalize("NFC", name.casefold())


def without_take(name: str) -> str:
    """Return a name without the number of a take at its end: `luz_2`, `luz-02`, `luz 2` and `luz (2)`."""
    return re.sub(r"[ _-]+(\d+|\(\d+\))$", "", name)


def _fits(character: str) -> bool:
    return character.isalnum() or character in "_-" or unicodedata.category(character).startswith("M")


def better_name(name: str) -> str | None:
    """Return the nearest name that a label may have, or None where nothing is left of this one."""
    words = "".join(c if _fits(c) else " " for c in unicodedata.normalize("NFC", name)).split()
    better = re.sub(r"^[\W_]+", "", "_".join(words)).rstrip("_-")
    return better if better and wrong_name(better) is None else None


def _say(name: str) -> str:
    better = better_name(name)
    return f"; write {better}" if better else ""


class Labelled:
    """What has labels, one of them that of the background."""

    labels: list[str]
    background: str

    @property
    def keywords(self) -> list[str]:
        """The labels that are not background, in order."""
        return [label for label in self.labels if label != self.background]

    @property
    def columns(self) -> list[int]:
        """Where the keywords are among a model's outputs."""
        return [self.labels.index(keyword) for keyword in self.keywords]
