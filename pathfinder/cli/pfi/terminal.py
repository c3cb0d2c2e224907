"""Writing for people and for pipes: colour only where it shows, and no control character from elsewhere."""

import os
import sys
from enum import StrEnum
from typing import TextIO


class Colour(StrEnum):
    """What a colour says; the terminal's own palette decides how it looks."""

    GOOD = "\x1b[32m"
    BUSY = "\x1b[33m"
    BAD = "\x1b[31m"
    FAINT = "\x1b[2m"


_RESET = "\x1b[0m"


def is_live(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that can redraw lines."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def has_colour(stream: TextIO) -> bool:
    """Whether to colour what goes to `stream`; see https://no-color.org."""
    return is_live(stream) and not os.environ.get("NO_COLOR")


def painted(text: str, colour: Colour | None) -> str:
    """`text` in a colour."""
    return f"{colour}{text}{_RESET}" if colour else text


def harmless(text: str) -> str:
    """`text` on one line, without control characters: names and reasons come from elsewhere, and a terminal obeys."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else " " if char.isspace() else f"\\x{ord(char):02x}" for char in text)


def say(text: str, *, stream: TextIO | None = None) -> None:
    """Write a line and send it off: whoever reads a pipe sees it now."""
    stream = stream or sys.stdout
    stream.write(text + "\n")
    stream.flush()


def note(text: str) -> None:
    """Say something beside the output, on stderr."""
    say(text, stream=sys.stderr)
