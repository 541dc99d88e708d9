// What is going on now.

import { create } from "zustand";
import type { StatusFigures, VoiceInfo } from "../connection/messages";
import type { Role } from "../wire/rest";
import type { Delay } from "./delay";

export type Phase = "idle" | "opening" | "starting" | "running" | "stopping";

export interface Notice {
  text: string;
  /** The label of a button beside it that tries the connection again. */
  retry?: string;
}

export interface Live {
  phase: Phase;
  connection: "connecting" | "open" | "lost";
  /** When the next try is, by `performance.now()`. */
  retryAt: number;
  /** The server asks for its token. */
  refused: boolean;
  voices: VoiceInfo[] | null;
  notice: Notice | null;
  status: StatusFigures | null;
  details: Record<string, number>;
  delay: Delay | null;
  gaps: number;
  input_device_ms: number;
  output_device_ms: number;
  /** The unchanged voice is heard, for as long as a key is held. */
  comparing: boolean;
  /** The push-to-talk key is held. */
  talking: boolean;
  /** The microphone is muted; a new page begins with it on. */
  silent: boolean;
  /** What the token allows; all, until the server tells. */
  role: Role;
}

export const useLive = create<Live>(() => ({
  phase: "idle",
  connection: "connecting",
  retryAt: 0,
  refused: false,
  voices: null,
  notice: null,
  status: null,
  details: {},
  delay: null,
  gaps: 0,
  input_device_ms: 0,
  output_device_ms: 0,
  comparing: false,
  talking: false,
  silent: false,
  role: "manage",
}));

export const notify = (text: string, retry?: string): void =>
  useLive.setState({ notice: text ? { text, ...(retry ? { retry } : {}) } : null });
