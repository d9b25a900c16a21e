"""What a browser needs of a script or a stylesheet: no comments, no indentation, no spare spaces.

Nothing is renamed, joined or moved to another line: a place that a browser names is the line of the
file in the repository, and every token stands there as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import tree_sitter_javascript
from tree_sitter import Language, Node, Parser

_SCRIPT = Language(tree_sitter_javascript.language())
_VERBATIM = frozenset({"string", "template_string", "regex"})
"""Nodes whose inside is not the grammar's: they stay to the byte."""
_WORD = re.compile(rb"[\w$#\\\x80-\xff]")
_SIGN = re.compile(rb"[-+*/%<>=!&|^~?:.]")
_STYLE = re.compile(
    rb"""(?P<kept>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
    rb"""|(?P<comment>/\*.*?\*/)|[ \t]*(?P<mark>[{},;])[ \t]*|(?P<colon>:)[ \t]+""",
    re.DOTALL,
)


@lru_cache(maxsize=1024)
def compact_script(source: bytes) -> bytes:
    """Return a script or module with the same tokens on the same lines.

    What the grammar cannot read whole is returned as it is.
    """
    root = Parser(_SCRIPT).parse(source).root_node
    if root.has_error:
        return source
    parts: list[bytes] = []
    before, end = b"", 0
    for node in _tokens(root):
        token = source[node.start_byte : node.end_byte]
        lines = source.count(b"\n", end, node.start_byte)
        parts.append(b"\n" * lines or (b" " if _apart(before, token) else b""))
        parts.append(token)
        before, end = token, node.end_byte
    parts.append(b"\n" * source.count(b"\n", end))
    return b"".join(parts)


def compact_style(source: bytes) -> bytes:
    """Return a stylesheet with the same rules on the same lines (CSS Syntax, §4.3)."""
    spared = _STYLE.sub(_spare, source)
    return b"\n".join(line.strip() for line in spared.split(b"\n"))


def _tokens(node: Node) -> Iterator[Node]:
    """Walk what is written, in order; a semicolon that a line's end stands for is not."""
    if node.type == "comment" or node.start_byte == node.end_byte:
        return
    if node.child_count == 0 or node.type in _VERBATIM:
        yield node
        return
    for child in node.children:
        yield from _tokens(child)


def _apart(before: bytes, token: bytes) -> bool:
    """Whether two tokens of a line would be others without a space between them."""
    last, first = before[-1:], token[:1]
    if _WORD.match(first):
        # `in x`, and `/b/ in x`, where a letter would be the expression's flag.
        return bool(_WORD.match(last)) or (last == b"/" and len(before) > 1)
    # `a - -b`, and `1 .name`.
    return bool(_SIGN.match(first) and (_SIGN.match(last) or (last.isdigit() and first == b".")))


def _spare(found: re.Match[bytes]) -> bytes:
    if found["kept"] is not None:
        return found[0]
    if found["comment"] is not None:
        # It divides what stands before and behind.
        return b"\n" * found[0].count(b"\n") or b" "
    return found["mark"] or found["colon"]
