import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Api } from "../../api/api";
import { ApiError } from "../../api/errors";
import { PreviewPlayer, usePreview } from "./preview";

/** A browser's context, as far as a preview needs it. */
class Context {
  static sinks: string[] = [];
  static running = false;
  destination = {};
  async setSinkId(id: string): Promise<void> {
    Context.sinks.push(id);
  }
  async resume(): Promise<void> {
    Context.running = true;
  }
  async suspend(): Promise<void> {
    Context.running = false;
  }
  async decodeAudioData(): Promise<object> {
    return {};
  }
}

class Sound {
  static all: Sound[] = [];
  onended: (() => void) | null = null;
  state = "new";
  constructor() {
    Sound.all.push(this);
  }
  connect(): void {}
  disconnect(): void {}
  start(): void {
    this.state = "playing";
  }
  stop(): void {
    this.state = "stopped";
    this.onended?.();
  }
}

const states = () => Sound.all.map(({ state }) => state);
const shown = () => usePreview.getState().preview;
const failed = vi.fn();
const file = vi.fn<(path: string, signal?: AbortSignal) => Promise<{ blob: Blob; name: string }>>();
const api = { file, previewPath: (id: string) => `/api/voices/${id}/preview` } as unknown as Api;

beforeEach(() => {
  vi.stubGlobal("AudioContext", Context);
  vi.stubGlobal("AudioBufferSourceNode", Sound);
  vi.stubGlobal("GainNode", class { connect(): void {} });
  Sound.all = [];
  Context.sinks = [];
  failed.mockReset();
  file.mockReset().mockResolvedValue({ blob: new Blob(["RIFF"]), name: "" });
});

afterEach(() => vi.unstubAllGlobals());

it("is on its way, then heard through the chosen loudspeaker, then over", async () => {
  const player = new PreviewPlayer();
  const playing = player.play(api, "robot", "cable", failed);
  expect(shown()).toEqual({ id: "robot", state: "loading" });
  await playing;
  expect(file.mock.calls[0]?.[0]).toBe("/api/voices/robot/preview");
  expect([shown(), states(), Context.sinks]).toEqual([{ id: "robot", state: "playing" }, ["playing"], ["cable"]]);
  Sound.all[0]?.onended?.();
  expect([shown(), Context.running]).toEqual([null, false]);
});

it("gives way to another: one is heard at a time", async () => {
  const player = new PreviewPlayer();
  await player.play(api, "robot", "", failed);
  await player.play(api, "giant", "", failed);
  expect(states()).toEqual(["stopped", "playing"]);
  expect(shown()).toEqual({ id: "giant", state: "playing" });
});

it("is not heard any more when it was stopped on its way", async () => {
  let arrive: (found: { blob: Blob; name: string }) => void = () => undefined;
  file.mockImplementation(() => new Promise((resolve) => (arrive = resolve)));
  const player = new PreviewPlayer();
  const playing = player.play(api, "robot", "", failed);
  await vi.waitFor(() => expect(file).toHaveBeenCalled());
  player.stop();
  expect(file.mock.calls[0]?.[1]?.aborted).toBe(true);
  arrive({ blob: new Blob(["RIFF"]), name: "" });
  await playing;
  expect([states(), shown(), failed.mock.calls]).toEqual([[], null, []]);
});

it("says why it cannot be heard", async () => {
  file.mockRejectedValue(new ApiError("Model loading failed", "model", 422, "content is missing"));
  await new PreviewPlayer().play(api, "robot", "", failed);
  expect(failed).toHaveBeenCalledWith("Model loading failed: content is missing");
  expect(shown()).toBeNull();
});
