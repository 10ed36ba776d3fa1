# SPDX-License-Identifier: GPL-2.0-only
"""Text from a guest, a mail or a file made fit to be shown: nothing in it steers what shows it."""

from __future__ import annotations


def visible(text: str) -> str:
    """As printable ASCII: anything else becomes an escape."""
    ascii_only = text.encode("ascii", "backslashreplace").decode("ascii")
    return "".join(c if " " <= c <= "~" else f"\\x{ord(c):02x}" for c in ascii_only)


def harmless(text: str) -> str:
    """For a page or a terminal: keeps newlines and printable Unicode, escapes everything else.

    Control and direction-changing characters could hide what a console really said.
    """
    return "".join(c if c == "\n" or c.isprintable() else f"\\x{ord(c):02x}" for c in text)
