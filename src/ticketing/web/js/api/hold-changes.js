// Tells the tabs of this browser that a hold was made, extended, paid or let go in one of them.

const channel = 'BroadcastChannel' in globalThis ? new BroadcastChannel('ticketing.holds') : null;

/** Tells the other tabs; each asks the server what is held now. */
export const announceHoldChange = () => channel?.postMessage('changed');

/**
 * Calls `listener` after a change in another tab, and when this tab is shown again: a phone may have slept through
 * the message, and another device sends none.
 */
export function onHoldChange(listener) {
  channel?.addEventListener('message', () => listener());
  document.addEventListener('visibilitychange', () => document.hidden || listener());
  addEventListener('pageshow', (event) => event.persisted && listener());
}
