import { describe, expect, it } from "vitest";
import { ramp, rgb } from "./colours";
import { CEILING_DB, FLOOR_DB, hertz, mel, rowsOf, shade, strongest } from "./frequency";
import { PeakHistory } from "./peaks";

describe("PeakHistory", () => {
  const tone = Float32Array.from({ length: 1000 }, (_, n) => Math.sin(n / 7));

  it("is the same however the samples are cut", () => {
    const whole = new PeakHistory(50, 33.3);
    whole.push(tone);
    const cut = new PeakHistory(50, 33.3);
    for (let at = 0; at < tone.length; at += 7) cut.push(tone.subarray(at, at + 7));
    expect(cut.total).toBe(whole.total);
    expect(cut.low).toEqual(whole.low);
    expect(cut.high).toEqual(whole.high);
    expect(cut.part).toBeCloseTo(whole.part);
  });

  it("keeps lowest and highest of each column and forgets the oldest", () => {
    const history = new PeakHistory(2, 2);
    history.push(Float32Array.of(0.5, -0.25, 0.75, 0, -1, 0.125));
    expect(history.total).toBe(3);
    expect([history.low[history.at(0)], history.high[history.at(0)]]).toEqual([-1, 0.125]);
    expect([history.low[history.at(1)], history.high[history.at(1)]]).toEqual([0, 0.75]);
    expect(history.at(2)).toBe(-1);
  });

  it("takes what is no number as silence", () => {
    const history = new PeakHistory(4, 2);
    history.push(Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY));
    expect(history.high[0]).toBe(0);
  });
});

describe("the frequency axis", () => {
  it("has no gap and falls from the top row down", () => {
    const { first, last } = rowsOf(144, 1024, 48_000);
    for (let row = 0; row < 144; row++) {
      expect(last[row]).toBeGreaterThanOrEqual(first[row] ?? 0);
      if (row > 0) expect(first[row - 1]).toBeGreaterThanOrEqual(first[row] ?? 0);
      if (row > 0) expect((first[row - 1] ?? 0) - (last[row] ?? 0)).toBeLessThanOrEqual(1);
    }
  });

  it("stays within what the rate can hold", () => {
    expect(rowsOf(10, 512, 8000).last[0]).toBeLessThan(512);
  });

  it("goes to mel and back", () => {
    expect(hertz(mel(440))).toBeCloseTo(440);
    expect(mel(1000)).toBeCloseTo(1000, 0);
  });

  it("shades from floor to ceiling", () => {
    expect([FLOOR_DB, CEILING_DB, Number.NEGATIVE_INFINITY, Number.NaN, 0].map(shade)).toEqual([0, 255, 0, 0, 255]);
  });

  it("finds the strongest tone, and none in silence", () => {
    const spectrum = new Float32Array(1024).fill(-120);
    expect(strongest(spectrum, 48_000)).toBe(0);
    spectrum[10] = -30;
    expect(strongest(spectrum, 48_000)).toBeCloseTo(234.4, 1);
  });
});

describe("colours", () => {
  it("are read as styles write them", () => {
    expect(rgb("#0e6b5e")).toEqual([14, 107, 94]);
    expect(rgb(" #fff")).toEqual([255, 255, 255]);
    expect(rgb("rgba(1, 2, 3, 0.5)")).toEqual([1, 2, 3]);
    expect(rgb("nonsense")).toEqual([0, 0, 0]);
  });

  it("make a table from the first to the last", () => {
    const table = ramp([
      [0, 0, 0],
      [100, 200, 50],
    ]);
    expect([...table.slice(0, 4)]).toEqual([0, 0, 0, 255]);
    expect([...table.slice(-4)]).toEqual([100, 200, 50, 255]);
  });
});
