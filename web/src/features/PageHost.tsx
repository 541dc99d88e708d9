import { type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { Api } from "../api/api";
import { levels } from "../audio/levels";
import { controller } from "../state/controller";
import { notify, useLive } from "../state/live";
import { useSettings } from "../state/settings";
import type { Action, EffectSpec, MixPart, ServerMessage } from "../wire/control";
import { type Host, HostContext } from "./host";

const send = ({ action, ...fields }: Action): Promise<ServerMessage> => controller.connection.request(action, fields);

function listen(listener: (message: ServerMessage) => void): () => void {
  controller.listeners.add(listener);
  return () => {
    controller.listeners.delete(listener);
  };
}

function taps() {
  const audio = controller.audio;
  return audio?.input && audio.playback ? { input: audio.input, output: audio.playback } : null;
}

/** After a lost connection they are asked for anyway. */
const refreshVoices = () =>
  send({ action: "getVoices" }).then(
    () => undefined,
    () => undefined,
  );

/** Not where others listen, if there is another. */
function previewSpeaker(): string {
  const { monitor, speaker } = useSettings.getState();
  return monitor || speaker;
}

/** The effects go with the settings that every new socket is told. */
async function wantEffects(effects: EffectSpec[]): Promise<void> {
  controller.connection.hold({ effects });
}

/** The page as its features see it. */
export function PageHost({ children }: { children: ReactNode }) {
  const voices = useLive((live) => live.voices);
  const connected = useLive((live) => live.connection === "open");
  const running = useLive((live) => live.phase === "running");
  const { voice, parameters, source } = useSettings();
  const [api] = useState(() => new Api(controller.token));
  const mix = useRef<MixPart[] | null>(null);

  const wantMix = useCallback(async (parts: MixPart[] | null) => {
    mix.current = parts;
    const alone = useSettings.getState().voice;
    if (parts) await send({ action: "mixVoices", voices: parts });
    else if (alone) await send({ action: "selectVoice", voiceId: alone });
  }, []);
  useEffect(
    () =>
      listen((message) => {
        // a voice that is selected, after a reconnection too, ends the mix
        const again = message.type === "voiceSelected" && mix.current;
        if (again && again[0]?.voiceId === message.voice.id) void wantMix(again).catch(() => undefined);
      }),
    [wantMix],
  );

  const host = useMemo<Host>(
    () => ({
      api,
      connected,
      running,
      serverAudio: source === "server",
      voices: voices ?? [],
      voice,
      parameters,
      request: send,
      listen,
      wantEffects,
      wantMix,
      selectVoice: (id) => controller.selectVoice(id),
      refreshVoices,
      taps,
      levels: () => ({ input: levels.input.level, output: levels.output.level }),
      previewSpeaker,
      notify,
    }),
    [api, connected, running, source, voices, voice, parameters, wantMix],
  );
  return <HostContext value={host}>{children}</HostContext>;
}
