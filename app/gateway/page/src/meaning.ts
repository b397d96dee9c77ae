// Which symbol a typed text means: its exact letters, else the only symbol of the same letters in other case.

import { Observable } from "./observable";
import type { Rest } from "./rest";

/** The last text that may mean several symbols, and which. */
export class Meaning extends Observable {
  text = "";
  symbols: string[] = [];
  private asked = 0;

  constructor(private readonly rest: Rest) {
    super();
  }

  /** The symbol that is meant; null where there are several, which are then shown, or another text was asked of since. */
  async of(text: string): Promise<string | null> {
    const asked = ++this.asked;
    const found = await this.spelled(text);
    if (asked !== this.asked) return null;
    this.show(found.length > 1 ? text : "", found.length > 1 ? found : []);
    if (found.length > 1) return null;
    // Nobody knows it yet: symbols are in capitals, unless someone took the trouble of another letter.
    return found[0] ?? (text === text.toLowerCase() ? text.toUpperCase() : text);
  }

  clear(): void {
    this.show("", []);
  }

  private async spelled(text: string): Promise<string[]> {
    try {
      return (await this.rest.get<{ symbols: string[] }>(`/api/spellings/${encodeURIComponent(text)}`)).symbols;
    } catch {
      return []; // The gateway does not answer: the page says so, and takes the text as it is.
    }
  }

  private show(text: string, symbols: string[]): void {
    if (!symbols.length && !this.symbols.length) return;
    this.text = text;
    this.symbols = symbols;
    this.changed();
  }
}
