// Formats dates. An event's dates are shown in the venue's time zone, not the browser's.

/** The browser's regional variant of the page's language: en-GB and en-US write dates differently. */
export const locale = () => {
  const lang = document.documentElement.lang || 'en';
  return navigator.languages?.find((language) => language.startsWith(lang)) ?? lang;
};

function format(iso, options, timeZone) {
  if (!iso) return '';
  try {
    return new Intl.DateTimeFormat(locale(), { ...options, timeZone: timeZone || undefined }).format(new Date(iso));
  } catch {
    return new Intl.DateTimeFormat(locale(), options).format(new Date(iso));
  }
}

export const formatLongDateTime = (iso, zone) =>
  format(
    iso,
    { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' },
    zone,
  );

export const formatShortDateTime = (iso, zone) =>
  format(iso, { weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }, zone);

export const formatTime = (iso, zone) => format(iso, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }, zone);

/** The three lines of the date block on an event card. */
export const dateBlockParts = (iso, zone) => ({
  weekday: format(iso, { weekday: 'short' }, zone),
  day: format(iso, { day: 'numeric' }, zone),
  month: format(iso, { month: 'short' }, zone),
});
