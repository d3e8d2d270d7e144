// Browser storage that survives being switched off (private modes throw): then values live as long as the page.

function guarded(find) {
  const memory = new Map();
  const real = () => {
    try {
      return find();
    } catch {
      return null;
    }
  };
  return {
    get(key) {
      try {
        return JSON.parse(real()?.getItem(key) ?? memory.get(key) ?? 'null');
      } catch {
        return null;
      }
    },
    set(key, value) {
      const text = JSON.stringify(value);
      memory.set(key, text);
      try {
        real()?.setItem(key, text);
      } catch {
        // Full or forbidden: the copy in memory serves this page.
      }
    },
    remove(key) {
      memory.delete(key);
      try {
        real()?.removeItem(key);
      } catch {
        // Nothing to remove where nothing could be written.
      }
    },
  };
}

export const persistentStorage = guarded(() => localStorage);
export const tabStorage = guarded(() => sessionStorage);
