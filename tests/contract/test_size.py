"""What a page costs: everything a browser fetches before a session works, and what comes later.

At once come the page's styles, its modules with all they import, and the catalogue of its language.
Later, by `import()`, come the parts in `views/later.js` with styles of their own.
Measured is what the gateway sends, which compresses each file by itself.
Every bound holds in every language: what is largest as sent is not what gzip leaves largest.
"""

from __future__ import annotations

import gzip
import re
from functools import cache
from pathlib import Path

import pytest

from gateway.site.assets import Assets

ROOT = Path(__file__).resolve().parents[2]
WIDGETS, DOCUMENT = ROOT / "widgets", ROOT / "docs" / "embedding.md"
PAGES = {"agent": "agent", "engagement": "engagement", "window": "window", "join": "guest"}
"""Pages and the modules they enter by."""
KB = 1024
EVERYTHING, EVERYTHING_TOGETHER = 150 * KB, 45 * KB
"""All that a page may fetch: plain, by gzip as one."""
RAW, TOGETHER, PACKED = 108 * KB, 34 * KB, 43 * KB
"""At once: plain, by gzip as one, by gzip file by file, as it travels."""
PROOF, PROOF_SIZE = WIDGETS / "elements" / "agent-proof.js", 11 * KB
"""What comes only where an account wants more of its agents than a request for a token."""
LANGUAGES = sorted(path.stem for path in (WIDGETS / "catalogues").glob("??.js"))
IMPORT = re.compile(r"""^(?:import|export)\b[^;]*?['"](\.[^'"]+)['"];""", re.MULTILINE)
LAZY = re.compile(r"""\bimport\(['"](\.[^'"]+)['"]\)""")
STYLES = re.compile(r"""\bloadStyles\('(\w+)'\)""")
"""Names of styles that come later."""


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
        todo += [path.parent / name for pattern in patterns for name in named_in(path, pattern)]
    return found


@cache
def sent() -> Assets:
    return Assets.read(WIDGETS)


def body_of(path: Path) -> bytes:
    """What the gateway sends of a file."""
    return sent().get(path.relative_to(WIDGETS).as_posix()).body


@cache
def named_in(path: Path, pattern: re.Pattern[str]) -> list[str]:
    found: list[str] = pattern.findall(path.read_text())
    return found


def files_of(page: str, language: str) -> set[Path]:
    """The page's styles, its modules and what it says in a language."""
    text = (WIDGETS / "pages" / f"{page}.html").read_text()
    linked = re.findall(r'(?:rel="stylesheet" href|type="module" src)="{{assets}}/([^"]+)"', text)
    start = [WIDGETS / name for name in linked]
    assert WIDGETS / "entry" / f"{PAGES[page]}.js" in start
    return {WIDGETS / "catalogues" / f"{language}.js", *reachable(start, IMPORT)}


def all_files_of(page: str, language: str) -> set[Path]:
    """What the page may fetch at any account, in a language."""
    found = modules_of(page, language)
    return found | styles_of(found)


def modules_of(page: str, language: str) -> set[Path]:
    """What the page has at once, with all modules it may fetch but for an agent's proof."""
    return reachable(list(files_of(page, language)), IMPORT, LAZY, without=PROOF)


def styles_of(modules: set[Path]) -> set[Path]:
    """Styles of their own that these modules fetch."""
    names = {name for path in modules for name in STYLES.findall(path.read_text())}
    return {WIDGETS / "styles" / f"{name}.css" for name in names}


def proof_files(language: str) -> set[Path]:
    """What an agent's login needs beside the page."""
    modules = reachable([PROOF], IMPORT, LAZY) - modules_of("agent", language)
    return {WIDGETS / "catalogues" / "proof" / f"{language}.js"} | modules | styles_of(modules)


@cache
def sizes_of(page: str, language: str) -> tuple[int, int, int, int, int]:
    """All plain, all by gzip as one; at once plain, by gzip as one, by gzip file by file."""
    everything = b"".join(map(body_of, sorted(all_files_of(page, language))))
    bodies = [body_of(path) for path in sorted(files_of(page, language))]
    at_once, packed = b"".join(bodies), sum(len(gzip.compress(body)) for body in bodies)
    whole, part = len(gzip.compress(everything)), len(gzip.compress(at_once))
    return len(everything), whole, len(at_once), part, packed


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_stays_small(page: str, language: str) -> None:
    _, _, raw, together, packed = sizes_of(page, language)
    assert raw <= RAW, f"{raw:,} bytes"
    assert together <= TOGETHER, f"{together:,} bytes compressed as one"
    assert packed <= PACKED, f"{packed:,} bytes compressed"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_stays_small_with_what_comes_later(page: str, language: str) -> None:
    everything, together, *_ = sizes_of(page, language)
    assert everything <= EVERYTHING, f"{everything:,} bytes"
    assert together <= EVERYTHING_TOGETHER, f"{together:,} bytes compressed as one"


@pytest.mark.parametrize("page", PAGES)
def test_the_document_says_what_a_page_weighs(page: str) -> None:
    rows = re.findall(r"^\| ([a-z, ]+)((?: \| \d+){5}) \|$", DOCUMENT.read_text(), re.MULTILINE)
    written = {name: row for names, row in rows for name in names.split(", ")}
    stated = [int(size) * KB for size in written[page].split(" | ")[1:]]
    sizes = [sizes_of(page, language) for language in LANGUAGES]
    largest = [max(each) for each in zip(*sizes, strict=True)]
    # Another release of zlib compresses by some bytes more or less.
    off = [abs(size - now) for size, now in zip(stated, largest, strict=True)]
    assert max(off) <= 1.2 * KB, f"{page}: {largest}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_an_agents_login_needs_stays_small(language: str) -> None:
    files = proof_files(language)
    assert PROOF in files
    size = sum(len(body_of(path)) for path in files)
    assert size <= PROOF_SIZE, f"{size:,} bytes"


def test_what_comes_by_import_is_known() -> None:
    """Else something is counted nowhere: every address of an `import()` but of catalogues."""
    ours = [path for path in WIDGETS.rglob("*.js") if "simulator" not in path.parts]
    text = "".join(path.read_text() for path in sorted(ours))
    computed = [call for call in re.findall(r"\bimport\([^)]*\)", text) if not LAZY.match(call)]
    words = "import(`./${part}/${document.documentElement.lang}.js`)"
    assert computed == ["import(`./${language}.js`)", words]


def test_the_launcher_is_one_small_file() -> None:
    body = body_of(WIDGETS / "launcher" / "launcher.js")
    assert not IMPORT.search(body.decode())
    assert len(body) <= 9_000
    assert len(gzip.compress(body)) <= 3_500


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_ahead_what_it_will_load(page: str) -> None:
    """Else the browser finds modules one import after the other."""
    text = (WIDGETS / "pages" / f"{page}.html").read_text()
    named = set(re.findall(r'rel="modulepreload" href="{{assets}}/([^"]+)"', text))
    modules = {path for path in files_of(page, "en") if path.suffix == ".js"}
    wanted = {path.relative_to(WIDGETS).as_posix() for path in modules}
    wanted = {
        name for name in wanted if not name.startswith(("entry/a", "entry/e", "entry/g", "entry/w"))
    }
    wanted = {re.sub(r"(catalogues/.*)\b..\.js", r"\1{{language}}.js", name) for name in wanted}
    assert named == wanted
