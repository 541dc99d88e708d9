import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { VoiceInfo } from "../connection/messages";
import { FakeSocket, pretend, RUNNING } from "../testing/server";

const NEUTRAL = { pitch_st: 0, formant: 1, mix: 1 };
const voice = (id: string, parameters: Partial<typeof NEUTRAL> = {}): VoiceInfo => ({
  id,
  name: id,
  category: "custom",
  description: "",
  parameters: { ...NEUTRAL, ...parameters },
});
const ROBOT = voice("robot");
const SAVED = voice("saved", { pitch_st: 3, mix: 0.5 });
const settle = () => vi.advanceTimersByTimeAsync(0);

/** A page as it is after loading, connected, with these voices on offer. */
async function opened(voices: VoiceInfo[] = [ROBOT, SAVED]) {
  vi.resetModules();
  const { controller } = await import("./controller");
  const { useSettings } = await import("./settings");
  const { useLive } = await import("./live");
  controller.begin();
  const server = FakeSocket.latest;
  server.say({ type: "connected" });
  server.say({ type: "voices", voices });
  await settle();
  return { controller, useSettings, useLive, server, choice: () => useSettings.getState() };
}

const selected = ({ id, name, category }: VoiceInfo) => ({ type: "voiceSelected", voice: { id, name, category } });

beforeEach(() => {
  vi.useFakeTimers();
  localStorage.clear();
  pretend();
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("a voice", () => {
  it("comes with its own parameters, which the server is told", async () => {
    const { controller, choice, server } = await opened();
    server.say(selected(ROBOT));
    controller.setParameters({ pitch_st: -5 });
    server.say({ type: "parametersSet", parameters: { ...NEUTRAL, pitch_st: -5 } });
    controller.selectVoice("saved");
    expect(choice().parameters).toEqual(SAVED.parameters);
    server.say(selected(SAVED));
    server.say({ type: "parametersSet", parameters: SAVED.parameters });
    server.say({ type: "parametersSet", parameters: SAVED.parameters });
    expect(server.last("setParameters")?.parameters).toEqual(SAVED.parameters);
    controller.selectVoice("robot");
    expect(choice().parameters).toEqual(NEUTRAL);
  });

  it("that the server refuses gives way to the one before, as it was turned", async () => {
    const { controller, choice, server } = await opened();
    server.say(selected(ROBOT));
    controller.setParameters({ pitch_st: 4 });
    server.say({ type: "parametersSet", parameters: { ...NEUTRAL, pitch_st: 4 } });
    controller.selectVoice("saved");
    server.say({ type: "error", error: "Model loading failed", code: "model_failed", action: "selectVoice" });
    expect(choice()).toMatchObject({ voice: "robot", parameters: { ...NEUTRAL, pitch_st: 4 } });
  });

  it("is the first one with its own parameters where nobody has chosen", async () => {
    const { choice, server } = await opened([SAVED, ROBOT]);
    expect(choice()).toMatchObject({ voice: "saved", parameters: SAVED.parameters });
    expect(server.last("selectVoice")).toMatchObject({ voiceId: "saved" });
    expect(localStorage.getItem("menura")).toBeNull();
  });

  it("stays as it was turned when the page is loaded again", async () => {
    const { controller } = await opened();
    controller.selectVoice("saved");
    controller.setParameters({ pitch_st: 7 });
    const { choice, server } = await opened();
    expect(choice()).toMatchObject({ voice: "saved", parameters: { ...SAVED.parameters, pitch_st: 7 } });
    server.say(selected(SAVED));
    expect(server.last("setParameters")?.parameters).toMatchObject({ pitch_st: 7, mix: 0.5 });
  });

  it("is another one when it is deleted, and follows when somebody changes it", async () => {
    const { controller, choice, server } = await opened();
    controller.selectVoice("saved");
    server.say({ type: "voices", voices: [ROBOT, voice("saved", { pitch_st: -2 })] });
    expect(choice().parameters).toEqual({ ...NEUTRAL, pitch_st: -2 });
    controller.setParameters({ pitch_st: 1 });
    server.say({ type: "voices", voices: [ROBOT, SAVED] });
    expect(choice().parameters.pitch_st).toBe(1);
    server.say({ type: "voices", voices: [ROBOT] });
    expect(choice()).toMatchObject({ voice: "robot", parameters: NEUTRAL });
  });

  it("has its parameters and all else again after a lost connection", async () => {
    const { controller, server } = await opened();
    controller.selectVoice("saved");
    server.say(selected(SAVED));
    controller.setParameters({ formant: 1.2 });
    server.onclose?.();
    await vi.advanceTimersByTimeAsync(300);
    const again = FakeSocket.latest;
    expect(again).not.toBe(server);
    again.say({ type: "connected" });
    again.say({ type: "voices", voices: [ROBOT, SAVED] });
    again.say(selected(SAVED));
    again.say({ type: "parametersSet", parameters: SAVED.parameters }); // pushed: its own
    expect(again.last("setParameters")?.parameters).toEqual({ ...SAVED.parameters, formant: 1.2 });
    expect(again.last("selectVoice")).toMatchObject({ voiceId: "saved" });
  });
});

describe("the server's settings", () => {
  const COMMON = {
    voice: "saved",
    theme: "dark",
    status_interval_ms: 20,
    sample_rate: 44_100,
    noise_suppression: true,
    auto_gain: false,
    echo_cancellation: false,
  };

  it("hold for who has chosen nothing", async () => {
    pretend(COMMON);
    const { choice } = await opened();
    expect(choice()).toMatchObject({
      voice: "saved",
      parameters: SAVED.parameters,
      theme: "dark",
      status_interval_ms: 50,
      sample_rate: 44_100,
      noise_suppression: true,
    });
    expect(localStorage.getItem("menura")).toBeNull();
  });

  it("give way to a person's own, which come back with the page", async () => {
    pretend(COMMON);
    const first = await opened();
    first.useSettings.setState({ theme: "light", noise_suppression: false });
    first.controller.selectVoice("robot");
    const { choice } = await opened();
    expect(choice()).toMatchObject({ voice: "robot", theme: "light", noise_suppression: false, sample_rate: 44_100 });
  });

  it("hold again when a person's own are forgotten", async () => {
    pretend(COMMON);
    const { choice, useSettings } = await opened();
    useSettings.setState({ theme: "light", gain_db: 6 });
    const { forget } = await import("./settings");
    forget();
    expect(choice()).toMatchObject({ theme: "dark", gain_db: 0 });
    expect(localStorage.getItem("menura")).toBe("{}");
  });
});

describe("what a token forbids", () => {
  it("is told by the page, not by a notice for everything it tries", async () => {
    const { server, useLive } = await opened();
    server.say({ type: "error", error: "Forbidden", code: "forbidden", action: "selectVoice" });
    expect(useLive.getState().role).toBe("listen");
    expect(useLive.getState().notice?.text).not.toContain("Forbidden");
  });
});

describe("the microphone", () => {
  it("is muted at the server where it is the server's, and left alone where it is not", async () => {
    const { server, useSettings, useLive } = await opened();
    expect(server.count("setInput")).toBe(0);
    useSettings.setState({ source: "server", gain_db: 6 });
    expect(server.last("setInput")?.input).toMatchObject({ muted: false, gain_db: 6 });
    server.say({ type: "inputSet", input: {} });
    useLive.setState({ silent: true });
    expect(server.last("setInput")?.input).toMatchObject({ muted: true });
    server.say({ type: "inputSet", input: {} });
    useSettings.setState({ source: "browser" });
    expect(server.last("setInput")?.input).toMatchObject({ muted: false, gain_db: 0 });
  });
});

describe("a browser that cancels echo alone", () => {
  it("leaves the other corrections to the server, and keeps its microphone open", async () => {
    const getSupportedConstraints = () => ({ echoCancellation: true });
    vi.stubGlobal("navigator", { mediaDevices: { getSupportedConstraints } });
    const { controller, server, useSettings } = await opened();
    const setMicrophone = vi.fn(async () => undefined);
    controller.audio = { setMicrophone, setVolume: vi.fn(), setGain: vi.fn() } as unknown as typeof controller.audio;
    expect(server.count("setInput")).toBe(0);
    useSettings.setState({ noise_suppression: true, gain_db: 6 });
    expect(server.last("setInput")?.input).toMatchObject({ noise_suppression: true, auto_gain: false, gain_db: 0 });
    expect(setMicrophone).not.toHaveBeenCalled();
    useSettings.setState({ echo_cancellation: true });
    expect(setMicrophone).toHaveBeenCalledOnce();
    server.say({ type: "inputSet", input: {} });
    useSettings.setState({ noise_suppression: false });
    expect(server.last("setInput")?.input).toMatchObject({ noise_suppression: false });
  });
});

describe("comparing", () => {
  it("takes the voice away for as long as it lasts", async () => {
    const { server, useLive } = await opened();
    server.say(selected(ROBOT));
    server.say({ type: "parametersSet", parameters: NEUTRAL });
    useLive.setState({ comparing: true });
    expect(server.last("setParameters")?.parameters).toEqual({ ...NEUTRAL, mix: 0 });
    server.say({ type: "parametersSet", parameters: { ...NEUTRAL, mix: 0 } });
    useLive.setState({ comparing: false });
    expect(server.last("setParameters")?.parameters).toEqual(NEUTRAL);
  });
});

it("goes on by itself where the server's own devices were running", async () => {
  const { controller, server, useSettings, useLive } = await opened();
  server.say(selected(ROBOT));
  useSettings.setState({ source: "server", server_monitor: "Headphones" });
  await controller.start();
  expect(server.last("start")).toMatchObject({ devices: { input: null, output: null, monitor: "Headphones" } });
  server.say({ type: "status", status: RUNNING, details: {} });
  expect(useLive.getState().phase).toBe("running");
  server.onclose?.();
  expect(useLive.getState().phase).toBe("starting");
  await vi.advanceTimersByTimeAsync(300);
  const again = FakeSocket.latest;
  again.say({ type: "connected" });
  again.say({ type: "voices", voices: [ROBOT] });
  again.say(selected(ROBOT));
  again.say({ type: "status", status: RUNNING, details: {} });
  expect(useLive.getState().phase).toBe("running");
});
