// The state of a purchase at one event (picked seats, quantities, hold, availability) and the actions that change it.
// The map, the list and the panel render this state and listen to its events, so that they always agree.

import { ensureLogin } from '../account/login-form.js';
import { get, post, remove } from '../api/client.js';
import { announceHoldChange } from '../api/hold-changes.js';
import { currentUser } from '../api/session.js';
import { multiplyMoney, sumMoney } from '../lib/money.js';
import { serverNow } from '../lib/server-clock.js';
import { HELD } from '../seatmap/seats.js';
import { t } from '../words/translate.js';
import { saleState, saleWords } from './sale.js';

/**
 * Events: `statuses` ({changed}), `picks` ({number}), `picksLost` ({lost}), `reservation`, `expired` ({numbers}),
 * `ended` ({status, numbers}), `refused` ({text}), `failed` ({error}), `filter`, `busy`, `stream` ({state}), `sale`.
 */
export class PurchaseStore extends EventTarget {
  constructor(event, seats) {
    super();
    this.event = event;
    this.seats = seats;
    this.picks = new Set();
    this.quantities = new Map();
    this.areas = {};
    this.filter = null;
    this.reservation = null;
    this.isBusy = false;
    this.stream = 'connecting';
    this.sale = saleState(event, serverNow());
  }

  emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  on(names, listener) {
    for (const name of names.split(' ')) this.addEventListener(name, listener);
  }

  // — live updates —

  applySnapshot({ seats, version, areas }) {
    this.#applied(this.seats?.applySnapshot(seats ?? '', version) ?? [], areas, version);
  }

  applyChanges({ changes, version, areas }) {
    this.#applied(this.seats?.applyChanges(changes ?? [], version) ?? [], areas, version);
  }

  #applied(changed, areas, version) {
    if (areas) this.areas = { ...this.areas, ...areas };
    this.version = version;
    this.emit('statuses', { changed });
    this.updateSale();
    this.dropLostPicks();
    const held = new Set(this.heldNumbers);
    if (changed.some((number) => held.has(number) && this.seats.statuses[number] !== HELD)) this.checkHold();
  }

  setStreamState(state) {
    this.stream = state;
    this.emit('stream', { state });
  }

  /** Drops picked seats that are no longer available. Waits while a hold is in progress: it may be the cause. */
  dropLostPicks() {
    if (this.isBusy || !this.seats) return;
    const lost = [...this.picks].filter((number) => !this.seats.canPick(number));
    if (lost.length === 0) return;
    for (const number of lost) this.picks.delete(number);
    this.emit('picks');
    this.emit('picksLost', { lost });
  }

  // — the sale —

  /** Whether nothing can be bought, whatever others do with what they hold. */
  get isClosed() {
    return !['open', 'all_taken'].includes(this.sale);
  }

  /** The places that are available and held now; those of the event until the first live update. */
  get #left() {
    if (this.version === undefined) return this.event.availability;
    const free = (this.seats?.categories ?? []).reduce((sum, category) => sum + category.free, 0);
    const available = this.areaTypes.reduce((sum, type) => sum + (this.availableOf(type) ?? 0), free);
    if (available > 0) return { available, held: 0 };
    const held = this.seats?.statuses.filter((status) => status === HELD).length ?? 0;
    return { available, held: this.areaTypes.reduce((sum, type) => sum + (type.held ?? 0), held) };
  }

  updateSale() {
    const sale = saleState(this.event, serverNow(), this.#left);
    if (sale === this.sale) return;
    this.sale = sale;
    this.emit('sale');
  }

  /** Sets how many places without seats are held: live updates have only how many are available. */
  setPlaces(types) {
    const held = new Map(types.map((type) => [type.id, type.held]));
    for (const type of this.areaTypes) type.held = held.get(type.id) ?? 0;
    this.updateSale();
  }

  // — picking —

  get areaTypes() {
    return this.event.ticket_types.filter((type) => !(type.categories?.length > 0));
  }

  get pickedCount() {
    return this.picks.size + [...this.quantities.values()].reduce((sum, quantity) => sum + quantity, 0);
  }

  get limit() {
    return Math.min(this.event.max_per_order ?? 10, this.event.max_per_buyer ?? Infinity);
  }

  get total() {
    const prices = [...this.picks].map((number) => this.seats.priceOf(number));
    for (const type of this.areaTypes) prices.push(multiplyMoney(type.price, this.quantities.get(type.id) ?? 0));
    return sumMoney(prices, this.event);
  }

  /** Picks or drops a seat; a refusal is reported with its reason by the `refused` event. */
  toggle(number) {
    if (this.reservation) return this.emit('refused', { text: t('refused.holding') });
    if (this.isClosed) return this.emit('refused', { text: saleWords(this.event, this.sale) });
    if (this.picks.has(number)) this.picks.delete(number);
    else if (!this.seats.canPick(number)) return this.emit('refused', { text: this.#refusalText(number) });
    else if (this.pickedCount >= this.limit) return this.emit('refused', { text: t('refused.limit', { limit: this.limit }) });
    else this.picks.add(number);
    return this.emit('picks', { number });
  }

  #refusalText(number) {
    const state = ['no_price', 'held', 'sold', 'blocked', 'unknown'][this.seats.statuses[number]];
    return t(`refused.${state}`, { seat: this.nameOf(number) });
  }

  pickSeats(numbers) {
    for (const number of numbers) if (this.seats.canPick(number) && this.pickedCount < this.limit) this.picks.add(number);
    this.emit('picks', { number: numbers[0] });
  }

  setQuantity(typeId, quantity) {
    this.quantities.set(typeId, Math.max(0, quantity));
    this.emit('picks');
  }

  setFilter(categories) {
    this.filter = categories;
    this.emit('filter');
  }

  /** How many places of this type can be picked, besides what is picked already. */
  maxQuantity(type) {
    const picked = this.quantities.get(type.id) ?? 0;
    const limits = [type.max_per_order ?? this.limit, this.availableOf(type) ?? this.limit];
    return Math.min(...limits, picked + this.limit - this.pickedCount);
  }

  availableOf(type) {
    return this.areas[type.id]?.available ?? type.available ?? type.capacity ?? null;
  }

  nameOf(number) {
    const seat = this.seats.list[number];
    return t('seat.short', { section: seat.section, row: seat.row, seat: this.seats.seatName(number) });
  }

  // — holding —

  hold() {
    const seats = [...this.picks].map((number) => this.seats.list[number].label);
    const items = [...this.quantities]
      .filter(([, quantity]) => quantity > 0)
      .map(([ticket_type_id, quantity]) => ({ ticket_type_id, quantity }));
    return this.#reserve({ ...(seats.length > 0 && { seats }), ...(items.length > 0 && { items }) });
  }

  holdBestAvailable(quantity, category) {
    return this.#reserve({ best_available: { quantity, ...(category && { category }) } });
  }

  async #reserve(request) {
    if (this.isBusy || !(await ensureLogin(t('login.to_hold')))) return;
    // Seats taken during the log-in have been dropped and reported by `dropLostPicks`.
    if (request.seats && request.seats.some((label) => !this.picks.has(this.seats.byLabel.get(label)))) return;
    await this.#runExclusively(async () => {
      this.#acceptReservation(await post('/reservations', { event_id: this.event.id, ...request }));
    });
  }

  #acceptReservation(reservation) {
    this.picks.clear();
    this.quantities.clear();
    this.setReservation(reservation);
    this.emit('picks');
    announceHoldChange();
  }

  /** Shows an existing hold of this user for this event, after a reload or a return from the payment page. */
  async resumeHold() {
    // New picks, or a hold in progress, take precedence over an older hold.
    const isSuperseded = () => !currentUser() || this.reservation || this.isBusy || this.pickedCount > 0;
    if (isSuperseded()) return;
    const reservations = await get('/me/reservations').catch(() => []);
    const active = (reservations ?? []).filter((held) => held.event_id === this.event.id && held.status === 'active');
    active.sort((a, b) => Date.parse(b.expires_at) - Date.parse(a.expires_at));
    if (active.length > 0 && !isSuperseded()) this.setReservation(active[0]);
  }

  /** Asks the server about the hold: it may have been extended, paid or let go in another tab or on another device. */
  async checkHold() {
    const known = this.reservation;
    if (!known) return this.resumeHold();
    const held = await get(`/reservations/${known.id}`).catch(() => null);
    if (!held || this.isBusy || this.reservation?.id !== known.id) return undefined;
    if (held.status === 'active') return held.expires_at === known.expires_at ? undefined : this.setReservation(held);
    if (held.status === 'expired') return this.expire();
    const numbers = this.heldNumbers;
    this.setReservation(null);
    return this.emit('ended', { status: held.status, numbers });
  }

  setReservation(reservation) {
    this.reservation = reservation;
    this.emit('reservation');
  }

  get heldNumbers() {
    if (!this.seats) return [];
    return (this.reservation?.items ?? [])
      .map((item) => this.seats.byLabel.get(item.seat?.label ?? item.seat))
      .filter((number) => number !== undefined);
  }

  extend() {
    return this.#runExclusively(async () => {
      this.setReservation({
        ...this.reservation,
        ...(await post(`/reservations/${this.reservation.id}/extend`)),
        wasExtended: true,
      });
      announceHoldChange();
    });
  }

  release() {
    return this.#runExclusively(async () => {
      await remove(`/reservations/${this.reservation.id}`);
      this.setReservation(null);
      announceHoldChange();
    });
  }

  /** The hold has expired without a payment; the listener of `expired` offers the same seats again. */
  expire() {
    const numbers = this.heldNumbers;
    this.setReservation(null);
    this.emit('expired', { numbers });
  }

  /** Runs one action at a time; a second one is ignored. Errors are reported by the `failed` event. */
  async #runExclusively(work) {
    if (this.isBusy) return;
    this.isBusy = true;
    this.emit('busy');
    try {
      await work();
    } catch (error) {
      this.emit('failed', { error });
    } finally {
      this.isBusy = false;
      this.emit('busy');
      this.dropLostPicks();
    }
  }
}
