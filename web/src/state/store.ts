import { useLayoutEffect, useState } from "preact/hooks";

/** A value that views follow. */
export interface Store<T> {
  readonly value: T;
  set(value: T): void;
  change(part: Partial<T>): void;
  subscribe(listener: () => void): () => void;
}

export function createStore<T>(initial: T): Store<T> {
  let value = initial;
  const listeners = new Set<() => void>();
  return {
    get value() {
      return value;
    },
    set(next) {
      if (next === value) return;
      value = next;
      for (const listener of [...listeners]) listener();
    },
    change(part) {
      this.set({ ...value, ...part });
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** The value of a store; the component is drawn again when it changes. */
export function useStore<T>(store: Store<T>): T {
  const [, draw] = useState<T>(store.value);
  useLayoutEffect(() => {
    const follow = () => draw(() => store.value);
    follow();
    return store.subscribe(follow);
  }, [store]);
  return store.value;
}
