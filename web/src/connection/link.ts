// What the page and the thread of the connection say to each other.

import type { ActionName, ControlError, ServerMessage } from "./messages";

/** Settings that the server holds for a session: each is sent as a whole, and again on every new socket. */
export interface Held {
  parameters: Record<string, number>;
  input: Record<string, number | boolean>;
  effects: unknown[];
}

/** The browser's audio, or without it the server machine's own devices. */
export interface Stream {
  serial: number;
  audio: { sample_rate: number; capture: MessagePort; playback: MessagePort } | null;
  devices?: { input: string | null; output: string | null; monitor?: string };
}

export type StreamState = "idle" | "starting" | "running" | "stopping";

export type Ask =
  | { ask: "open"; url: string; token: string }
  | { ask: "voice"; id: string }
  | { ask: "hold"; held: Partial<Held> }
  | { ask: "start"; stream: Stream }
  | { ask: "stop" }
  | { ask: "retry" }
  | { ask: "poll"; interval_ms: number }
  | { ask: "request"; id: number; action: ActionName; fields: object };

export interface ServerTold {
  told: "server";
  message: ServerMessage;
  /** Of the action it answers, if it answers one. */
  rtt_ms: number | null;
  action: ActionName | null;
  /** The voice that the server has. */
  selected: string;
  /** Frames of the microphone that did not fit through the socket. */
  dropped: number;
}

export type Told =
  | { told: "connection"; state: "connecting" | "open" | "lost"; retry_ms: number }
  | { told: "refused" }
  | { told: "stream"; state: StreamState; serial: number }
  | { told: "answer"; id: number; reply: ServerMessage | null; error: ControlError | null }
  | ServerTold;
