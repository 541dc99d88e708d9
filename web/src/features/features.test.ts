import { describe, expect, it, vi } from "vitest";
import type { EffectKind } from "../wire/rest";
import { added, changed, MAX_EFFECTS, moved, PRESETS, removed, restored, specs, stagesWith } from "./effects/chain";
import { latest } from "./latest";
import { amount, duration, size } from "./write";

const param = { name: "gain_db", label: "Gain", unit: "dB", type: "number", min: -40, max: 20, step: 0.5, default: 0 };
const gain: EffectKind = { kind: "gain", name: "Gain", description: "", params: [param] };
const whisper: EffectKind = { kind: "whisper", name: "Whisper", description: "", params: [] };
const kinds = (chain: { kind: string }[]) => chain.map(({ kind }) => kind);

describe("a chain of effects", () => {
  const chain = added(added([], gain), whisper);

  it("grows by an effect with its defaults, up to the most the server takes", () => {
    expect(chain[0]).toEqual({ key: 1, kind: "gain", params: { gain_db: 0 }, enabled: true });
    const long = Array.from({ length: 12 }).reduce<typeof chain>((made) => added(made, gain), []);
    expect(long).toHaveLength(MAX_EFFECTS);
    expect(new Set(long.map(({ key }) => key)).size).toBe(MAX_EFFECTS);
  });

  it("is put in another order, within its ends", () => {
    expect(kinds(moved(chain, 2, 0))).toEqual(["whisper", "gain"]);
    expect(kinds(moved(chain, 1, 99))).toEqual(["whisper", "gain"]);
    expect(kinds(moved(chain, 1, -1))).toEqual(["gain", "whisper"]);
    expect(kinds(removed(chain, 1))).toEqual(["whisper"]);
  });

  it("comes back as far as the catalogue knows it", () => {
    const kept = [
      { kind: "gain", params: { gain_db: -6, other: 1 }, enabled: false },
      { kind: "gain", params: { gain_db: 900 } },
      { kind: "gone" },
      null,
    ];
    expect(specs(restored(kept, [gain]))).toEqual([
      { kind: "gain", params: { gain_db: -6 }, enabled: false },
      { kind: "gain", params: { gain_db: 0 }, enabled: true },
    ]);
    expect(restored("nonsense", [gain])).toEqual([]);
  });

  it("becomes stages of a voice without what is switched off", () => {
    const voice = { stages: [{ kind: "shift", params: { pitch_st: 3 } }] };
    expect(kinds(stagesWith(voice, changed(chain, 1, { enabled: false })))).toEqual(["shift", "whisper"]);
  });

  it("has presets that fit", () => {
    expect(PRESETS.every(({ effects }) => effects.length <= MAX_EFFECTS)).toBe(true);
  });
});

describe("latest", () => {
  it("sends one at a time, and of those that waited the last", async () => {
    vi.useFakeTimers();
    const sent: number[] = [];
    const failed = vi.fn();
    const put = latest<number>(
      async (value) => {
        sent.push(value);
        if (value === 1) throw new Error("refused");
      },
      failed,
      50,
    );
    put(1);
    put(2);
    put(3);
    await vi.advanceTimersByTimeAsync(200);
    expect(sent).toEqual([1, 3]);
    expect(failed).toHaveBeenCalledOnce();
    put(4);
    await vi.advanceTimersByTimeAsync(200);
    expect(sent).toEqual([1, 3, 4]);
    vi.useRealTimers();
  });
});

describe("numbers", () => {
  it("are written as people read them", () => {
    expect([0, 61_900, 3_723_000].map(duration)).toEqual(["0:00", "1:01", "1:02:03"]);
    expect([12, 1500, 55_000_000].map(size)).toEqual(["12 bytes", "1.5 kB", "55 MB"]);
    expect([amount(1.5, "dB", 0.5), amount(0.25, "", 0.01), amount(3, "Hz", 1)]).toEqual(["1.5 dB", "0.25", "3 Hz"]);
  });
});
