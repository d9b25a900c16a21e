/** What each parent shows, by key. @type {WeakMap<HTMLElement, Map<string, any>>} */
const shown = new WeakMap();

/**
 * A row that moves, or whose button goes, keeps the focus; after one that goes the next has it, then
 * `home`, and no button there, lest a second press answers for that, too.
 * @type {Keyed}
 */
export function keyed(parent, items, keyOf, make, update, home = parent.closest('[tabindex]')) {
  const at = /** @type {HTMLElement|null} */ (document.activeElement);
  const place = [...parent.children].findIndex((row) => row.contains(at));
  const own = parent.children[place];
  const views = shown.get(parent) ?? new Map();
  shown.set(parent, views);
  const keys = new Set(items.map(keyOf));
  for (const [key, view] of views) {
    if (keys.has(key)) continue;
    view.root.remove();
    views.delete(key);
  }
  items.forEach((item, index) => {
    const key = keyOf(item);
    let view = views.get(key);
    if (!view) {
      view = make(item);
      views.set(key, view);
    }
    update(view, item);
    const there = parent.children[index];
    if (there !== view.root) parent.insertBefore(view.root, there ?? null);
  });
  if (!at || !own) return;
  if (at.isConnected && !at.closest('[hidden]')) {
    if (at !== document.activeElement) at.focus();
    return;
  }
  const row = own.isConnected ? own : parent.children[place] ?? parent.lastElementChild ?? home;
  row?.setAttribute('tabindex', '-1');
  /** @type {HTMLElement|null} */ (row)?.focus();
}
