// JSON values in browser storage. Where storage is unavailable (private modes throw) or full, values are kept in memory
// for the lifetime of the page.

function withFallback(find) {
  const memory = new Map();
  const storage = () => {
    try {
      return find();
    } catch {
      return null;
    }
  };
  return {
    get(key) {
      try {
        return JSON.parse(storage()?.getItem(key) ?? memory.get(key) ?? 'null');
      } catch {
        return null;
      }
    },
    set(key, value) {
      const text = JSON.stringify(value);
      memory.set(key, text);
      try {
        storage()?.setItem(key, text);
      } catch {
        // Quota exceeded or access denied: the value in memory is used.
      }
    },
    remove(key) {
      memory.delete(key);
      try {
        storage()?.removeItem(key);
      } catch {
        // Access denied: nothing was stored.
      }
    },
  };
}

export const persistentStorage = withFallback(() => localStorage);
export const tabStorage = withFallback(() => sessionStorage);
