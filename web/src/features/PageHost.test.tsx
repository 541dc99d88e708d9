import { act, cleanup, render } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { FakeSocket, pretend } from "../testing/server";
import type { Host } from "./host";

const voice = (id: string) => ({ id, name: id, category: "character", description: "" });
const VOICES = [voice("robot"), voice("giant")];
const EFFECTS = [{ kind: "reverb", params: { wet: 0.3 }, enabled: true }];
const MIX = [
  { voiceId: "robot", gain: 0.8 },
  { voiceId: "giant", gain: 0.6 },
];
const mixed = { type: "voicesMixed", voices: MIX.map(({ voiceId, gain }) => ({ ...voice(voiceId), gain })) };

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

function greet(server: FakeSocket): void {
  act(() => {
    server.say({ type: "connected" });
    server.say({ type: "voices", voices: VOICES });
    server.say({ type: "voiceSelected", voice: voice("robot") });
  });
}

async function opened() {
  vi.resetModules();
  const { controller } = await import("../state/controller");
  const { PageHost } = await import("./PageHost");
  const { HostContext } = await import("./host");
  let host: Host | null = null;
  controller.begin();
  render(
    <PageHost>
      <HostContext.Consumer>
        {(given) => {
          host = given;
          return null;
        }}
      </HostContext.Consumer>
    </PageHost>,
  );
  greet(FakeSocket.latest);
  return () => host as unknown as Host;
}

it("has the effects and the second voice again after a lost connection", async () => {
  const host = await opened();
  const server = FakeSocket.latest;
  await act(async () => {
    void host().wantEffects(EFFECTS);
    server.say({ type: "parametersSet", parameters: { pitch_st: 0, formant: 1, mix: 1 } });
    server.say({ type: "effectsSet", effects: EFFECTS });
    void host().wantMix(MIX);
    server.say(mixed);
  });
  act(() => server.onclose?.());
  await act(() => vi.advanceTimersByTimeAsync(300));
  const again = FakeSocket.latest;
  expect(again).not.toBe(server);
  greet(again);
  expect(again.last("setEffects")?.effects).toEqual(EFFECTS);
  expect(again.last("mixVoices")?.voices).toEqual(MIX);
});

it("has one voice again when the second one goes", async () => {
  const host = await opened();
  const server = FakeSocket.latest;
  await act(async () => {
    void host().wantMix(MIX);
    server.say(mixed);
    void host().wantMix(null);
  });
  expect(server.sent.at(-1)).toMatchObject({ action: "selectVoice", voiceId: "robot" });
});

it("resolves a question for the voices when the page has them", async () => {
  const host = await opened();
  const asked = host().refreshVoices();
  act(() => FakeSocket.latest.say({ type: "voices", voices: [...VOICES, voice("new")] }));
  await act(() => asked);
  expect(host().voices.map(({ id }) => id)).toEqual(["robot", "giant", "new"]);
});
