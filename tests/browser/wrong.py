"""What may be wrong with how a page looks: scripts that return a line for each fault."""

from __future__ import annotations

from tests.browser.contrast import FAINT

OVERFLOW = """() => [...document.querySelectorAll('button, p, h1, h2, input, select, .tile-label')]
  .filter((node) => node.checkVisibility() && node.getClientRects().length)
  .filter((node) => {
    const box = node.getBoundingClientRect();
    return box.left < -0.5 || box.right > innerWidth + 0.5 ||
      (node.matches('button:not(.round)') && node.scrollWidth > node.clientWidth + 1);
  })
  .map((node) => node.outerHTML.slice(0, 100))"""

COVERED = """() => [...document.querySelectorAll('[role=toolbar] button')]
  .filter((button) => button.checkVisibility() || button.matches('.danger'))
  .filter((button) => {
    const { x, y, width, height } = button.getBoundingClientRect();
    return !button.contains(document.elementFromPoint(x + width / 2, y + height / 2));
  })
  .map((button) => button.ariaLabel)"""
"""What of the bar cannot be pressed, or is missing if it ends the session."""
CUT = """() => [...document.querySelectorAll('.message, .incoming, .panel-body, .panel')]
  .filter((box) => box.checkVisibility())
  .filter((box) => box.firstElementChild?.offsetTop < 0 ||
    (box.matches('.panel') && box.getBoundingClientRect().top < 0))
  .map((box) => box.textContent.slice(0, 40))"""
"""What begins above where one can scroll to, and panels that are moved away."""
BADLY_SHOWN = """() => [...document.querySelectorAll('.tile[data-picture=yes]:not([hidden])')]
  .filter((tile) => {
    const video = tile.querySelector('video');
    const { clientWidth, clientHeight, videoWidth, videoHeight } = video;
    const beside = tile.clientWidth - clientWidth > 1;
    const above = tile.clientHeight - clientHeight > 1;
    const ratio = clientWidth / clientHeight;
    if (tile.matches('.screen')) return getComputedStyle(video).objectFit !== 'contain';
    const stands = videoWidth < videoHeight && tile.clientWidth >= tile.clientHeight;
    const widest = stands ? 0.75 : 2;
    return above || ratio > widest + 0.01 || (beside && ratio < widest - 0.01);
  })
  .map((tile) => `${tile.className} ${tile.textContent}`)"""
"""Pictures that do not fill their tile, but for screens; in a wide tile they are cut to 2:1 at
most, standing ones to 3:4."""
SMALL = """() => [...document.querySelectorAll('button, summary, select, input:not([type=radio])')]
  .filter((node) => node.checkVisibility())
  .filter((node) => {
    const hurried = node.matches(
      '[role=toolbar] *, .incoming .actions > .button:not(.plain), .outgoing *, .panel footer *');
    const { width, height } = node.getBoundingClientRect();
    const wide = hurried && innerWidth >= 320;
    return height < (hurried ? 43.9 : 23.9) || width < (wide ? 43.9 : 23.9);
  })
  .map((node) => node.outerHTML.slice(0, 100))"""
"""What a finger misses: below 24 pixels anything (WCAG 2.5.8), below 44 what is pressed in a hurry,
on every phone."""
UNSEEN = """() => [...document.querySelectorAll('[role=alert]:not(:empty)')]
  .filter((told) => told.checkVisibility())
  .filter((told) => told.getBoundingClientRect().top > innerHeight - 28)
  .map((told) => told.textContent)"""
"""What was refused, and is told where only who scrolls reads it."""
OVERLAP = """() => {
  const tiles = [...document.querySelectorAll('.stage .tile')]
    .filter((tile) => tile.checkVisibility())
    .map((tile) => [tile, tile.getBoundingClientRect()]);
  const words = (tile) => `${tile.className} ${tile.textContent.slice(0, 30)}`;
  return tiles.flatMap(([tile, box], at) => {
    const stage = tile.closest('.stage');
    const around = stage.getBoundingClientRect();
    const beyond = box.width < 1 || box.height < 1 ||
      box.left < around.left - 0.5 || box.right > around.right + 0.5 ||
      box.top < around.top - 0.5 || box.bottom > around.bottom + 0.5;
    // One to one, oneself stands in the corner of the other's picture.
    const covering = tiles.slice(at + 1).filter(([other, its]) =>
      !(stage.dataset.layout === 'one' && (tile.matches('.self') || other.matches('.self'))) &&
      Math.min(box.right, its.right) - Math.max(box.left, its.left) > 0.5 &&
      Math.min(box.bottom, its.bottom) - Math.max(box.top, its.top) > 0.5);
    return [
      ...(beyond ? [`${words(tile)} is not within the stage`] : []),
      ...covering.map(([other]) => `${words(tile)} and ${words(other)}`),
    ];
  });
}"""
"""Tiles that cover one another, or leave the stage."""
LOOKS_WRONG = {
    "overflow": OVERFLOW,
    "covered": COVERED,
    "cut": CUT,
    "picture": BADLY_SHOWN,
    "small": SMALL,
    "unseen": UNSEEN,
    "overlap": OVERLAP,
    "faint": FAINT,
}
ALL_WRONG = f"""() => Object.entries({{
  {", ".join(f"{name}: {script}" for name, script in LOOKS_WRONG.items())}
}}).flatMap(([name, look]) => look().map((found) => `${{name}}: ${{found}}`))"""
LOST = """() => {
  const lost = [];
  const shown = (node) =>
    node.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const lines = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  while (lines.nextNode()) {
    const { currentNode: line } = lines;
    // Long names end in dots in a tile, and stand whole in the list of people.
    const known = line.parentElement.closest('select, .avatar, .tile-name');
    if (known || !line.data.trim() || !shown(line.parentElement)) continue;
    const range = document.createRange();
    range.selectNodeContents(line);
    let box = range.getBoundingClientRect();
    for (let around = line.parentElement; around; around = around.parentElement) {
      const { overflowX, overflowY } = getComputedStyle(around);
      const frame = around.getBoundingClientRect();
      const beside = box.left < frame.left - 1 || box.right > frame.right + 1;
      const above = box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
      const scrolls = /auto|scroll/.test(overflowY);
      const cut = overflowY !== 'visible' && !scrolls && above;
      if (cut || (overflowX !== 'visible' && beside)) {
        lost.push(`${line.data.slice(0, 60)} in ${around.className || around.localName}`);
        break;
      }
      if (scrolls) box = frame;
    }
  }
  const sheet = document.querySelector('.panel:not([hidden])');
  for (const node of document.querySelectorAll('main :is(button, input, select, summary)')) {
    if (!shown(node) && !node.matches('[type=radio]')) continue;
    if (sheet && !sheet.contains(node) && !node.closest('[role=toolbar]')) continue;
    node.scrollIntoView({ block: 'center' });
    const { left, top, width, height } = node.getBoundingClientRect();
    const at = document.elementFromPoint(left + width / 2, top + height / 2);
    const pressed = node.contains(at) || at?.closest('label')?.contains(node);
    if (!pressed) lost.push(node.outerHTML.slice(0, 100));
  }
  // Nobody can scroll those, but a script can.
  for (const node of document.querySelectorAll('html, body, main, main *')) {
    const { overflowX, overflowY } = getComputedStyle(node);
    const down = overflowY === 'hidden' && node.scrollTop > 0;
    const aside = overflowX === 'hidden' && node.scrollLeft !== 0;
    if (down || aside) lost.push(`scrolled: ${node.className || node.localName}`);
    node.scrollTo(0, 0);
  }
  return lost;
}"""
"""Words that are cut, and what one presses that is covered or cannot be scrolled to."""
LARGER = {
    "spaced": """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: 0.12em !important;
    word-spacing: 0.16em !important; } p { margin-block-end: 2em !important; }`);
  document.adoptedStyleSheets = [sheet];
}""",
    "doubled": """() => {
  document.adoptedStyleSheets = [];
  const all = [...document.querySelectorAll('main *')];
  const sizes = all.map((node) => parseFloat(getComputedStyle(node).fontSize));
  all.forEach((node, at) => { node.style.fontSize = `${2 * sizes[at]}px`; });
}""",
}
"""WCAG 1.4.12, and 1.4.4 in a browser that enlarges nothing but words."""
AS_BEFORE = """() => document.querySelectorAll('main *')
  .forEach((node) => node.style.removeProperty('font-size'))"""
