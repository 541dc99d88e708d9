import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { FakeSocket, pretend } from "../testing/server";

const OWN = { pitch_st: -3, formant: 0.9, mix: 0.8 };
const SAVED = { id: "saved", name: "Saved", category: "custom", description: "", parameters: OWN };

beforeEach(() => {
  localStorage.clear();
  pretend();
});

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

async function shown() {
  vi.resetModules();
  const { controller } = await import("../state/controller");
  const { useSettings } = await import("../state/settings");
  const { Adjust } = await import("./Adjust");
  controller.begin();
  render(<Adjust />);
  act(() => {
    FakeSocket.latest.say({ type: "connected" });
    FakeSocket.latest.say({ type: "voices", voices: [SAVED] });
  });
  return () => useSettings.getState().parameters;
}

it("stands where the voice has it, and goes back there", async () => {
  const parameters = await shown();
  const pitch = screen.getByRole<HTMLInputElement>("slider", { name: "Pitch" });
  const reset = screen.getByRole("button", { name: "Reset" });
  expect([pitch.value, pitch.getAttribute("aria-valuetext")]).toEqual(["-3", "-3 st"]);
  expect(reset.getAttribute("aria-disabled")).toBe("true");
  fireEvent.change(pitch, { target: { value: "5" } });
  expect(parameters()).toEqual({ ...OWN, pitch_st: 5 });
  expect(reset.getAttribute("aria-disabled")).toBe("false");
  fireEvent.click(reset);
  expect(parameters()).toEqual(OWN);
});

it("takes one slider back with a double click", async () => {
  const parameters = await shown();
  const [mix, formant] = ["Mix", "Formant"].map((name) => screen.getByRole("slider", { name }));
  fireEvent.change(mix as Element, { target: { value: "0.1" } });
  fireEvent.change(formant as Element, { target: { value: "1.5" } });
  fireEvent.doubleClick(mix as Element);
  expect(parameters()).toEqual({ ...OWN, formant: 1.5 });
});
