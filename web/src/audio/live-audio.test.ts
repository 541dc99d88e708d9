import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { LiveAudio } from "./live-audio";
import type { MicrophoneChoice } from "./microphone";

const CHOICE: MicrophoneChoice = { device: "", echo_cancellation: false, noise_suppression: false, auto_gain: false };
const listener = { onInput: () => undefined, onOutput: () => undefined, onEnded: vi.fn(), onTrouble: vi.fn() };
let log: string[] = [];
let refused: string[] = []; // what the browser does not give
let microphone: { muted: boolean } & Record<"onended" | "onmute" | "onunmute", (() => void) | null>; // opened last

/** A node that remembers what it plays to. */
class Node {
  gain = { setTargetAtTime: () => undefined };
  port = { onmessage: null, postMessage: () => undefined };
  outputs: unknown[] = [];
  connect(to: unknown): unknown {
    this.outputs.push(to);
    return to;
  }
  disconnect(): void {
    this.outputs = [];
  }
}

class Context extends Node {
  sampleRate = 48_000;
  state = "running";
  baseLatency = 0.005;
  outputLatency = 0.02;
  addEventListener = () => undefined;
  removeEventListener = () => undefined;
  currentTime = 0;
  destination = new Node();
  audioWorklet = { addModule: async () => undefined };
  createMediaStreamSource = () => new Node();
  resume = async () => undefined;
  close = async () => undefined;
  setSinkId = async (id: string) => {
    if (refused.includes(id)) throw new DOMException("", "NotFoundError");
    log.push(`speaker ${id || "of the system"}`);
  };
}

function asked(audio: MediaTrackConstraints): string {
  const corrections = [audio.echoCancellation && "echo", audio.noiseSuppression && "noise"].filter(Boolean);
  const device = (audio.deviceId as { exact: string } | undefined)?.exact ?? "any";
  return [device, ...corrections].join(" ");
}

async function getUserMedia({ audio }: { audio: MediaTrackConstraints }) {
  const what = asked(audio);
  if (refused.includes(what)) throw new DOMException("", "NotReadableError");
  log.push(`open ${what}`);
  const getSettings = () => (what === "usb" ? {} : { latency: 0.023 });
  const stop = () => void log.push(`stop ${what}`);
  const track = { onended: null, onmute: null, onunmute: null, muted: false, getSettings, stop };
  microphone = track;
  return { getTracks: () => [track], getAudioTracks: () => [track] };
}

beforeEach(() => {
  log = [];
  refused = [];
  listener.onEnded.mockReset();
  listener.onTrouble.mockReset();
  vi.stubGlobal("AudioContext", Context);
  vi.stubGlobal("GainNode", Node);
  vi.stubGlobal("AudioWorkletNode", Node);
  const mediaDevices = Object.assign(new EventTarget(), { getUserMedia, enumerateDevices: async () => [] });
  vi.stubGlobal("navigator", { mediaDevices });
});

afterEach(() => vi.unstubAllGlobals());

async function opened(): Promise<LiveAudio> {
  const audio = new LiveAudio(listener);
  await audio.open(CHOICE, 48_000, { speaker: "cable", monitor: "" });
  return audio;
}

it("lets go of the microphone before it is asked for with other corrections", async () => {
  const audio = await opened();
  await audio.setMicrophone({ ...CHOICE, echo_cancellation: true });
  expect(log).toEqual(["open any", "speaker cable", "stop any", "open any echo"]);
  expect((audio.source as unknown as Node).outputs).toEqual([audio.input]);
});

it("keeps a microphone until another one is there", async () => {
  const audio = await opened();
  log = [];
  await audio.setMicrophone({ ...CHOICE, device: "usb" });
  expect(log).toEqual(["open usb", "stop any"]);
});

it("tells what the microphone's buffer adds, where the browser does", async () => {
  const audio = await opened();
  expect(audio.inputMs).toBeCloseTo(23);
  await audio.setMicrophone({ ...CHOICE, device: "usb" });
  expect(audio.inputMs).toBe(0);
});

it("asks for the loudspeaker's share once its stream has begun, and again after another microphone", async () => {
  const now = vi.spyOn(performance, "now").mockReturnValue(0);
  const audio = await opened();
  const asked = vi.spyOn(audio.context as unknown as Context, "outputLatency", "get");
  expect([audio.outputMs, asked.mock.calls.length]).toEqual([0, 0]);
  now.mockReturnValue(2000);
  asked.mockReturnValue(0.02);
  expect(audio.outputMs).toBeCloseTo(25);
  await audio.setMicrophone({ ...CHOICE, device: "usb" });
  asked.mockReturnValue(0.1);
  expect(audio.outputMs).toBeCloseTo(25);
  now.mockReturnValue(4000);
  expect(audio.outputMs).toBeCloseTo(105);
});

it("makes one change after the other", async () => {
  const audio = await opened();
  log = [];
  const echo = { ...CHOICE, echo_cancellation: true };
  await Promise.all([audio.setMicrophone(echo), audio.setMicrophone({ ...echo, noise_suppression: true })]);
  expect(log).toEqual(["stop any", "open any echo", "stop any echo", "open any echo noise"]);
});

it("goes back to the microphone as it was where another correction cannot be had", async () => {
  const audio = await opened();
  refused = ["any echo"];
  log = [];
  await expect(audio.setMicrophone({ ...CHOICE, echo_cancellation: true })).rejects.toThrow("gives no sound");
  expect(log).toEqual(["stop any", "open any"]);
  expect(listener.onEnded).not.toHaveBeenCalled();
});

it("says so where not even that can be had", async () => {
  const audio = await opened();
  refused = ["any echo", "any"];
  await expect(audio.setMicrophone({ ...CHOICE, echo_cancellation: true })).rejects.toThrow("gives no sound");
  expect(listener.onEnded).toHaveBeenCalledOnce();
});

it("leaves no microphone open that comes after the end", async () => {
  const audio = await opened();
  const change = audio.setMicrophone({ ...CHOICE, device: "usb" });
  await Promise.resolve();
  audio.close();
  await change;
  expect(log.filter((one) => one.startsWith("open"))).toHaveLength(log.filter((one) => one.startsWith("stop")).length);
});

it("goes on with another microphone though the browser ends the one before", async () => {
  const audio = await opened();
  const before = microphone;
  const change = audio.setMicrophone({ ...CHOICE, device: "usb" });
  before.onended?.();
  await change;
  expect(listener.onEnded).not.toHaveBeenCalled();
  microphone.onended?.();
  await vi.waitFor(() => expect(listener.onEnded).toHaveBeenCalledOnce());
});

it("keeps the microphone where another one has a rate that the browser does not take", async () => {
  const audio = await opened();
  log = [];
  const context = audio.context as unknown as Context;
  context.createMediaStreamSource = () => {
    throw new DOMException("", "NotSupportedError");
  };
  await expect(audio.setMicrophone({ ...CHOICE, device: "usb" })).rejects.toThrow("Press Stop, then Start");
  expect(log).toEqual(["open usb", "stop usb"]);
});

it("tells that the system has muted the microphone, and when that is over", async () => {
  await opened();
  microphone.muted = true;
  microphone.onmute?.();
  await vi.waitFor(() => expect(listener.onTrouble).toHaveBeenLastCalledWith(expect.stringContaining("muted")));
  microphone.onunmute?.();
  await vi.waitFor(() => expect(listener.onTrouble).toHaveBeenLastCalledWith(""));
});

it("tells of a loudspeaker that cannot be had, and goes on", async () => {
  refused = ["cable"];
  const audio = await opened();
  expect(listener.onTrouble).toHaveBeenCalledWith(expect.stringContaining("cannot be used"));
  await audio.setSpeakers({ speaker: "headphones", monitor: "" });
  expect(log.at(-1)).toBe("speaker headphones");
  expect(listener.onTrouble).toHaveBeenLastCalledWith("");
});
