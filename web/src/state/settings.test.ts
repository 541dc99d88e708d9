import { expect, it } from "vitest";
import { DEFAULTS, restored } from "./settings";

it("keeps what was kept and fills in the rest", () => {
  const found = restored({ voice: "robot", parameters: { pitch_st: 3 } }, DEFAULTS);
  expect(found).toEqual({ ...DEFAULTS, voice: "robot", parameters: { pitch_st: 3, formant: 1, mix: 1 } });
});

it.each([null, 7, "x", [], { voice: 5, volume: "loud", parameters: "none", unknown: 1 }])("survives %j", (kept) => {
  expect(restored(kept, DEFAULTS)).toEqual(DEFAULTS);
});
