import { act, cleanup, renderHook } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { FakeSocket, IDLE, pretend, RUNNING } from "../testing/server";

const VOICE = { id: "robot", name: "Robot", category: "character", description: "" };
const running = (input_level = 0) => ({ type: "status", status: { ...RUNNING, input_level }, details: {} });

beforeEach(() => {
  vi.useFakeTimers();
  localStorage.clear();
  pretend();
});

afterEach(() => {
  cleanup();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** A page that is connected, with the server's own devices chosen. */
async function opened() {
  vi.resetModules();
  const { controller } = await import("../state/controller");
  const { useSettings } = await import("../state/settings");
  const { useAudioMeters } = await import("./useAudioMeters");
  controller.begin();
  greet(FakeSocket.latest);
  useSettings.setState({ source: "server" });
  return { controller, useAudioMeters };
}

function greet(server: FakeSocket): void {
  server.say({ type: "connected" });
  server.say({ type: "voices", voices: [VOICE] });
  server.say({ type: "voiceSelected", voice: VOICE });
  server.say({ type: "parametersSet", parameters: { pitch_st: 0, formant: 1, mix: 1 } });
}

/** Let time pass; the server answers every question. Gives how many there were. */
async function questions(server: FakeSocket, ms: number, level = 0): Promise<number> {
  const before = server.count("getStatus");
  let answered = before;
  for (let passed = 0; passed < ms; passed += 10) {
    await act(() => vi.advanceTimersByTimeAsync(10));
    for (; answered < server.count("getStatus"); answered++) act(() => server.say(running(level)));
  }
  return answered - before;
}

async function started() {
  const page = await opened();
  const server = FakeSocket.latest;
  await act(() => page.controller.start());
  act(() => server.say(running()));
  return { ...page, server };
}

it("asks nothing while nothing is processed", async () => {
  const { useAudioMeters } = await opened();
  const { result } = renderHook(() => useAudioMeters());
  expect(await questions(FakeSocket.latest, 2000)).toBe(0);
  expect(result.current).toEqual({ processing: false, inputLevel: 0, outputLevel: 0, latency_ms: 0, processing_ms: 0 });
});

it("asks every 200 ms while it runs, and tells what it hears", async () => {
  const { useAudioMeters, server } = await started();
  const { result } = renderHook(() => useAudioMeters());
  expect(await questions(server, 2000, 0.25)).toBe(10);
  expect(result.current).toMatchObject({ processing: true, inputLevel: 0.25, latency_ms: 30 });
});

it("asks as often as is wanted, also when that changes", async () => {
  const { useAudioMeters, server } = await started();
  const { rerender } = renderHook(({ every }) => useAudioMeters(every), { initialProps: { every: 50 } });
  await questions(server, 400); // what was under way
  expect(await questions(server, 1000)).toBe(20);
  rerender({ every: 500 });
  await questions(server, 500);
  expect(await questions(server, 1000)).toBe(2);
});

it("asks for several as often as the most impatient wants, until that one leaves", async () => {
  const { useAudioMeters, server } = await started();
  renderHook(() => useAudioMeters(500));
  const hasty = renderHook(() => useAudioMeters(50));
  await questions(server, 500);
  expect(await questions(server, 1000)).toBe(20);
  hasty.unmount();
  await questions(server, 500);
  expect(await questions(server, 1000)).toBe(2);
});

it("goes back to 200 ms when nobody looks: an answer also tells that the connection lives", async () => {
  const { useAudioMeters, server } = await started();
  renderHook(() => useAudioMeters(50)).unmount();
  await questions(server, 400);
  expect(await questions(server, 1000)).toBe(5);
});

it("asks one question at a time, however slow the answers are", async () => {
  const { useAudioMeters, server } = await started();
  renderHook(() => useAudioMeters());
  await vi.advanceTimersByTimeAsync(3000);
  expect(server.count("getStatus")).toBe(1);
});

it("asks no more after Stop", async () => {
  const { useAudioMeters, server, controller } = await started();
  const { result } = renderHook(() => useAudioMeters());
  await questions(server, 400);
  act(() => controller.stop());
  act(() => server.say({ type: "status", status: IDLE, details: {} }));
  expect(await questions(server, 2000)).toBe(0);
  expect(result.current.processing).toBe(false);
});

it("goes on at the same pace after a lost connection", async () => {
  const { useAudioMeters, server } = await started();
  renderHook(() => useAudioMeters(100));
  await questions(server, 400);
  act(() => server.onclose?.());
  await act(() => vi.advanceTimersByTimeAsync(300));
  const again = FakeSocket.latest;
  expect(again).not.toBe(server);
  act(() => greet(again));
  act(() => again.say(running()));
  expect(await questions(again, 1000)).toBe(10);
  expect(server.count("getStatus")).toBeLessThan(10);
});
