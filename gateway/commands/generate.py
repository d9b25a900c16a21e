"""Write what is derived from the wire: `widgets/protocol`, tables of the document, and shapes.

`python -m gateway.commands.generate` writes, `--check` only compares and fails on drift. The
sources are the unions of `broker.messages`, their docstrings, and the words of `broker.words`.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path

from broker import messages, words
from broker.close_codes import RETRYABLE_CLOSES, CloseCode
from broker.errors import ErrorCode
from broker.messages import client, facts, login, parts
from gateway.commands.generate_shapes import BROKER_SHAPES, CLIENT_SHAPES, LOGIN_SHAPES
from gateway.commands.wire_schema import (
    BROKER,
    CLIENT,
    LOGIN,
    Node,
    broker_classes,
    client_classes,
    words_of,
)

ROOT = Path(__file__).resolve().parents[2]
MESSAGES_JS = ROOT / "widgets" / "protocol" / "messages.js"
MESSAGES_TYPES = ROOT / "widgets" / "protocol" / "messages.d.ts"
READER = ROOT / "tests" / "contract" / "reader"
PROTOCOL_MD = ROOT / "docs" / "protocol.md"

CLOSE_MEANINGS = {
    CloseCode.NORMAL: "The connection is not needed any more.",
    CloseCode.GOING_AWAY: "The gateway or the session's actor shuts down.",
    CloseCode.ABNORMAL: "No close frame came: the network or a process broke.",
    CloseCode.INTERNAL: "A mistake of the broker.",
    CloseCode.RESTARTING: "The gateway restarts.",
    CloseCode.MALFORMED: "A message was not what the protocol says.",
    CloseCode.UNAUTHENTICATED: "No proof, or one that does not hold: get a new token.",
    CloseCode.FORBIDDEN: "The caller is known and may not do this, or not as things stand.",
    CloseCode.UNKNOWN: "Nothing here by that id.",
    CloseCode.REPLACED: "The same widget is back by a newer connection; nothing else.",
    CloseCode.ENDED: "The session has ended.",
    CloseCode.TOO_FAST_OR_SLOW: "Too fast, too many, or too slow to take what is sent.",
    CloseCode.UNAVAILABLE: "A part of the broker is away or full, or the session has moved.",
}
_SCALARS = {"integer": "number", "number": "number", "boolean": "boolean", "string": "string"}


def js_type(node: Node) -> str:
    """Write a schema node as a TypeScript type."""
    if node.ref is not None:
        return node.ref.rsplit("/", 1)[1]
    if node.any_of:
        return " | ".join(js_type(option) for option in node.any_of)
    if closed := words_of(node):
        return " | ".join(json.dumps(word) for word in closed)
    if node.items is not None:
        return f"Array<{js_type(node.items)}>"
    return _SCALARS.get(node.type or "", "null")


def bounds(node: Node) -> str:
    """Say the limits of a value in words; empty when there are none."""
    for option in node.any_of:
        if text := bounds(option):
            return text
    said: list[str] = []
    for low, high, unit in (
        (node.min_length, node.max_length, " characters"),
        (node.min_items, node.max_items, " entries"),
        (node.minimum, node.maximum, ""),
    ):
        if low is not None and high is not None:
            said.append(f"{low:,.0f} to {high:,.0f}{unit}")
        elif high is not None:
            said.append(f"at most {high:,.0f}{unit}")
        elif low is not None:
            said.append(f"at least {low:,.0f}{unit}")
    return ", ".join(said)


def field_docs() -> dict[tuple[str, str], str]:
    """Collect the string beneath each field of the wire's classes, by class and field."""
    docs: dict[tuple[str, str], str] = {}
    for module in (parts, client, facts, login):
        for cls in ast.parse(inspect.getsource(module)).body:
            if not isinstance(cls, ast.ClassDef):
                continue
            for field, below in zip(cls.body, cls.body[1:], strict=False):
                match field, below:
                    case (
                        ast.AnnAssign(target=ast.Name(id=name)),
                        ast.Expr(value=ast.Constant(value=str(text))),
                    ):
                        docs[cls.name, name] = " ".join(text.split())
    return docs


DOCS = field_docs()


def class_doc(name: str) -> str:
    """Return the docstring of a part, message or word."""
    for module in (client, facts, login, parts, words):
        cls = getattr(module, name, None)
        if cls is not None:
            return " ".join((inspect.getdoc(cls) or "").split())
    return ""


def structures() -> Iterator[tuple[str, Node, bool]]:
    """Yield every part and message: name, schema, and whether fields with defaults may miss.

    The broker writes every field it knows, so what it sends has no missing ones.
    """
    seen: set[str] = set()
    for schema, may_miss in ((CLIENT, True), (BROKER, False), (LOGIN, False)):
        for name, node in schema.defs.items():
            if node.properties and name not in seen:
                seen.add(name)
                yield name, node, may_miss


def enums() -> Iterator[type[StrEnum]]:
    """Yield the closed sets of words that stand on the wire."""
    names = sorted(
        name for name, node in {**CLIENT.defs, **BROKER.defs}.items() if not node.properties
    )
    for name in names:
        if name != "ErrorCode":
            yield getattr(words, name)


def interface(name: str, node: Node, may_miss: bool) -> str:
    lines = [*comment(class_doc(name)), f"export interface {name} {{"]
    for field, value in node.properties.items():
        optional = may_miss and field not in node.required and field != "type"
        doc = ". ".join(filter(None, (DOCS.get((name, field), "").rstrip("."), bounds(value))))
        lines += comment(doc, "  ")
        lines.append(f"  {field}{'?' if optional else ''}: {js_type(value)};")
    return "\n".join([*lines, "}"])


def comment(text: str, indent: str = "") -> list[str]:
    return [f"{indent}/** {text} */"] if text else []


def choice(name: str, doc: str, options: Iterable[str]) -> str:
    return "\n".join([*comment(doc), f"export type {name} = {' | '.join(options)};"])


def constants() -> dict[str, tuple[str, str, str]]:
    """Return what the browser needs of the wire at run time: name to value, type and meaning."""
    return {
        "SUBPROTOCOL": (json.dumps(messages.SUBPROTOCOL), "string", "The WebSocket subprotocol."),
        "PROTOCOL_REVISION": (
            str(messages.PROTOCOL_REVISION),
            "number",
            "What these types know, said in the hello.",
        ),
        "RETRYABLE_CLOSE_CODES": (
            json.dumps(sorted(RETRYABLE_CLOSES)),
            "readonly number[]",
            "After these the widget connects again by itself.",
        ),
    }


def messages_js() -> str:
    """Write the few constants that widgets import; everything else is types."""
    lines = ["// Generated by `make generate` from broker/messages. Do not edit.\n"]
    lines += [f"export const {name} = {value};\n" for name, (value, _, _) in constants().items()]
    return "".join(lines)


def messages_types() -> str:
    """Write the types of everything on the wire: the type checker reads them, no browser does."""
    blocks = ["// Generated by `make generate` from broker/messages. Do not edit."]
    for name, (_, kind, doc) in constants().items():
        blocks.append("\n".join([*comment(doc), f"export const {name}: {kind};"]))
    blocks.append(choice("ErrorCode", "", (json.dumps(code.value) for code in ErrorCode)))
    for enum in enums():
        name = enum.__name__
        blocks.append(choice(name, class_doc(name), (json.dumps(word.value) for word in enum)))
    blocks += [interface(*structure) for structure in structures()]
    for name, doc, members in (
        ("ClientMessage", "Widget to broker.", client.CLIENT_MESSAGES),
        ("BrokerMessage", "Broker to widget.", facts.BROKER_MESSAGES),
        ("LoginMessage", "Gateway to a frame that logs in.", login.LOGIN_MESSAGES),
    ):
        blocks.append(choice(name, doc, (member.__name__ for member in members)))
    return "\n\n".join(blocks) + "\n"


def table(name: str, node: Node) -> str:
    """Write one part or message as a heading, its sentence and a table of its fields."""
    type_node = node.properties.get("type")
    title = f"`{type_node.const}`" if type_node is not None else name
    lines = [f"### {title}", "", class_doc(name)]
    rows = [(field, value) for field, value in node.properties.items() if field != "type"]
    if rows:
        lines += ["", "| Field | Type | Meaning |", "| --- | --- | --- |"]
    for field, value in rows:
        doc = DOCS.get((name, field), "").replace("|", "\\|")
        limit = bounds(value)
        meaning = f"{doc} ({limit})" if doc and limit else doc or limit
        needed = "" if field in node.required else " (optional)"
        shown = js_type(value).replace("|", "\\|")
        lines.append(f"| `{field}`{needed} | `{shown}` | {meaning} |")
    return "\n".join(lines)


def tables() -> dict[str, str]:
    """Return the generated blocks of the protocol document by name."""
    client_names = {cls.__name__ for cls in client.CLIENT_MESSAGES}
    broker_names = {cls.__name__ for cls in facts.BROKER_MESSAGES}
    login_names = [cls.__name__ for cls in login.LOGIN_MESSAGES]
    by_name = {name: node for name, node, _ in structures()}
    codes = ["| Code | Name | Meaning | Connect again |", "| --- | --- | --- | --- |"]
    codes += [
        f"| {code.value} | `{code.name}` | {CLOSE_MEANINGS[code]} "
        f"| {'yes' if code in RETRYABLE_CLOSES else 'no'} |"
        for code in CloseCode
    ]
    sets = ["| Set | Words |", "| --- | --- |"]
    sets += [f"| {e.__name__} | {' '.join(f'`{w.value}`' for w in e)} |" for e in enums()]
    return {
        "client": "\n\n".join(table(c.__name__, by_name[c.__name__]) for c in client_classes()),
        "broker": "\n\n".join(table(c.__name__, by_name[c.__name__]) for c in broker_classes()),
        "login": "\n\n".join(table(name, by_name[name]) for name in login_names),
        "parts": "\n\n".join(
            table(name, node)
            for name, node in by_name.items()
            if name not in client_names | broker_names | set(login_names)
        ),
        "close codes": "\n".join(codes),
        "error codes": " ".join(f"`{code.value}`" for code in ErrorCode),
        "words": "\n".join(sets),
    }


def protocol_md(text: str) -> str:
    """Put the generated blocks between their marks; the text around them is written by hand.

    Raises:
        ValueError: a mark is missing.
    """
    for name, block in tables().items():
        start, end = f"<!-- generated: {name} -->", f"<!-- end of {name} -->"
        if text.count(start) != 1 or text.count(end) != 1:
            raise ValueError(f"docs/protocol.md has no block for {name}.")
        before, rest = text.split(start)
        after = rest.split(end)[1]
        text = f"{before}{start}\n\n{block}\n\n{end}{after}"
    return text


def outputs() -> dict[Path, str]:
    """Return every generated file and what it should hold."""
    return {
        MESSAGES_JS: messages_js(),
        MESSAGES_TYPES: messages_types(),
        READER / "client-shapes.js": CLIENT_SHAPES.module(),
        READER / "broker-shapes.js": BROKER_SHAPES.module(),
        READER / "login-shapes.js": LOGIN_SHAPES.module(),
        PROTOCOL_MD: protocol_md(PROTOCOL_MD.read_text(encoding="utf-8")),
    }


def main(arguments: list[str]) -> int:
    """Write the files, or with `--check` name those that differ and return 1."""
    drifted: list[Path] = []
    for path, text in outputs().items():
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        drifted.append(path)
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    verb = "differs; run `make generate`" if "--check" in arguments else "written"
    for path in drifted:
        print(f"{path.relative_to(ROOT)}: {verb}")
    return 1 if drifted and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
