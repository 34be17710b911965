"""Text from products and people in the cells of files: on one line, never a formula, never markup."""

from __future__ import annotations

import html
import re

FORMULA = ("=", "+", "-", "@")
"""What a spreadsheet takes for the beginning of a formula; blanks and tabs before it do not help."""
APOSTROPHE = "'"
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|!~&])")
Value = str | int | float | None


def one_line(text: str) -> str:
    """Control characters and line ends as escapes, everything else as it is."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode("ascii") for char in text
    )


def shown(value: Value) -> str:
    """A cell as text: whole numbers without a fraction, nothing for None."""
    if value is None:
        return ""
    return f"{value:.10g}" if isinstance(value, float) else one_line(str(value))


def safe(value: Value) -> str:
    """A cell of a CSV file: text that a spreadsheet would calculate begins with an apostrophe."""
    text = shown(value)
    return APOSTROPHE + text if isinstance(value, str) and text.lstrip().startswith(FORMULA) else text


def markdown(value: Value) -> str:
    """A cell of a Markdown table."""
    return _MARKDOWN.sub(r"\\\1", shown(value))


def markup(value: Value) -> str:
    """Text of an HTML page."""
    return html.escape(shown(value))
