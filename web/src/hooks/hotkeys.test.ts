import { afterEach, expect, it } from "vitest";
import { DEFAULTS } from "../state/settings";
import { actionOf } from "./hotkeys";

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
