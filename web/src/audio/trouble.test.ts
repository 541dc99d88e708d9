import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { keepAwake } from "./trouble";

/** A context that a phone call may interrupt, or that waits for a press. */
class Context extends EventTarget {
  state = "suspended";
  allowed = true;
  resume = vi.fn(async () => {
    if (this.allowed) this.become("running");
    else await new Promise(() => undefined); // a browser that waits does not answer
  });
  become(state: string): void {
    this.state = state;
    this.dispatchEvent(new Event("statechange"));
  }
}

let context: Context;
const tell = vi.fn();
const care = () => keepAwake(context as unknown as AudioContext, tell);

beforeEach(() => {
  vi.useFakeTimers();
  context = new Context();
  tell.mockReset();
});

afterEach(() => void vi.useRealTimers());

it("says nothing where all goes well", async () => {
  await care();
  expect(context.state).toBe("running");
  expect(tell).not.toHaveBeenCalled();
});

it("tells of an interruption, and comes back with the next press", async () => {
  await care();
  context.become("interrupted");
  expect(tell).toHaveBeenLastCalledWith(true);
  document.dispatchEvent(new Event("pointerup"));
  await vi.waitFor(() => expect(tell).toHaveBeenLastCalledWith(false));
  expect(context.resume).toHaveBeenCalledTimes(2);
});

it("does not wait for ever for a browser that waits for a press", async () => {
  context.allowed = false;
  const ready = care();
  await vi.advanceTimersByTimeAsync(1000);
  await ready;
  expect(tell).toHaveBeenLastCalledWith(true);
  context.allowed = true;
  document.dispatchEvent(new Event("keydown"));
  await vi.waitFor(() => expect(tell).toHaveBeenLastCalledWith(false));
});

it("leaves it alone when the care has ended", async () => {
  (await care())();
  context.become("closed");
  document.dispatchEvent(new Event("pointerup"));
  expect(tell).not.toHaveBeenCalled();
  expect(context.resume).toHaveBeenCalledOnce();
});
