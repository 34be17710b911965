"""Prints evce-gateway(1), made from the command line's own help.

Usage: python man.py > evce-gateway.1
"""

from __future__ import annotations

import sys

from markdown_it import MarkdownIt
from markdown_it.token import Token

from gateway import __version__
from gateway.cli.commands import app

NAME = "evce\\-gateway \\- EV charging as Modbus TCP and BACnet/IP"
FILES = (
    ("/etc/evce-gateway/config.yaml", "the site; mappings/ beside it says what the products' JSON means"),
    ("/etc/evce-gateway/secrets/", "one file (root, 0600) per password; {credential: NAME} names it"),
    ("/var/lib/evce-gateway/", "addresses, slots, evidence, history; `evce-gateway backup` saves it"),
    ("/run/evce-gateway/control.sock", "what the commands talk to; for root and the group evce-gateway"),
)


def escape(text: str) -> str:
    """Text as roff: no line of it is taken for a request."""
    safe = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line.startswith((".", "'")) else line for line in safe.split("\n"))


def inline(token: Token) -> str:
    """One paragraph's text with code in bold and emphasis in italics."""
    marks = {"code_inline": "B", "strong_open": "[B", "em_open": "[I", "strong_close": "]", "em_close": "]"}
    parts = []
    for child in token.children or ():
        mark = marks.get(child.type, "")
        if mark == "B":
            parts.append(f"\\fB{escape(child.content)}\\fR")
        elif mark.startswith("["):
            parts.append(f"\\f{mark[1]}")
        elif mark == "]":
            parts.append("\\fR")
        else:
            parts.append("\n" if child.type == "softbreak" else escape(child.content))
    return "".join(parts)


def body(markdown: str) -> list[str]:
    """The commands' part of the help, without its table of contents."""
    lines: list[str] = []
    command, listed = False, False
    for token, following in zip(tokens := MarkdownIt().parse(markdown), [*tokens[1:], None], strict=True):
        match token.type:
            case "heading_open" if following is not None:
                command = following.content.startswith("evce-gateway ")
                if command:
                    lines.append(f'.SS "{escape(following.content)}"')
            case "fence" if command:
                lines += [".PP", ".nf", escape(token.content.rstrip()), ".fi"]
            case "list_item_open":
                listed = True
            case "list_item_close":
                listed = False
            case "inline" if command and not token.content.startswith("evce-gateway "):
                lines += [".IP \\(bu 2" if listed else ".PP", inline(token)]
            case _:
                pass
    return lines


def main() -> int:
    """Prints the page."""
    page = [
        f'.TH EVCE\\-GATEWAY 1 "" "evce-gateway {__version__}" "User Commands"',
        ".SH NAME",
        NAME,
        ".SH SYNOPSIS",
        "\\fBevce\\-gateway\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR]",
        ".SH DESCRIPTION",
        escape(str(app.help)),
        ".SH COMMANDS",
        *body(app.generate_docs(output_format="markdown")),
        ".SH EXIT STATUS",
        "0 done, 1 faults found, 2 usage, 3 not reached, 4 refused.",
        ".SH FILES",
    ]
    for name, text in FILES:
        page += [".TP", f"\\fI{escape(name)}\\fR", escape(text)]
    sys.stdout.write("\n".join(page) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
