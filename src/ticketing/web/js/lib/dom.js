// Builds and updates elements. Nothing here parses HTML, so data cannot be interpreted as markup. An element whose text has
// right-to-left letters, and every control for free text, gets its direction from its content (`dir="auto"`).

import { needsDirection } from './directions.js';

const AS_PROPERTY = new Set(['value', 'checked', 'disabled', 'hidden', 'selected', 'open', 'required', 'readOnly']);
const FREE_TEXT = new Set(['text', 'search', 'textarea']);

/**
 * Creates an element. `class`, `dataset` and `on<event>` have their own meaning; null and undefined attributes, and
 * null, undefined and false children, are left out.
 */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) setAttribute(node, name, value);
  if (FREE_TEXT.has(node.type)) node.dir ||= 'auto';
  append(node, children);
  return node;
}

function setAttribute(node, name, value) {
  if (value === undefined || value === null) return;
  if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
  else if (name === 'class') node.className = value;
  else if (name === 'dataset') Object.assign(node.dataset, value);
  // As the default value, so that form.reset() restores it.
  else if (name === 'value' && node instanceof HTMLInputElement) node.defaultValue = value;
  else if (AS_PROPERTY.has(name)) node[name] = value;
  else if (value !== false) node.setAttribute(name, value === true ? '' : String(value));
}

/** `element`: the one in which the children end up, if `node` is a fragment. */
function append(node, children, element = node) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    if (child instanceof Node) node.append(child);
    else {
      if (needsDirection(String(child))) element.dir ||= 'auto';
      node.append(String(child));
    }
  }
}

/** Replaces the children of `node`. Focus stays on the element with the same `data-key`, if there is one. */
export function fill(node, ...children) {
  const key = node.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  const fragment = document.createDocumentFragment();
  append(fragment, children, node);
  node.replaceChildren(fragment);
  if (key) node.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
  return node;
}

/** Sets the text only if it differs, to avoid needless layout. */
export function setText(node, text) {
  if (node.textContent === text) return;
  if (needsDirection(text)) node.dir ||= 'auto';
  node.textContent = text;
}

/** Returns a function that schedules `action` for the next animation frame, at most once per frame. */
export function oncePerFrame(action) {
  let scheduled = false;
  return () => {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      action();
    });
  };
}

export const prefersReducedMotion = () => matchMedia('(prefers-reduced-motion: reduce)').matches;
