import { describe, expect, it, test } from "vitest";
import { JitterBuffer, type JitterStats } from "./jitter";

const RATE = 48_000;
const BLOCK = 480;
const TONE_STEP = (2 * Math.PI * 220) / RATE;
const tone = (at: number) => Math.sin(TONE_STEP * at);

/** Push block k at frame `arrives[k]`; what is played, and the figures at the end. */
function drive(arrives: number[], seconds: number): { out: Float32Array; last: JitterStats } {
  const buffer = new JitterBuffer(RATE);
  const out = new Float32Array(RATE * seconds);
  let block = 0;
  for (let frame = 0; frame + 128 <= out.length; frame += 128) {
    for (; block < arrives.length && arrives[block] <= frame; block++) {
      const at = BLOCK * block;
      const samples = Float32Array.from({ length: BLOCK }, (_, i) => tone(at + i));
      buffer.push(samples, { captured: at, posted: at + BLOCK, arrived: frame });
    }
    buffer.pull(out.subarray(frame, frame + 128), frame);
  }
  return { out, last: buffer.stats() };
}

const steady = (blocks: number, drift = 0) => Array.from({ length: blocks }, (_, k) => BLOCK * (1 + drift) * (k + 1));

/** The greatest step from sample to sample. */
function steepest(x: Float32Array): number {
  let most = 0;
  for (let i = 1; i < x.length; i++) most = Math.max(most, Math.abs(x[i] - x[i - 1]));
  return most;
}

/** Numbers in 0…1, the same in every run (Numerical Recipes' linear congruence). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

describe("the jitter buffer", () => {
  it("plays steady blocks as they came", () => {
    const { out, last } = drive(steady(199), 1);
    const start = out.findIndex((value) => value !== 0); // the first faded sample is zero; then 5 ms of fade
    const heard = out.subarray(start - 1 + 240, start - 1 + 20_240);
    expect(heard).toEqual(Float32Array.from({ length: 20_000 }, (_, i) => tone(240 + i)));
    expect(last.underruns).toBe(0);
    expect(last.delay?.loop).toBe(start - 1);
    expect(last.delay?.loop).toBeLessThanOrEqual(0.045 * RATE);
  });

  it("fades and never clicks when blocks are late", () => {
    const arrives = steady(599).map((at, k) => at + (k >= 100 ? 9_600 : 0)); // the network stops for 200 ms
    arrives.fill(arrives[320], 300, 320); // 200 ms come at once
    const { out, last } = drive(arrives, 6);
    expect(last.underruns).toBe(2);
    expect(steepest(out)).toBeLessThanOrEqual(2.5 * TONE_STEP);
  });

  test.each([-0.002, -0.0003, 0.0003, 0.002])("follows a clock that drifts by %f", (drift) => {
    const { out, last } = drive(steady(5999, drift), 40);
    expect(last.underruns).toBe(0);
    expect(last.dropped_ms).toBe(0);
    expect(last.fill_ms).toBeGreaterThanOrEqual(10);
    expect(last.fill_ms).toBeLessThanOrEqual(45);
    expect(steepest(out)).toBeLessThanOrEqual(1.1 * TONE_STEP);
  });

  it("bounds the delay after a flood", () => {
    const arrives = steady(1199).map((at, k) => Math.max(0, at - (k >= 200 ? BLOCK * 40 : 0))); // 400 ms too much
    const { out, last } = drive(arrives, 9);
    expect(last.fill_ms).toBeLessThanOrEqual(60);
    expect(last.dropped_ms).toBeGreaterThanOrEqual(250);
    expect(steepest(out)).toBeLessThanOrEqual(2.5 * TONE_STEP);
  });

  it("raises its margin once for an unsteady network", () => {
    const random = numbers(1);
    let latest = 0;
    const arrives = steady(3000).map((at) => {
      latest = Math.max(latest, at + random() * BLOCK * 5); // up to 50 ms late
      return latest;
    });
    const { out, last } = drive(arrives, 25);
    expect(last.underruns).toBeLessThanOrEqual(6);
    expect(last.fill_ms).toBeLessThanOrEqual(130);
    expect(steepest(out)).toBeLessThanOrEqual(2.5 * TONE_STEP);
  });
});
