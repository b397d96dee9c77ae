// The gateway's filters: presets, and what is wrong with a filter.

import { type Rest, RestError } from "./rest";

export interface Preset { name: string; title: string; filter: string; description: string }

/** What is wrong, and at which character from 0, null where that is not known. */
export interface Fault { message: string; position: number | null }

/** The presets. Raises `RestError`. */
export async function presets(rest: Rest): Promise<Preset[]> {
  const answer = await rest.get<Preset[] | { presets: Preset[] }>("/api/filters/presets");
  return Array.isArray(answer) ? answer : answer.presets;
}

interface Checked { valid?: boolean; errors?: { message: string; position?: number }[] }

/** What is wrong with a filter; null where nothing is, or where the gateway cannot tell beforehand. */
export async function check(rest: Rest, filter: string): Promise<Fault | null> {
  try {
    const answer = await rest.post<Checked>("/api/filters/check", { filter });
    const error = answer.errors?.[0];
    return error ? { message: error.message, position: error.position ?? null } : null;
  } catch (error) {
    if (!(error instanceof RestError)) throw error;
    // A gateway that cannot check says what is wrong when the scan is subscribed to.
    return error.missing || error.status === 0 ? null : { message: error.message, position: null };
  }
}
