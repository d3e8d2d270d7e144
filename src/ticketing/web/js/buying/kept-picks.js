// Keeps picked seats and quantities over a reload of the tab.

import { tabStorage } from '../lib/storage.js';

const slotOf = (store) => `ticketing.picks.${store.event.id}`;

/**
 * Restores what was picked in this tab, and stores every change. Call this before live updates arrive: the first
 * snapshot drops and reports what has gone since.
 */
export function keepPicks(store) {
  const kept = tabStorage.get(slotOf(store));
  if (kept && !store.isClosed) restore(store, kept);
  store.on('picks', () => {
    const seats = [...store.picks].map((number) => store.seats.list[number].label);
    const quantities = [...store.quantities].filter(([, quantity]) => quantity > 0);
    if (seats.length + quantities.length > 0) tabStorage.set(slotOf(store), { seats, quantities });
    else tabStorage.remove(slotOf(store));
  });
}

function restore(store, { seats = [], quantities = [] }) {
  for (const label of seats) {
    const number = store.seats?.byLabel.get(label);
    if (number !== undefined && store.seats.priceOf(number) && store.pickedCount < store.limit) store.picks.add(number);
  }
  for (const type of store.areaTypes) {
    const wanted = new Map(quantities).get(type.id) ?? 0;
    const quantity = Math.min(wanted, store.maxQuantity(type));
    if (quantity > 0) store.quantities.set(type.id, quantity);
  }
  store.emit('picks');
}
