import { afterEach, expect, it } from "vitest";
import { DEFAULTS } from "../state/settings";
import { actionOf, assigned, favouriteOf } from "./hotkeys";

afterEach(() => document.body.replaceChildren());

function pressed(code: string, inside: string, options: KeyboardEventInit = {}) {
  document.body.innerHTML = inside;
  let found: ReturnType<typeof actionOf> | undefined;
  document.addEventListener("keydown", (event) => (found = actionOf(event, DEFAULTS.hotkeys)), { once: true });
  const target = document.querySelector("[data-at]") ?? document.body;
  target.dispatchEvent(new KeyboardEvent("keydown", { code, bubbles: true, ...options }));
  return found;
}

it("acts wherever nothing else takes the key", () => {
  expect(pressed("KeyS", "")).toBe("toggle");
  expect(pressed("KeyC", "<input type=range data-at>")).toBe("compare");
  expect(pressed("Space", "<p data-at></p>")).toBe("talk");
  expect(pressed("KeyQ", "")).toBeNull();
});

it.each(["<input type=search data-at>", "<textarea data-at></textarea>", "<dialog><p data-at></p></dialog>"])(
  "leaves typing alone in %s",
  (inside) => expect(pressed("KeyS", inside)).toBeNull(),
);

it("leaves a button its space and the browser its shortcuts", () => {
  expect(pressed("Space", "<button data-at></button>")).toBeNull();
  expect(pressed("KeyS", "", { ctrlKey: true })).toBeNull();
});

it("is a button's no more where a mouse has put the focus there", () => {
  document.body.innerHTML = "<button data-at></button>";
  const target = document.querySelector("[data-at]") as Element;
  let found: unknown[] = [];
  target.addEventListener("keydown", (event) => {
    const pressedKey = event as KeyboardEvent;
    found = [actionOf(pressedKey, DEFAULTS.hotkeys, false), actionOf(pressedKey, DEFAULTS.hotkeys, true)];
  });
  target.dispatchEvent(new KeyboardEvent("keydown", { code: "Space", bubbles: true }));
  expect(found).toEqual([null, "talk"]);
});

it("means a favourite where it is a digit that has no action", () => {
  const digit = new KeyboardEvent("keydown", { code: "Digit3" });
  expect(favouriteOf(digit, DEFAULTS.hotkeys)).toBe(2);
  expect(favouriteOf(digit, { ...DEFAULTS.hotkeys, mute: "Digit3" })).toBe(-1);
  expect(favouriteOf(new KeyboardEvent("keydown", { code: "Digit0" }), DEFAULTS.hotkeys)).toBe(-1);
});

it("belongs to one action alone, and may be none", () => {
  const other = assigned(DEFAULTS.hotkeys, "mute", "KeyS");
  expect([other.mute, other.toggle]).toEqual(["KeyS", ""]);
  expect(assigned(DEFAULTS.hotkeys, "mute", "").toggle).toBe("KeyS");
  expect(assigned(DEFAULTS.hotkeys, "mute", "KeyM")).toEqual(DEFAULTS.hotkeys);
});
