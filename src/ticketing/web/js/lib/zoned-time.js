// Wall-clock times ("2030-10-27T02:30", as in datetime-local fields) and the moments at which a zone's clock shows them.

const DAY_MS = 86_400_000;

const PARTS = { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };

/** What the clock of the zone, or of the browser, shows at a moment. */
export function wallTime(moment, zone) {
  const parts = new Intl.DateTimeFormat('en', { ...PARTS, timeZone: zone }).formatToParts(new Date(moment));
  const { year, month, day, hour, minute } = Object.fromEntries(parts.map(({ type, value }) => [type, value]));
  return `${year}-${month}-${day}T${hour}:${minute}`;
}

/** The moments at which the clock of the zone shows this time: none when it is skipped, two when clocks go back. */
export function momentsOf(wall, zone) {
  const asUtc = Date.parse(`${wall}Z`);
  if (Number.isNaN(asUtc)) return [];
  // Any change of the clock lies between these two offsets.
  const offsets = [asUtc - DAY_MS, asUtc + DAY_MS].map((moment) => Date.parse(`${wallTime(moment, zone)}Z`) - moment);
  const moments = [...new Set(offsets)].map((offset) => asUtc - offset).filter((moment) => wallTime(moment, zone) === wall);
  return moments.sort((a, b) => a - b).map((moment) => new Date(moment).toISOString());
}

/** Whether the browser knows a time zone with this name. */
export function isZone(name) {
  try {
    return Boolean(new Intl.DateTimeFormat('en', { timeZone: name || '?' }));
  } catch {
    return false;
  }
}
