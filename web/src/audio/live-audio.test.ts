import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { LiveAudio } from "./live-audio";
import type { MicrophoneChoice } from "./microphone";

const CHOICE: MicrophoneChoice = { device: "", echo_cancellation: false, noise_suppression: false, auto_gain: false };
const listener = { onInput: () => undefined, onOutput: () => undefined, onEnded: vi.fn() };
let log: string[] = [];
let refused: string[] = []; // what the browser does not give

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
  currentTime = 0;
  destination = new Node();
  audioWorklet = { addModule: async () => undefined };
  createMediaStreamSource = () => new Node();
  resume = async () => undefined;
  close = async () => undefined;
  setSinkId = async (id: string) => void log.push(`speaker ${id || "of the system"}`);
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
  const track = { onended: null, getSettings, stop: () => void log.push(`stop ${what}`) };
  return { getTracks: () => [track], getAudioTracks: () => [track] };
}

beforeEach(() => {
  log = [];
  refused = [];
  listener.onEnded.mockReset();
  vi.stubGlobal("AudioContext", Context);
  vi.stubGlobal("GainNode", Node);
  vi.stubGlobal("AudioWorkletNode", Node);
  vi.stubGlobal("navigator", { mediaDevices: { getUserMedia } });
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
