"""How far colours stand apart where axe does not look: signs, edges and focus (WCAG 1.4.11, 2.4.7),
and words that lie over somebody's picture (1.4.3), which may be black or white."""

from __future__ import annotations

COLOURS = """
  const ink = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const read = (colour) => {
    ink.clearRect(0, 0, 1, 1);
    ink.fillStyle = colour;
    ink.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = ink.getImageData(0, 0, 1, 1).data;
    return { rgb: [red, green, blue], alpha: alpha / 255 };
  };
  const laid = ({ rgb, alpha }, under) =>
    rgb.map((part, at) => part * alpha + under[at] * (1 - alpha));
  const paintOf = (node) => read(getComputedStyle(node).backgroundColor);
  const behind = (node) => {
    const layers = [];
    let ground = [[255, 255, 255]];
    for (let at = node; at; at = at.parentElement) {
      if (at.matches('.tile[data-picture=yes], .mirror')) {
        ground = [[0, 0, 0], [255, 255, 255]];
        break;
      }
      layers.unshift(paintOf(at));
      if (layers[0].alpha === 1) break;
    }
    return ground.map((base) => layers.reduce((under, layer) => laid(layer, under), base));
  };
  const light = (rgb) => rgb
    .map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const apart = (colour, under) => Math.min(...under.map((ground) => {
    const [low, high] = [light(laid(colour, ground)), light(ground)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  }));
"""
"""`apart(read(colour), behind(node))` is the contrast of a colour with what a node lies on: the
lesser of two where that is a picture."""
FAINT = """() => {
  COLOURS
  const faint = [];
  const ask = (node, least, ...contrasts) => {
    if (Math.max(...contrasts) >= least) return;
    const found = Math.max(...contrasts).toFixed(2);
    faint.push(`${found}: ${node.outerHTML.slice(0, 100)}`);
  };
  const all = (what) => [...document.querySelectorAll(what)]
    .filter((node) => node.checkVisibility({ opacityProperty: true, visibilityProperty: true }))
    .filter((node) => !node.closest(':disabled'));
  const colourOf = (node) => read(getComputedStyle(node).color);
  for (const node of all('.tile[data-picture=yes] *, .mirror *')) {
    const says = [...node.childNodes].some((one) => one.nodeType === 3 && one.data.trim());
    if (says) ask(node, 4.5, apart(colourOf(node), behind(node)));
  }
  for (const node of all('.icon')) ask(node, 3, apart(colourOf(node), behind(node.parentElement)));
  for (const node of all('.tile-quality, .meter i')) {
    const under = behind(node.parentElement);
    const dot = paintOf(node);
    // Where there is room it is no dot but words, which axe does not find: they are generated.
    if (dot.alpha > 0) ask(node, 3, apart(dot, under));
    else ask(node, 4.5, apart(colourOf(node), under));
  }
  for (const node of all('input:not([type=radio]), select, textarea')) {
    const around = behind(node.parentElement);
    const edge = read(getComputedStyle(node).borderTopColor);
    ask(node, 3, apart(edge, around), apart(paintOf(node), around));
  }
  return faint;
}""".replace("COLOURS", COLOURS)
"""Words over pictures, signs and edges of fields that do not stand apart from what is behind."""
