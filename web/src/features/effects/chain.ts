// A chain of effects as the page edits it: plain data, and what may be done to it.

import type { EffectSpec } from "../../wire/control";
import type { EffectKind, Stage, Voice } from "../../wire/rest";

export const MAX_EFFECTS = 8;

/** An effect in the editor; `key` stays with it when it moves. */
export type Link = { key: number; kind: string; params: Record<string, number | string>; enabled: boolean };

const defaults = (kind: EffectKind) =>
  Object.fromEntries(kind.params.map((param) => [param.name, param.default as number | string]));

const nextKey = (chain: readonly Link[]) => Math.max(0, ...chain.map((link) => link.key)) + 1;

export function added(chain: readonly Link[], kind: EffectKind): Link[] {
  if (chain.length >= MAX_EFFECTS) return [...chain];
  return [...chain, { key: nextKey(chain), kind: kind.kind, params: defaults(kind), enabled: true }];
}

export const removed = (chain: readonly Link[], key: number): Link[] => chain.filter((link) => link.key !== key);

export function moved(chain: readonly Link[], key: number, to: number): Link[] {
  const link = chain.find((one) => one.key === key);
  if (!link) return [...chain];
  const rest = removed(chain, key);
  rest.splice(Math.max(0, Math.min(rest.length, to)), 0, link);
  return rest;
}

export function changed(chain: readonly Link[], key: number, change: Partial<Omit<Link, "key">>): Link[] {
  return chain.map((link) => (link.key === key ? { ...link, ...change } : link));
}

/** What was kept, as far as the catalogue knows it: kinds may have gone, ranges may have changed. */
export function restored(kept: unknown, catalogue: readonly EffectKind[]): Link[] {
  if (!Array.isArray(kept)) return [];
  const links: Link[] = [];
  for (const one of kept.slice(0, MAX_EFFECTS) as Partial<Link>[]) {
    const kind = catalogue.find((known) => known.kind === one?.kind);
    if (!kind) continue;
    const params = defaults(kind);
    for (const { name, min, max } of kind.params) {
      const value = one.params?.[name];
      if (typeof value === "number" && value >= (min ?? -Infinity) && value <= (max ?? Infinity)) params[name] = value;
    }
    links.push({ key: nextKey(links), kind: kind.kind, params, enabled: one.enabled !== false });
  }
  return links;
}

export const specs = (chain: readonly Link[]): EffectSpec[] =>
  chain.map(({ kind, params, enabled }) => ({ kind, params, enabled }));

/** The stages of a voice with these effects built in; one that is switched off is left out. */
export function stagesWith(voice: Pick<Voice, "stages">, chain: readonly Link[]): Stage[] {
  const built = chain.filter((link) => link.enabled).map(({ kind, params }) => ({ kind, params }));
  return [...voice.stages, ...built];
}

type Preset = { name: string; effects: { kind: string; params?: Record<string, number> }[] };

export const PRESETS: readonly Preset[] = [
  { name: "Small room", effects: [{ kind: "reverb", params: { room: 0.25, wet: 0.18 } }] },
  { name: "Cathedral", effects: [{ kind: "reverb", params: { room: 0.95, damping: 0.2, wet: 0.45 } }] },
  {
    name: "Stadium",
    effects: [
      { kind: "echo", params: { delay_ms: 420, feedback: 0.3, mix: 0.3 } },
      { kind: "reverb", params: { room: 0.85, wet: 0.3 } },
    ],
  },
  {
    name: "Walkie-talkie",
    effects: [
      { kind: "equalizer", params: { bass_db: -18, mid_db: 6, treble_db: -12 } },
      { kind: "drive", params: { drive_db: 16 } },
      { kind: "hiss", params: { level_db: -48, crackle_hz: 4 } },
    ],
  },
  {
    name: "Broadcast",
    effects: [
      { kind: "gate" },
      { kind: "equalizer", params: { bass_db: 3, mid_db: -1.5, treble_db: 2.5 } },
      { kind: "compressor", params: { threshold_db: -24, ratio: 4, makeup_db: 4 } },
    ],
  },
  { name: "Crowd", effects: [{ kind: "chorus", params: { voices: 6, depth_ms: 5, mix: 0.65 } }] },
];
