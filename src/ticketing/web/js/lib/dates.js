// Dates of an event are shown in the venue's own time zone: that is where the doors open.

/** The reader's own region when it speaks the page's language: en-GB and en-US write dates differently. */
export const locale = () => {
  const lang = document.documentElement.lang || 'en';
  return navigator.languages?.find((one) => one.startsWith(lang)) ?? lang;
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

/** The three lines of a card's date block. */
export const dateBlockParts = (iso, zone) => ({
  weekday: format(iso, { weekday: 'short' }, zone),
  day: format(iso, { day: 'numeric' }, zone),
  month: format(iso, { month: 'short' }, zone),
});
