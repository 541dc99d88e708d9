// What the person chose; it outlives the page.

import { create } from "zustand";

const STORE = "menura";

export type Parameter = "pitch_st" | "formant" | "mix";
export type Parameters = Record<Parameter, number>;
export type HotkeyAction = "toggle" | "compare" | "talk" | "mute";

export const NEUTRAL: Parameters = { pitch_st: 0, formant: 1, mix: 1 };

export interface Settings {
  voice: string;
  parameters: Parameters;
  volume: number;
  muted: boolean;
  source: "browser" | "server";
  microphone: string;
  speaker: string;
  sample_rate: number;
  echo_cancellation: boolean;
  noise_suppression: boolean;
  auto_gain: boolean;
  gain_db: number;
  push_to_talk: boolean;
  server_input: string;
  server_output: string;
  theme: "auto" | "light" | "dark";
  hotkeys: Record<HotkeyAction, string>;
}

export const DEFAULTS: Settings = {
  voice: "",
  parameters: NEUTRAL,
  volume: 100,
  muted: false,
  source: "browser",
  microphone: "",
  speaker: "",
  sample_rate: 48_000,
  echo_cancellation: false,
  noise_suppression: false,
  auto_gain: false,
  gain_db: 0,
  push_to_talk: false,
  server_input: "",
  server_output: "",
  theme: "auto",
  hotkeys: { toggle: "KeyS", compare: "KeyC", talk: "Space", mute: "KeyM" },
};

const sameKind = (a: unknown, b: unknown) => typeof a === typeof b && Array.isArray(a) === Array.isArray(b);

/** Kept settings over the defaults; what is of another kind, or unknown, is left out. */
export function restored<T extends object>(kept: unknown, defaults: T): T {
  const found = { ...defaults };
  if (!kept || typeof kept !== "object") return found;
  for (const name of Object.keys(defaults) as (keyof T)[]) {
    const value = (kept as Partial<T>)[name];
    const standard = defaults[name];
    if (value === undefined || value === null || !sameKind(value, standard)) continue;
    found[name] = typeof standard === "object" && standard ? (restored(value, standard) as T[keyof T]) : value;
  }
  return found;
}

export function load(): Settings {
  try {
    return restored(JSON.parse(localStorage.getItem(STORE) ?? "{}"), DEFAULTS);
  } catch {
    return DEFAULTS; // a browser may refuse the store, or hold something else in it
  }
}

export const useSettings = create<Settings>(() => load());

useSettings.subscribe((settings) => {
  try {
    localStorage.setItem(STORE, JSON.stringify(settings));
  } catch {
    // then the settings last as long as the page
  }
});
