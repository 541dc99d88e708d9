import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Connection } from "./connection";
import { FakeSocket, IDLE } from "../testing/server";
import type { Told } from "./link";

const VOICE = { id: "robot", name: "Robot", category: "character" };
const latest = () => FakeSocket.latest;
let told: Told[] = [];

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("WebSocket", FakeSocket);
  vi.stubGlobal("fetch", async () => ({ status: 401 }));
  FakeSocket.all = [];
  told = [];
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function connected(): Connection {
  const connection = new Connection("ws://here/", (one) => told.push(one), "abc");
  latest().say({ type: "connected" });
  return connection;
}

it("asks for the voices, with the token as a subprotocol", () => {
  connected();
  expect(latest().protocols).toEqual(["menura", "menura.token.abc"]);
  expect(latest().actions()).toEqual(["getVoices"]);
});

it("sends one change of a kind at a time, and the newest last", () => {
  const connection = connected();
  for (const pitch_st of [1, 2, 3]) connection.hold({ parameters: { pitch_st } });
  expect(latest().sent.slice(1)).toEqual([{ action: "setParameters", parameters: { pitch_st: 1 } }]);
  latest().say({ type: "parametersSet", parameters: { pitch_st: 1 } });
  expect(latest().sent.slice(2)).toEqual([{ action: "setParameters", parameters: { pitch_st: 3 } }]);
});

it("comes back with the same voice, settings and sound", () => {
  const connection = connected();
  connection.selectVoice("robot");
  connection.hold({ parameters: { mix: 0.5 } });
  latest().say({ type: "voiceSelected", voice: VOICE });
  connection.start({ serial: 1, audio: null });
  latest().say({ type: "status", status: { ...IDLE, processing: true }, details: {} });
  latest().onclose?.();
  vi.advanceTimersByTime(300);
  expect(FakeSocket.all).toHaveLength(2);
  latest().say({ type: "connected" });
  latest().say({ type: "voices", voices: [] });
  expect(latest().actions().sort()).toEqual(["getVoices", "selectVoice", "setParameters", "start"]);
});

it("tries again later each time, and says when the token is refused", async () => {
  new Connection("ws://here/", (one) => told.push(one));
  for (const wait of [275, 550, 1100, 2200, 4400, 4400]) {
    const before = FakeSocket.all.length;
    latest().onclose?.();
    await vi.advanceTimersByTimeAsync(wait);
    expect(FakeSocket.all).toHaveLength(before + 1);
  }
  expect(told).toContainEqual({ told: "refused" });
});

it("leaves a server alone that had too many tries", async () => {
  vi.stubGlobal("fetch", async () => ({ status: 429, headers: new Headers({ "Retry-After": "3" }) }));
  new Connection("ws://here/", (one) => told.push(one));
  latest().onclose?.();
  await vi.advanceTimersByTimeAsync(300); // the first try comes before the answer counts
  latest().onclose?.();
  await vi.advanceTimersByTimeAsync(2900);
  expect(FakeSocket.all).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(500);
  expect(FakeSocket.all).toHaveLength(3);
});

it("waits as long as a busy server asks, without troubling anybody", () => {
  const connection = connected();
  connection.selectVoice("robot");
  latest().say({ type: "voices", voices: [] });
  latest().say({ type: "error", error: "Too many", code: "rate_limited", action: "selectVoice", retry_after_ms: 700 });
  vi.advanceTimersByTime(650);
  expect(latest().actions()).toEqual(["getVoices", "selectVoice"]);
  vi.advanceTimersByTime(100);
  expect(latest().actions()).toEqual(["getVoices", "selectVoice", "selectVoice"]);
  expect(told.filter((one) => one.told === "server" && one.message.type === "error")).toEqual([]);
});

it("goes on with the voice it had when another is refused", () => {
  const connection = connected();
  latest().say({ type: "voices", voices: [] });
  connection.selectVoice("robot");
  latest().say({ type: "voiceSelected", voice: VOICE });
  connection.selectVoice("gone");
  latest().say({ type: "error", error: "Voice not found: gone", code: "voice_not_found", action: "selectVoice" });
  vi.advanceTimersByTime(5000);
  expect(latest().actions()).toEqual(["getVoices", "selectVoice", "selectVoice"]);
});

it("asks for the status at the pace that is wanted, while it runs", () => {
  const connection = connected();
  latest().say({ type: "voices", voices: [] });
  connection.poll(50);
  connection.selectVoice("robot");
  latest().say({ type: "voiceSelected", voice: VOICE });
  connection.start({ serial: 1, audio: null });
  const running = { type: "status", status: { ...IDLE, processing: true }, details: {} };
  latest().say(running);
  for (let turn = 0; turn < 4; turn++) {
    vi.advanceTimersByTime(50);
    latest().say(running);
  }
  expect(
    latest()
      .actions()
      .filter((action) => action === "getStatus"),
  ).toHaveLength(4);
});

it("answers a request with its reply, or with the error, also of a lost connection", () => {
  const connection = connected();
  latest().say({ type: "voices", voices: [] });
  connection.request(1, "stopRecording", {});
  latest().say({ type: "error", error: "Nothing is recorded", code: "not_active", action: "stopRecording" });
  connection.request(2, "setEffects", { effects: [] });
  latest().onclose?.();
  const answers = told.filter((one) => one.told === "answer");
  expect(answers.map(({ id, error }) => [id, error?.code])).toEqual([
    [1, "not_active"],
    [2, "connection_lost"],
  ]);
});

it("tells its parameters again after a choice of a voice, whatever the voice came with", () => {
  const connection = connected();
  latest().say({ type: "voices", voices: [] });
  connection.hold({ parameters: { pitch_st: 1 } });
  latest().say({ type: "parametersSet", parameters: { pitch_st: 1 } });
  connection.selectVoice("robot");
  latest().say({ type: "voiceSelected", voice: VOICE });
  latest().say({ type: "parametersSet", parameters: { pitch_st: 5 } }); // the voice's own: no answer to ours
  expect(latest().last("setParameters")).toMatchObject({ parameters: { pitch_st: 1 } });
  expect(latest().count("setParameters")).toBe(2);
  connection.hold({ parameters: { pitch_st: 2 } });
  expect(latest().count("setParameters")).toBe(2); // one at a time
  latest().say({ type: "parametersSet", parameters: { pitch_st: 1 } });
  expect(latest().last("setParameters")).toMatchObject({ parameters: { pitch_st: 2 } });
});

it("gives an error to the action that it names, and to none where it names one that nobody waits for", () => {
  const connection = connected();
  latest().say({ type: "voices", voices: [] });
  connection.request(1, "setEffects", { effects: [] });
  connection.request(2, "startRecording", {});
  latest().say({ type: "error", error: "No such mix", code: "config", action: "mixVoices" });
  latest().say({ type: "error", error: "The disk is full", code: "no_room", action: "startRecording" });
  const answers = told.filter((one) => one.told === "answer");
  expect(answers.map(({ id, error }) => [id, error?.code])).toEqual([
    [1, "connection_lost"],
    [2, "no_room"],
  ]);
});

it("tells the page before it answers who asked", () => {
  const connection = connected();
  latest().say({ type: "voices", voices: [] });
  connection.request(1, "getVoices", {});
  told.length = 0;
  latest().say({ type: "voices", voices: [] });
  expect(told.map((one) => one.told)).toEqual(["server", "answer"]);
});
