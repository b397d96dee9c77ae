// The sound of an alert: two short notes of the browser's own making.

let context: AudioContext | null = null;

/** Browsers play nothing before the first click or key: call it from one. */
export function unlock(): void {
  context ??= new AudioContext();
  if (context.state === "suspended") void context.resume();
}

/** Play the notes, rising or falling, at 0 to 100. */
export function chime(volume: number, rising: boolean): void {
  if (!context || context.state !== "running" || volume <= 0) return;
  const notes = rising ? [660, 880] : [660, 494];
  notes.forEach((hertz, index) => note(hertz, index * 0.11, volume / 100));
}

function note(hertz: number, after_s: number, loudness: number): void {
  if (!context) return;
  const [oscillator, gain] = [context.createOscillator(), context.createGain()];
  const begin = context.currentTime + after_s;
  oscillator.frequency.value = hertz;
  gain.gain.setValueAtTime(0.0001, begin);
  gain.gain.exponentialRampToValueAtTime(Math.max(0.001, 0.35 * loudness), begin + 0.015);
  gain.gain.exponentialRampToValueAtTime(0.0001, begin + 0.16);
  oscillator.connect(gain).connect(context.destination);
  oscillator.start(begin);
  oscillator.stop(begin + 0.18);
}
