// Who treats the microphone's sound: the server where the microphone is its own, else the browser; and what that cannot
// do, the server again.

import { corrections } from "../audio/microphone";
import type { Settings } from "./settings";

const UNTREATED = { muted: false, gain_db: 0, noise_suppression: false, auto_gain: false };

/** What the server shall do with the input. */
export function serverInput(settings: Settings, muted: boolean): typeof UNTREATED {
  const { source, gain_db, noise_suppression, auto_gain } = settings;
  if (source === "server") return { muted, gain_db, noise_suppression, auto_gain };
  const own = corrections();
  return {
    ...UNTREATED, // the page mutes and amplifies itself
    noise_suppression: noise_suppression && !own.noise_suppression,
    auto_gain: auto_gain && !own.auto_gain,
  };
}

export const treats = (input: typeof UNTREATED): boolean => input.noise_suppression || input.auto_gain;

/** Whether the browser's microphone has to be opened again for what was changed. */
export function reopens(now: Settings, before: Settings): boolean {
  const own = corrections();
  const names = ["echo_cancellation", "noise_suppression", "auto_gain"] as const;
  return now.microphone !== before.microphone || names.some((name) => own[name] && now[name] !== before[name]);
}
