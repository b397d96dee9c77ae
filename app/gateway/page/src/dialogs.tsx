// The dialogs: what can be added, layouts and their link, keys.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { encodeLayout, type Layout, TEMPLATES } from "./layout";
import { useObservable } from "./observable";
import type { Page } from "./page";
import { OFFERS } from "./registry";

export type Shown = "add" | "layouts" | "help" | null;

interface DialogProps { title: string; close: () => void; children: ComponentChildren }

/** A modal dialog; Escape and a click beside it close it, the focus goes back by itself. */
function Dialog({ title, close, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} aria-labelledby="dialog-title" onClose={close} onClick={(event) => { if (event.target === dialog.current) dialog.current?.close(); }}>
      <div class="sheet">
        <header>
          <h2 id="dialog-title">{title}</h2>
          <button type="button" class="small" aria-label="Close" onClick={() => dialog.current?.close()}>✕</button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

interface Props { page: Page; shown: Shown; close: () => void }

/** The dialog that is asked for, or none. */
export function Dialogs(props: Props) {
  if (props.shown === "add") return <Add {...props} />;
  if (props.shown === "layouts") return <Layouts {...props} />;
  return props.shown === "help" ? <Help {...props} /> : null;
}

function Add({ page, close }: Props) {
  return (
    <Dialog title="Add a widget" close={close}>
      <ul class="offers">
        {OFFERS.map((offer) => (
          <li key={offer.title}>
            <button type="button" onClick={() => { close(); page.workspace.add(offer.kind, offer.w, offer.h, offer.settings); }}>
              <b>{offer.title}</b><small>{offer.about}</small>
            </button>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}

function Layouts({ page, close }: Props) {
  const { workspace } = page;
  useObservable(workspace);
  const [name, setName] = useState("");
  const [made, setMade] = useState<{ layout: Layout; link: string } | null>(null);
  const [copied, setCopied] = useState("");
  useEffect(() => {
    const { layout } = workspace;
    void encodeLayout(layout).then((part) => setMade({ layout, link: `${location.origin}${location.pathname}#layout=${part}` }));
  }, [workspace.layout]);
  const link = made?.layout === workspace.layout ? made.link : "";
  const save = (event: Event) => {
    event.preventDefault();
    if (name.trim()) workspace.saveAs(name.trim().slice(0, 60));
    setName("");
  };
  const copy = () => navigator.clipboard.writeText(link).then(() => setCopied("Copied."), () => setCopied("The browser did not allow it: copy the text above."));
  return (
    <Dialog title="Layouts" close={close}>
      <ul class="layouts">
        {workspace.names.map((each) => (
          <li key={each}>
            <button type="button" aria-current={each === workspace.current && !workspace.foreign ? "true" : undefined} onClick={() => workspace.show(each)}>{each}</button>
            {workspace.names.length > 1 && <button type="button" class="small" aria-label={`Forget ${each}`} onClick={() => workspace.forget(each)}>✕</button>}
          </li>
        ))}
      </ul>
      <form class="line" onSubmit={save}>
        <label>Keep this one as <input type="text" maxLength={60} value={name} onInput={(event) => setName(event.currentTarget.value)} /></label>
        <button type="submit">Keep</button>
      </form>
      <label class="line">Link to this layout <input type="text" readOnly class="link" value={link} onFocus={(event) => event.currentTarget.select()} /></label>
      <div class="line">
        <button type="button" onClick={() => void copy()}>Copy the link</button>
        <span class="hint" role="status">{copied}</span>
      </div>
      <div class="line">
        <span class="hint">Begin again with</span>
        {Object.entries(TEMPLATES).map(([title, make]) => <button key={title} type="button" onClick={() => workspace.replace(make())}>{title}</button>)}
      </div>
    </Dialog>
  );
}

const KEYS: [string, string][] = [
  ["/", "search a symbol; Enter opens it"], ["↑ ↓", "from row to row; Page up, Page down, Home, End"], ["Enter", "open the row's symbol"],
  ["Space", "pause, and go on"], ["m", "mute all sound, and unmute"], ["s", "go to the headings of the table, to sort it"],
  ["Esc", "clear the search, close what is open"], ["?", "this list"],
  ["⠿ and arrows", "on a widget's grip: move it; with Shift change its size"],
];

function Help({ close }: Props) {
  return (
    <Dialog title="Keys" close={close}>
      <dl class="keys">{KEYS.map(([key, what]) => <div key={key}><dt><kbd>{key}</kbd></dt><dd>{what}</dd></div>)}</dl>
      <p class="hint">Under the pointer, and while a row has the focus, rows keep their places; their figures go on changing. A grey row has not traded for two minutes.</p>
    </Dialog>
  );
}
