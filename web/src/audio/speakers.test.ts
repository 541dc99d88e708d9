import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { GONE, REFUSED, Speakers } from "./speakers";

let listed: string[] = [];
let sinks: string[] = [];
const tell = vi.fn();

class Node {
  gain = { setTargetAtTime: vi.fn() };
  stream = {};
  currentTime = 0;
  destination = {};
  connect = (to: unknown) => to;
  disconnect = () => undefined;
  setSinkId = async (id: string) => {
    if (id && !listed.includes(id)) throw new DOMException("", "NotFoundError");
    sinks.push(id);
  };
}

class Player {
  static open = new Set<Player>();
  setSinkId = new Node().setSinkId;
  async play(): Promise<void> {
    Player.open.add(this);
  }
  pause(): void {
    Player.open.delete(this);
  }
}

beforeEach(() => {
  listed = ["cable", "phones"];
  sinks = [];
  tell.mockReset();
  Player.open.clear();
  vi.stubGlobal("Audio", Player);
  vi.stubGlobal("GainNode", Node);
  vi.stubGlobal("MediaStreamAudioDestinationNode", Node);
  const enumerateDevices = async () => listed.map((deviceId) => ({ kind: "audiooutput", deviceId }));
  vi.stubGlobal("navigator", { mediaDevices: Object.assign(new EventTarget(), { enumerateDevices }) });
});

afterEach(() => vi.unstubAllGlobals());

const made = () => new Speakers(new Node() as unknown as AudioContext, new Node() as unknown as AudioNode, tell);
const plug = (...devices: string[]) => {
  listed = devices;
  navigator.mediaDevices.dispatchEvent(new Event("devicechange"));
};

it("tells of a loudspeaker that is unplugged, and goes on when it is back", async () => {
  const speakers = made();
  await speakers.choose({ speaker: "cable", monitor: "phones" });
  expect([sinks, Player.open.size]).toEqual([["cable", "phones"], 1]);
  plug("cable", "phones", "another");
  plug("phones");
  await vi.waitFor(() => expect(tell.mock.calls).toEqual([[GONE]]));
  sinks = [];
  plug("phones", "another");
  plug("cable", "phones");
  await vi.waitFor(() => expect(sinks).toEqual(["", "cable", "phones"]));
  await vi.waitFor(() => expect(tell).toHaveBeenLastCalledWith(""));
  expect(Player.open.size).toBe(1);
});

it("takes one that was not there at first as soon as it is", async () => {
  listed = [];
  await made().choose({ speaker: "cable", monitor: "" });
  expect(tell.mock.calls).toEqual([[REFUSED]]);
  plug("cable");
  await vi.waitFor(() => expect(sinks.at(-1)).toBe("cable"));
  await vi.waitFor(() => expect(tell).toHaveBeenLastCalledWith(""));
});

it("is at ease again when another one is chosen", async () => {
  const speakers = made();
  await speakers.choose({ speaker: "cable", monitor: "" });
  plug("phones");
  await vi.waitFor(() => expect(tell).toHaveBeenCalledWith(GONE));
  await speakers.choose({ speaker: "phones", monitor: "" });
  expect(tell).toHaveBeenLastCalledWith("");
  sinks = [];
  plug("phones", "cable");
  await Promise.resolve();
  expect(sinks).toEqual([]);
});


it("hears of no device after it has left", async () => {
  const speakers = made();
  await speakers.choose({ speaker: "cable", monitor: "" });
  speakers.leave();
  plug();
  await new Promise((resolve) => setTimeout(resolve));
  expect(tell).not.toHaveBeenCalled();
});

it("hears of no device once it was left, nor where nothing was chosen yet", async () => {
  const { mediaDevices } = navigator;
  const added = vi.spyOn(mediaDevices, "addEventListener");
  const removed = vi.spyOn(mediaDevices, "removeEventListener");
  made(); // of a page that pressed Stop while it started
  expect(added).not.toHaveBeenCalled();
  const speakers = made();
  await speakers.choose({ speaker: "cable", monitor: "" });
  speakers.leave();
  await speakers.choose({ speaker: "cable", monitor: "" });
  expect([added.mock.calls.length, removed.mock.calls.length]).toEqual([1, 1]);
});
