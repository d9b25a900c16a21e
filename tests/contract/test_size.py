"""What a page costs: everything a browser fetches before a session works, and what comes later.

At once come the page's styles, its modules with all they import, and two catalogues. Later, by
`import()`, come the parts in `views/later.js` with a catalogue and styles of their own.
Nothing is built, so the files in the repository are what is sent; each is compressed by itself.
"""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WIDGETS, DOCUMENT = ROOT / "widgets", ROOT / "docs" / "embedding.md"
PAGES = {"agent": "agent", "engagement": "engagement", "window": "window", "join": "guest"}
"""Pages and the modules they enter by."""
SIDES = {
    "agent": ["agent"],
    "engagement": ["invited"],
    "window": ["invited"],
    "join": ["invited"],
}
"""Whose sentences each page says beside those of all."""
KB = 1024
RAW, TOGETHER, PACKED = 150 * KB, 45 * KB, 55 * KB
"""At once: as stored, by gzip as one, by gzip file by file (what is sent)."""
EVERYTHING, EVERYTHING_TOGETHER = 200 * KB, 58 * KB
"""With what comes later: as stored, by gzip as one."""
PROOF, PROOF_SIZE = WIDGETS / "elements" / "agent-proof.js", 16 * KB
"""What comes only where an account wants more of its agents than a request for a token."""
IMPORT = re.compile(r"""^(?:import|export)\b[^;]*?['"](\.[^'"]+)['"];""", re.MULTILINE)
LAZY = re.compile(r"""\bimport\(['"](\.[^'"]+)['"]\)""")
STYLES = re.compile(r"""\bloadStyles\('(\w+)'\)""")
"""Names of styles that come later, beside `later`."""


def reachable(
    start: list[Path], *patterns: re.Pattern[str], without: Path | None = None
) -> set[Path]:
    """Follow imports from these modules, but not into `without`."""
    found: set[Path] = set()
    todo = list(start)
    while todo:
        path = todo.pop().resolve()
        if path in found or path == without:
            continue
        found.add(path)
        text = path.read_text()
        todo += [path.parent / name for pattern in patterns for name in pattern.findall(text)]
    return found


def files_of(page: str) -> set[Path]:
    """The page's styles, its modules and the largest catalogues."""
    text = (WIDGETS / "pages" / f"{page}.html").read_text()
    linked = re.findall(r'(?:rel="stylesheet" href|type="module" src)="{{assets}}/([^"]+)"', text)
    start = [WIDGETS / name for name in linked]
    assert WIDGETS / "entry" / f"{PAGES[page]}.js" in start
    told = [largest("catalogues"), *(largest(f"catalogues/{side}") for side in SIDES[page])]
    return {*told, *reachable(start, IMPORT)}


def largest(folder: str) -> Path:
    """The largest catalogue in a folder."""
    return max((WIDGETS / folder).glob("??.js"), key=lambda path: path.stat().st_size)


def all_files_of(page: str) -> set[Path]:
    """What the page may fetch at any account, in the largest language."""
    found = modules_of(page)
    told = ["later", "staff"] if page == "agent" else ["later"]
    extra = {WIDGETS / "styles" / "later.css", *(largest(f"catalogues/{part}") for part in told)}
    return found | extra | styles_of(found)


def modules_of(page: str) -> set[Path]:
    """What the page has at once, with all modules it may fetch but for an agent's proof."""
    return reachable(list(files_of(page)), IMPORT, LAZY, without=PROOF)


def styles_of(modules: set[Path]) -> set[Path]:
    """Styles of their own that these modules fetch."""
    names = {name for path in modules for name in STYLES.findall(path.read_text())}
    return {WIDGETS / "styles" / f"{name}.css" for name in names}


def proof_files() -> set[Path]:
    """What an agent's login needs beside the page, in the largest language."""
    modules = reachable([PROOF], IMPORT, LAZY) - modules_of("agent")
    return modules | {largest("catalogues/proof")} | styles_of(modules)


def sizes_of(page: str) -> tuple[int, int, int, int]:
    """At once as stored, by gzip as one, by gzip file by file; and with what comes later."""
    bodies = [path.read_bytes() for path in sorted(files_of(page))]
    raw, packed = sum(map(len, bodies)), sum(len(gzip.compress(body)) for body in bodies)
    together = len(gzip.compress(b"".join(bodies)))
    return raw, together, packed, sum(path.stat().st_size for path in all_files_of(page))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_stays_small(page: str) -> None:
    raw, together, packed, _ = sizes_of(page)
    assert raw <= RAW, f"{page}: {raw:,} bytes"
    assert together <= TOGETHER, f"{page}: {together:,} bytes compressed as one"
    assert packed <= PACKED, f"{page}: {packed:,} bytes compressed"


@pytest.mark.parametrize("page", PAGES)
def test_a_page_stays_small_with_what_comes_later(page: str) -> None:
    everything = b"".join(path.read_bytes() for path in sorted(all_files_of(page)))
    assert len(everything) <= EVERYTHING, f"{page}: {len(everything):,} bytes"
    together = len(gzip.compress(everything))
    assert together <= EVERYTHING_TOGETHER, f"{page}: {together:,} bytes compressed as one"


@pytest.mark.parametrize("page", PAGES)
def test_the_document_says_what_a_page_weighs(page: str) -> None:
    rows = re.findall(r"^\| ([a-z, ]+)((?: \| \d+){4}) \|$", DOCUMENT.read_text(), re.MULTILINE)
    written = {name: row for names, row in rows for name in names.split(", ")}
    stated = [int(size) * KB for size in written[page].split(" | ")[1:]]
    # Another release of zlib compresses by some bytes more or less.
    off = [abs(size - now) for size, now in zip(stated, sizes_of(page), strict=True)]
    assert max(off) <= 1.2 * KB, f"{page}: {sizes_of(page)}"


def test_what_an_agents_login_needs_stays_small() -> None:
    files = proof_files()
    assert PROOF in files
    size = sum(path.stat().st_size for path in files)
    assert size <= PROOF_SIZE, f"{size:,} bytes"


def test_what_comes_by_import_is_known() -> None:
    """Else something is counted nowhere: every address of an `import()` but the catalogues'."""
    ours = [path for path in WIDGETS.rglob("*.js") if "simulator" not in path.parts]
    text = "".join(path.read_text() for path in sorted(ours))
    computed = [call for call in re.findall(r"\bimport\([^)]*\)", text) if not LAZY.match(call)]
    assert computed == ["import(`./${part}/${language}.js`)"]


def test_the_launcher_is_one_small_file() -> None:
    body = (WIDGETS / "launcher" / "launcher.js").read_bytes()
    assert not IMPORT.search(body.decode())
    assert len(body) <= 9_000
    assert len(gzip.compress(body)) <= 3_500


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_ahead_what_it_will_load(page: str) -> None:
    """Else the browser finds modules one import after the other."""
    text = (WIDGETS / "pages" / f"{page}.html").read_text()
    named = set(re.findall(r'rel="modulepreload" href="{{assets}}/([^"]+)"', text))
    modules = {path for path in files_of(page) if path.suffix == ".js"}
    wanted = {path.relative_to(WIDGETS).as_posix() for path in modules}
    wanted = {
        name for name in wanted if not name.startswith(("entry/a", "entry/e", "entry/g", "entry/w"))
    }
    wanted = {re.sub(r"(catalogues/.*)\b..\.js", r"\1{{language}}.js", name) for name in wanted}
    assert named == wanted
