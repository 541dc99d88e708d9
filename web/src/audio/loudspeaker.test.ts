import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { choosable, Outlet } from "./loudspeaker";

let sinks: string[] = [];
let heard = new Set<object>(); // destinations and taps that something plays to

/** A node, by what it plays to. */
class Node {
  gain = { setTargetAtTime: () => undefined };
  stream = {};
  currentTime = 0;
  connect(to: object): object {
    heard.add(to);
    return to;
  }
  disconnect(from: object): void {
    heard.delete(from);
  }
}

/** An audio element of a browser that lets elements alone choose; "gone" is not there, "slow" comes late. */
class Player {
  static latest: Player;
  srcObject: unknown = null;
  playing = false;
  denied: Promise<void> = Promise.resolve();
  constructor() {
    Player.latest = this;
  }
  async setSinkId(id: string): Promise<void> {
    if (id === "gone") throw new DOMException("", "NotFoundError");
    if (id === "slow") await new Promise((resolve) => setTimeout(resolve));
    sinks.push(id);
  }
  play(): Promise<void> {
    this.playing = true;
    return this.denied;
  }
  pause(): void {
    this.playing = false;
  }
}

beforeEach(() => {
  sinks = [];
  heard = new Set();
  vi.stubGlobal("Audio", Player);
  vi.stubGlobal("GainNode", Node);
  vi.stubGlobal("MediaStreamAudioDestinationNode", Node);
});

afterEach(() => vi.unstubAllGlobals());

function outlet() {
  const destination = new Node();
  const context = Object.assign(new Node(), { destination });
  const made = new Outlet(context as unknown as AudioContext, new Node() as unknown as AudioNode);
  return { made, system: () => heard.has(destination) };
}

it("knows whether the browser has a choice", () => {
  vi.stubGlobal("HTMLMediaElement", class {});
  expect(choosable()).toBe(false);
  vi.stubGlobal("HTMLMediaElement", Player);
  expect(choosable()).toBe(true);
});

it("plays through an element where the context has no choice, and to the system again", async () => {
  const { made, system } = outlet();
  expect([system(), made.detour]).toEqual([true, false]);
  expect(await made.choose("cable")).toBe(true);
  expect([sinks, system(), made.detour, Player.latest.playing]).toEqual([["cable"], false, true, true]);
  await made.choose("");
  expect([system(), made.detour, Player.latest.playing]).toEqual([true, false, false]);
});

it("stays where it was if the device is gone", async () => {
  const { made, system } = outlet();
  expect(await made.choose("gone")).toBe(false);
  expect(system()).toBe(true);
  await made.choose("cable");
  const { latest } = Player;
  expect(await made.choose("gone")).toBe(false);
  expect([system(), latest.playing]).toEqual([false, true]);
});

it("ends where the person chose last, however long the browser takes", async () => {
  const { made, system } = outlet();
  const slow = made.choose("slow");
  await made.choose("cable");
  const { latest } = Player;
  expect(await slow).toBe(true);
  expect([latest.playing, made.detour]).toEqual([true, true]);
  const late = made.choose("slow");
  made.release();
  await late;
  expect([system(), made.detour]).toEqual([true, false]);
});

it("plays to the system where the browser lets no element sound", async () => {
  const { made, system } = outlet();
  vi.spyOn(Player.prototype, "play").mockRejectedValue(new DOMException("", "NotAllowedError"));
  await made.choose("cable");
  await vi.waitFor(() => expect([system(), made.detour]).toEqual([true, false]));
});

it("has the context choose where it can", async () => {
  const setSinkId = vi.fn(async (id: string) => {
    if (id === "gone") throw new DOMException("", "NotFoundError");
  });
  const context = Object.assign(new Node(), { destination: new Node(), setSinkId });
  const made = new Outlet(context as unknown as AudioContext, new Node() as unknown as AudioNode);
  expect(await made.choose("cable")).toBe(true);
  expect(await made.choose("gone")).toBe(false);
  expect(setSinkId.mock.calls.flat()).toEqual(["cable", "gone"]);
  expect([heard.size, made.detour]).toEqual([1, false]);
});
