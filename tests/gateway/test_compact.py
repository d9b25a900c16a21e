"""What is left out of a script or a stylesheet on its way to a browser, and what must not be."""

from __future__ import annotations

from pathlib import Path

import pytest
import tree_sitter_javascript
from hypothesis import given
from hypothesis import strategies as st
from tree_sitter import Language, Node, Parser

from gateway.site.compact import compact_script, compact_style

WIDGETS = Path(__file__).resolve().parents[2] / "widgets"
SCRIPTS = sorted(WIDGETS.rglob("*.js"))
PARSER = Parser(Language(tree_sitter_javascript.language()))


def leaves(node: Node) -> list[tuple[str, int, bytes | None]]:
    """Every token, also those inside a template: its kind, its line, its text."""
    if node.type == "comment" or (node.child_count == 0 and node.start_byte == node.end_byte):
        return []
    if node.child_count == 0 or node.type in {"string", "regex"}:
        return [(node.type, node.start_point.row, node.text)]
    return [leaf for child in node.children for leaf in leaves(child)]


def tokens(source: bytes) -> list[tuple[str, int, bytes | None]]:
    root = PARSER.parse(source).root_node
    assert not root.has_error, source
    return leaves(root)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.relative_to(WIDGETS).as_posix())
def test_a_script_has_the_same_tokens_on_the_same_lines(path: Path) -> None:
    source = path.read_bytes()
    sent = compact_script(source)
    assert tokens(sent) == tokens(source)
    assert sent.count(b"\n") == source.count(b"\n")
    if b"/**" in source:
        assert len(sent) < len(source)


@pytest.mark.parametrize(
    ("source", "sent"),
    [
        ("a = b; // why", "a=b;"),
        ("/** @type {X} */ (a).b();", "(a).b();"),
        ("return/* as it is */name", "return name"),
        ("a /* one\n two */ = 1;\n\n  b();\n", "a\n=1;\n\nb();\n"),
        ("const url = '// no comment';", "const url='// no comment';"),
        ("say(`  // ${ a  +  b } \n  kept`);", "say(`  // ${ a  +  b } \n  kept`);"),
        ("if (a) return /[/*]  +/u.test(b);", "if(a)return/[/*]  +/u.test(b);"),
        ("x = a - -b + +c - --d;", "x=a- -b+ +c- --d;"),
        ("x = a / /b/.exec(c);", "x=a/ /b/ .exec(c);"),
        ("y = /b/ in c;", "y= /b/ in c;"),
        ("x = 1 .toFixed();", "x=1 .toFixed();"),
        ("x = a ? .5 : b?.c;", "x=a? .5:b?.c;"),
        ("a < ! --b", "a< ! --b"),
        ("static async #go () {}", "static async #go(){}"),
        ("a\n++b", "a\n++b"),
        ("async (a) => { await b }", "async(a)=>{await b}"),
    ],
)
def test_what_would_change_the_meaning_stays(source: str, sent: str) -> None:
    wrapped = f"class A {{ {source} }}" if source.startswith("static") else source
    compact = compact_script(wrapped.encode()).decode()
    assert (f"class A{{{sent}}}" if wrapped != source else sent) == compact


def test_what_the_grammar_cannot_read_is_sent_as_it_is() -> None:
    source = b"const a = ;  // not yet\n"
    assert compact_script(source) == source


OPERANDS = st.sampled_from(["a", "$b", "#c in d", "1", ".5", "'e  f'", "/g/u", "(h)", "[i]", "`j`"])
BETWEEN = st.sampled_from(["+", "-", "*", "/", "<", "&&", "??", "in", "instanceof", "=== !", "- -"])
GAPS = st.sampled_from([" ", "  ", "/* x */", " // y\n", "\n"])


@given(st.lists(st.tuples(OPERANDS, GAPS, BETWEEN, GAPS), max_size=6), OPERANDS)
def test_any_expression_keeps_its_tokens(parts: list[tuple[str, str, str, str]], last: str) -> None:
    text = "".join("".join(part) for part in parts) + last
    source = f"class A {{ #c; f = () => ( {text} ) }}".encode()
    if PARSER.parse(source).root_node.has_error:
        assert compact_script(source) == source
    else:
        assert tokens(compact_script(source)) == tokens(source)


@pytest.mark.parametrize(
    ("source", "sent"),
    [
        ("a :hover , b {\n  color: red ;\n}\n", "a :hover,b{\ncolor:red;\n}\n"),
        ("/* one\n two */\n  a { top: 1px; } /* b */", "\n\na{top:1px;}"),
        ("a { width: calc(100% - 2px); }", "a{width:calc(100% - 2px);}"),
        ('a::after { content: "; /* no */  : { }"; }', 'a::after{content:"; /* no */  : { }";}'),
        ("a/* and */b {}", "a b{}"),
        ("a { background: url('x;  y.png') }", "a{background:url('x;  y.png')}"),
    ],
)
def test_a_stylesheet_keeps_its_rules_on_their_lines(source: str, sent: str) -> None:
    assert compact_style(source.encode()).decode() == sent
