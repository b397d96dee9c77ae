// What the browser keeps for this page; a browser that keeps nothing still shows everything.

const PREFIX = "tapereader.";

/** A kept text, null where there is none. */
export function read(name: string): string | null {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return null;
  }
}

/** Keep a text; whether the browser did. */
export function write(name: string, value: string): boolean {
  try {
    localStorage.setItem(PREFIX + name, value);
    return true;
  } catch {
    return false;
  }
}
