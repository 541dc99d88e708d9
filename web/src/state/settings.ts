// What the person chose; it outlives the page. What they did not choose is as the server has it for everybody.

import { create } from "zustand";

const STORE = "menura";

export type Parameter = "pitch_st" | "formant" | "mix";
export type Parameters = Record<Parameter, number>;
export type HotkeyAction = "toggle" | "compare" | "talk" | "microphone" | "mute";

export const NEUTRAL: Parameters = { pitch_st: 0, formant: 1, mix: 1 };

export interface Settings {
  voice: string;
  parameters: Parameters;
  volume: number;
  muted: boolean;
  source: "browser" | "server";
  microphone: string;
  speaker: string;
  /** A second loudspeaker, for the person themselves; empty for none. */
  monitor: string;
  sample_rate: number;
  echo_cancellation: boolean;
  noise_suppression: boolean;
  auto_gain: boolean;
  gain_db: number;
  push_to_talk: boolean;
  server_input: string;
  server_output: string;
  server_monitor: string;
  /** How often the server is asked how it goes. */
  status_interval_ms: number;
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
  monitor: "",
  sample_rate: 48_000,
  echo_cancellation: false,
  noise_suppression: false,
  auto_gain: false,
  gain_db: 0,
  push_to_talk: false,
  server_input: "",
  server_output: "",
  server_monitor: "",
  status_interval_ms: 200,
  theme: "auto",
  hotkeys: { toggle: "KeyS", compare: "KeyC", talk: "Space", microphone: "KeyN", mute: "KeyM" },
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

function kept(): unknown {
  try {
    return JSON.parse(localStorage.getItem(STORE) ?? "{}");
  } catch {
    return {}; // a browser may refuse the store, or hold something else in it
  }
}

function keep(settings: Partial<Settings>): void {
  try {
    localStorage.setItem(STORE, JSON.stringify(settings));
  } catch {
    // then the settings last as long as the page
  }
}

/** Names of what the person chose themselves. */
const chosen = new Set<keyof Settings>();
/** What everybody has who chose nothing. */
let common: Settings = DEFAULTS;
let adopting = false;

function load(): Settings {
  const found = kept();
  chosen.clear();
  for (const name of Object.keys(DEFAULTS) as (keyof Settings)[]) {
    if (found && typeof found === "object" && name in found) chosen.add(name);
  }
  return restored(found, DEFAULTS);
}

export const useSettings = create<Settings>(() => load());

useSettings.subscribe((now, before) => {
  if (adopting) return;
  const names = Object.keys(DEFAULTS) as (keyof Settings)[];
  for (const name of names) if (now[name] !== before[name]) chosen.add(name);
  keep(Object.fromEntries(names.filter((name) => chosen.has(name)).map((name) => [name, now[name]])));
});

function quietly(changes: Partial<Settings>): void {
  adopting = true;
  useSettings.setState(changes);
  adopting = false;
}

/** Take settings, as far as the person has not chosen otherwise; they are not kept as the person's. */
export function adopt(changes: Partial<Settings>): void {
  common = { ...common, ...changes };
  const open = Object.entries(changes).filter(([name]) => !chosen.has(name as keyof Settings));
  if (open.length) quietly(Object.fromEntries(open));
}

/** Whether the person chose this themselves. */
export const hasChosen = (name: keyof Settings): boolean => chosen.has(name);

/** Undo all that the person chose: from now on everything is as for everybody. */
export function forget(): void {
  chosen.clear();
  keep({});
  quietly(common);
}
