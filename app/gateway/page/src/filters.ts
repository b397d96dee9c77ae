// The gateway's filters: presets, and what is wrong with a filter.

import { type Rest, RestError } from "./rest";

/** A filter to begin with; `sort` is the field that its rows are ordered by, `-` before it for falling. */
export interface Preset { name: string; title: string; filter: string; description: string; sort: string }

/** What is wrong, and at which character from 0, null where that is not known. */
export interface Fault { message: string; position: number | null }

/** The presets. Raises `RestError`. */
export async function presets(rest: Rest): Promise<Preset[]> {
  return (await rest.get<{ presets: Preset[] }>("/api/filters/presets")).presets;
}

interface Checked { errors: { message: string; position: number | null }[] }

/** What is wrong with a filter; null where nothing is, or where the gateway cannot tell beforehand. */
export async function check(rest: Rest, filter: string): Promise<Fault | null> {
  try {
    const answer = await rest.post<Checked>("/api/filters/check", { filter });
    return answer.errors[0] ?? null;
  } catch (error) {
    if (!(error instanceof RestError)) throw error;
    // A gateway that cannot check says what is wrong when the scan is subscribed to.
    return error.missing || error.status === 0 ? null : { message: error.message, position: null };
  }
}

/** The name of a scan on the page's connection: equal for equal filters, which share it. */
export function scanFeed(filter: string, sort: string): string {
  let hash = 5381;
  for (const letter of `${sort}\n${filter}`) hash = (hash * 33 + (letter.codePointAt(0) ?? 0)) % 0x1fffffffffff;
  return `scan:quotes:${hash.toString(36)}`;
}
