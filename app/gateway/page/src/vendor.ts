// What is known of the vendor's feed, in words: what its plan lacks, whether it is late, why it is away.

/** What the vendor answered to a subscription. */
export type Answer = "acknowledged" | "refused" | "unanswered";

/** The producer's last word on the feed, as `/api/status` hands it on. */
export interface VendorFeed {
  at_ms: number;
  connected: boolean;
  host: string;
  channels: Record<string, Answer>;
  late: boolean | null;
  evictions: number;
  problem: string | null;
}

const NAMES: Record<string, string> = { A: "Bars", T: "Trades", Q: "Quotes", LULD: "Price bands and halts" };

/** Why nothing of an event type (`A`, `T`, `Q`, `LULD`) comes; null where it may come, or nothing is known. */
export function lacking(feed: VendorFeed | null | undefined, kind: string): string | null {
  const all = Object.entries(feed?.channels ?? {});
  if (!all.length) return null;
  const answers = all.filter(([channel]) => channel.split(".")[0] === kind).map(([, answer]) => answer);
  const name = NAMES[kind] ?? kind;
  if (answers.includes("acknowledged")) return null;
  if (answers.includes("refused")) return `${name} are not in your plan.`;
  if (answers.length) return `The vendor has not answered the subscription to ${name.toLowerCase()}.`;
  return `${name} are not subscribed to.`;
}

/** Why there is no feed, short enough for the strip; null: there is one, or nothing is known. */
export function trouble(feed: VendorFeed | null | undefined): string | null {
  if (!feed?.problem || feed.connected) return null;
  return `Feed: ${feed.problem.split(/ \(|[:;] /)[0]}`;
}
