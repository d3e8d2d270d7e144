// Answers may arrive out of order: only the answer to the last request may be shown.

/** Returns a function that begins a request and returns whether that request is still the last one. */
export function trackLatest() {
  let last = 0;
  return () => {
    const request = (last += 1);
    return () => request === last;
  };
}
