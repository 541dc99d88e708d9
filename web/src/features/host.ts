import { createContext, useContext } from "react";
import type { Api } from "../api/api";
import type { Parameters } from "../state/settings";
import type { Action, EffectSpec, MixPart, ServerMessage, VoiceInfo } from "../wire/control";

/** What the features need of the page that they are part of. */
export interface Host {
  api: Api;
  connected: boolean;
  running: boolean;
  /** Whether the server's own devices play, so that no sound comes to the browser. */
  serverAudio: boolean;
  voices: VoiceInfo[];
  voice: string;
  parameters: Parameters;
  /** One action and its reply; rejects with the server's error. */
  request(action: Action): Promise<ServerMessage>;
  /** Every message that the server sends; gives what ends it. */
  listen(listener: (message: ServerMessage) => void): () => void;
  /** Kept, and sent again after a reconnection; resolves when the server has applied it. */
  wantEffects(effects: EffectSpec[]): Promise<unknown>;
  wantMix(voices: MixPart[] | null): Promise<unknown>;
  selectVoice(id: string): void;
  /** Ask for the voices; resolves when the page has them. */
  refreshVoices(): Promise<void>;
  taps(): { input: AudioNode; output: AudioNode } | null;
  /** The newest levels that the server told, 0–1. */
  levels(): { input: number; output: number };
  /** Where previews are heard: a device id, empty for the system's choice. */
  previewSpeaker(): string;
  notify(text: string): void;
}

export const HostContext = createContext<Host | null>(null);

export function useHost(): Host {
  const host = useContext(HostContext);
  if (!host) throw new Error("a feature stands outside of its HostContext");
  return host;
}
