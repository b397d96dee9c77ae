// Numbers and times as text. A value that is not known is a dash, never a zero.

const NONE = "–";
const plain = new Intl.NumberFormat("en-US");
const two = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const four = new Intl.NumberFormat("en-US", { minimumFractionDigits: 4, maximumFractionDigits: 4 });
const compact = new Intl.NumberFormat("en-US", { notation: "compact", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const eastern = new Intl.DateTimeFormat("en-US", {
  timeZone: "America/New_York", hourCycle: "h23", weekday: "short",
  hour: "2-digit", minute: "2-digit", second: "2-digit",
});

const known = (value) => typeof value === "number" && Number.isFinite(value);

export const price = (value) => (known(value) ? (Math.abs(value) < 1 ? four : two).format(value) : NONE);
export const count = (value) => (known(value) ? (value < 1000 ? plain : compact).format(value) : NONE);
export const whole = (value) => (known(value) ? plain.format(value) : NONE);
export const ratio = (value) => (known(value) ? `${two.format(value)}×` : NONE);

// The sign is in the text and the arrow as well as in the colour: not everyone tells red from green.
export function percent(value) {
  if (!known(value)) return NONE;
  const sign = value > 0 ? "▲ +" : value < 0 ? "▼ −" : "";
  return `${sign}${two.format(Math.abs(value))}%`;
}

export const direction = (value) => (!known(value) || value === 0 ? "flat" : value > 0 ? "up" : "down");

function parts(ms) {
  return Object.fromEntries(eastern.formatToParts(ms).map((part) => [part.type, part.value]));
}

export function easternTime(ms) {
  if (!known(ms)) return NONE;
  const at = parts(ms);
  return `${at.hour}:${at.minute}:${at.second} ET`;
}

// The session by the data's own time; holidays and half days are not known here.
export function session(ms) {
  if (!known(ms)) return NONE;
  const at = parts(ms);
  const minute = Number(at.hour) * 60 + Number(at.minute);
  if (at.weekday === "Sat" || at.weekday === "Sun" || minute < 240 || minute >= 1200) return "Closed";
  if (minute < 570) return "Pre-market";
  return minute < 960 ? "Regular" : "After hours";
}

export function age(ms) {
  if (!known(ms)) return NONE;
  const seconds = Math.max(0, ms / 1000);
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h`;
}
