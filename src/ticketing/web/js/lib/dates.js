// Formats dates. An event's dates are shown in its own time zone, which is named where the reader's clock differs.

import { momentsOf, wallTime } from './zoned-time.js';

/** The browser's regional variant of the page's language: en-GB and en-US write dates differently. */
export const locale = () => {
  const lang = document.documentElement.lang || 'en';
  return navigator.languages?.find((language) => language.startsWith(lang)) ?? lang;
};

const CLOCK = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };

const format = (iso, options, timeZone) =>
  iso ? new Intl.DateTimeFormat(locale(), { ...options, timeZone }).format(new Date(iso)) : '';

/** Without a zone, in the reader's. */
export const formatLongDateTime = (iso, zone) =>
  withZone(iso, { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric', ...CLOCK }, zone);

export const formatShortDateTime = (iso, zone) =>
  withZone(iso, { weekday: 'short', day: 'numeric', month: 'short', ...CLOCK }, zone);

export const formatTime = (iso, zone) => withZone(iso, CLOCK, zone);

/** The browser's time zone. */
export const ownZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone ?? 'UTC';

/** The name of a zone as people read it: "Amsterdam time". */
export const zoneLabel = (zone) => (zone === 'UTC' ? zone : `${zone.split('/').at(-1).replaceAll('_', ' ')} time`);

// An hour that the clock shows twice has the short name of its half: CEST or CET.
function withZone(iso, options, zone) {
  if (!iso || !zone) return format(iso, options, zone);
  const isRepeated = momentsOf(wallTime(iso, zone), zone).length > 1;
  const text = format(iso, isRepeated ? { ...options, timeZoneName: 'short' } : options, zone);
  return wallTime(iso, zone) === wallTime(iso) ? text : `${text} (${zoneLabel(zone)})`;
}

/** The three lines of the date block on an event card. */
export const dateBlockParts = (iso, zone) => ({
  weekday: format(iso, { weekday: 'short' }, zone),
  day: format(iso, { day: 'numeric' }, zone),
  month: format(iso, { month: 'short' }, zone),
});
