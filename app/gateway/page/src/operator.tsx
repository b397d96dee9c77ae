// The operators' page: processes, lag, feeds, clients, the producer's subscriptions, dead letters.

import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { VendorFeed } from "./vendor";

const REFRESH_MS = 3000;

interface Session { mode: string; signed_in: boolean; name: string | null; subject: string | null; role: string | null; login_url: string | null }
interface Process { name: string; pid: number | null; alive: boolean; amiss?: string | null; restarts: number }
interface Processes { running: boolean; processes: Process[] }
interface Lag { group: string; lag: number; topics: Record<string, number>; standing: string[] }
interface Feed { feed: string; options: Record<string, unknown>; clients: number }
interface LeftOut { refused: { topic: string; reason: string; records: number }[]; late: Record<string, number> }
interface Client { subject: string | null; feeds: number; waiting: number; sent: number; conflated: number }
interface Letter { time_ms: number; topic?: string; partition?: number; offset?: number; reason: string; value?: string }

/** What is asked for, or why it could not be had. */
type Found<T> = { value?: T; fault?: string };

let key = sessionStorage.getItem("tapereader.operator.key") ?? "";

/** A request to the gateway. Raises `Error` with the problem's detail. */
async function ask<T>(path: string, method = "GET", body?: unknown): Promise<T> {
  const headers: Record<string, string> = { "X-Tapereader-Control": "1" };
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const answer = response.status === 204 ? null : await response.json();
  if (!response.ok) throw new Error(answer?.detail ?? `${response.status} ${response.statusText}`);
  return answer as T;
}

/** The newest answer of a path, asked for again and again while the page is seen. */
function useAsked<T>(path: string): [Found<T>, () => void] {
  const [found, setFound] = useState<Found<T>>({});
  const look = () => ask<T>(path).then((value) => setFound({ value }), (error: Error) => setFound({ fault: error.message }));
  useEffect(() => {
    void look();
    const timer = window.setInterval(() => { if (!document.hidden) void look(); }, REFRESH_MS);
    return () => window.clearInterval(timer);
  }, [path]);
  return [found, () => void look()];
}

function Part<T>({ title, found, children }: { title: string; found: Found<T>; children: (value: T) => preact.ComponentChildren }) {
  return (
    <section aria-label={title}>
      <h2>{title}</h2>
      {found.fault && <p class="fault">{found.fault}</p>}
      {found.value !== undefined ? <div class="scroll">{children(found.value)}</div> : !found.fault && <p class="quiet">Asking …</p>}
    </section>
  );
}

function Rows({ names, rows }: { names: string[]; rows: (string | number | null | preact.JSX.Element)[][] }) {
  if (!rows.length) return <p class="quiet">None.</p>;
  const side = (at: number) => (typeof rows[0]?.[at] === "number" ? "number" : "");
  return (
    <table>
      <thead><tr>{names.map((name, at) => <th key={name} scope="col" class={side(at)}>{name}</th>)}</tr></thead>
      <tbody>{rows.map((row, number) => <tr key={number}>{row.map((cell, at) => <td key={at} class={side(at)}>{typeof cell === "number" ? cell.toLocaleString("en-US") : cell}</td>)}</tr>)}</tbody>
    </table>
  );
}

function Workers() {
  const [found, again] = useAsked<Processes>("/api/operator/processes");
  const [said, setSaid] = useState("");
  const restart = (name: string) => {
    ask(`/api/operator/workers/${encodeURIComponent(name)}/restart`, "POST").then(
      () => { setSaid(`${name} is starting again.`); again(); },
      (error: Error) => setSaid(error.message),
    );
  };
  return (
    <Part title="Processes" found={found}>{(state) => <>
      {!state.running && <p class="quiet">No `tapereader up` runs beside this gateway: its processes are another machine's.</p>}
      {state.running && <Rows names={["name", "state", "pid", "restarts", ""]} rows={state.processes.map((each) => [
        each.name, !each.alive ? "ended" : each.amiss ? <span class="fault">not ready: {each.amiss}</span> : "running", String(each.pid ?? "-"), each.restarts,
        each.name.startsWith("worker") ? <button type="button" onClick={() => restart(each.name)}>Restart {each.name}</button> : <></>,
      ])} />}
      <p role="status">{said}</p>
    </>}</Part>
  );
}

function Subscriptions() {
  const [found, again] = useAsked<string[]>("/api/operator/subscriptions");
  const [status] = useAsked<{ feed: VendorFeed | null }>("/api/status");
  const feed = status.value?.feed;
  const [channel, setChannel] = useState("");
  const [fault, setFault] = useState("");
  const change = (method: string, name: string) =>
    ask(`/api/operator/subscriptions/${encodeURIComponent(name)}`, method).then(() => { setFault(""); setChannel(""); again(); }, (error: Error) => setFault(error.message));
  return (
    <Part title="The producer's subscriptions" found={found}>{(held) => <>
      {feed && <p class={feed.problem ? "fault" : "quiet"}>{feed.host}: {feed.problem ?? (feed.connected ? "connected" : "not connected")}{feed.late ? ", 15 minutes late" : ""}{feed.evictions ? `; its place was taken ${feed.evictions} times by another connection of the account` : ""}</p>}
      <ul class="channels">{held.map((each) => <li key={each} class={feed?.channels[each] ?? ""}>{each}{feed?.channels[each] ? ` (${feed.channels[each]})` : ""} <button type="button" aria-label={`Remove ${each}`} onClick={() => void change("DELETE", each)}>×</button></li>)}</ul>
      <form onSubmit={(event) => { event.preventDefault(); void change("POST", channel.trim()); }}>
        <input aria-label="Channel" placeholder="T.AAPL" value={channel} onInput={(event) => setChannel(event.currentTarget.value)} />
        <button type="submit">Subscribe</button>
      </form>
      {fault && <p class="fault" role="alert">{fault}</p>}
    </>}</Part>
  );
}

function Parts() {
  const [lag] = useAsked<Lag>("/api/operator/lag");
  const [feeds] = useAsked<{ feeds: Feed[] }>("/api/operator/feeds");
  const [clients] = useAsked<{ clients: Client[] }>("/api/operator/clients");
  const [leftOut] = useAsked<LeftOut>("/api/operator/left-out");
  const [letters] = useAsked<{ dead_letters: Letter[] }>("/api/operator/dead-letters?limit=50");
  return (
    <main>
      <Workers />
      <Part title="Lag" found={lag}>{(value) => <><p>{value.lag.toLocaleString("en-US")} records to go in group {value.group}</p>{value.standing.map((each) => <p class="fault" key={each}>{each}</p>)}<Rows names={["topic", "records to go"]} rows={Object.entries(value.topics)} /></>}</Part>
      <Subscriptions />
      <Part title="Feeds of this gateway process" found={feeds}>{(value) => <Rows names={["feed", "options", "clients"]} rows={value.feeds.map((each) => [each.feed, JSON.stringify(each.options), each.clients])} />}</Part>
      <Part title="Clients of this gateway process" found={clients}>{(value) => <Rows names={["who", "feeds", "waiting", "sent", "conflated"]} rows={value.clients.map((each) => [each.subject ?? "-", each.feeds, each.waiting, each.sent, each.conflated])} />}</Part>
      <Part title="Left out of the tables" found={leftOut}>{(value) => <Rows names={["topic", "why", "records"]} rows={[
        ...value.refused.map((each) => [each.topic, `refused: ${each.reason}`, each.records]),
        ...Object.entries(value.late).map(([topic, records]) => [topic, "late: a newer one of the symbol was there", records]),
      ]} />}</Part>
      <Part title="Dead letters" found={letters}>{(value) => <Rows names={["when", "record", "why"]} rows={value.dead_letters.map((each) => [new Date(each.time_ms).toLocaleString(), `${each.topic ?? "?"}[${each.partition ?? "?"}]@${each.offset ?? "?"}`, each.reason])} />}</Part>
    </main>
  );
}

/** Who may see the page; who is not known signs in, at the provider or with a key. */
function Page() {
  const [session, setSession] = useState<Found<Session>>({});
  const look = () => ask<Session>("/api/session").then((value) => setSession({ value }), (error: Error) => setSession({ fault: error.message }));
  useEffect(() => void look(), []);
  const who = session.value;
  const enter = (event: SubmitEvent) => {
    event.preventDefault();
    key = new FormData(event.currentTarget as HTMLFormElement).get("key")?.toString() ?? "";
    sessionStorage.setItem("tapereader.operator.key", key);
    void look();
  };
  return (
    <>
      <header><h1>Tapereader: operation</h1><span>{who?.signed_in ? `${who.name ?? who.subject} (${who.role}) ` : ""}<a href="/">The page</a></span></header>
      {session.fault && <p class="fault">{session.fault}</p>}
      {who?.role === "operator" && <Parts />}
      {who && who.role !== "operator" && <>
        <p>{who.signed_in ? "This page takes the role operator." : "Sign in as an operator."}</p>
        {who.login_url && <p><a href={`${who.login_url}?next=/operator`}>Sign in</a></p>}
        <form onSubmit={enter}><input name="key" type="password" aria-label="API key" placeholder="API key" autocomplete="off" /><button type="submit">Use the key</button></form>
      </>}
    </>
  );
}

const root = document.getElementById("operator");
if (root) render(<Page />, root);
