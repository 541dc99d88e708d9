// What was asked and not yet answered. The server answers in order.

import type { ActionName, ControlError, ServerMessage } from "./messages";

/** What answers an action that did not fail. */
const REPLY: Record<ActionName, ServerMessage["type"]> = {
  getVoices: "voices",
  selectVoice: "voiceSelected",
  mixVoices: "voicesMixed",
  setParameters: "parametersSet",
  setInput: "inputSet",
  setEffects: "effectsSet",
  configureAudio: "audioConfigured",
  start: "status",
  stop: "status",
  getStatus: "status",
  previewVoice: "previewStarted",
  stopPreview: "previewEnded",
  startRecording: "recordingStarted",
  stopRecording: "recordingStopped",
  setStatusInterval: "statusInterval",
};

export interface Asked {
  action: ActionName;
  /** When, by `performance.now()`. */
  at: number;
  /** The voice that was wanted then. */
  voice: string;
  /** Of a page's own request, which waits for the answer. */
  request?: number;
}

/** Errors that come by themselves: audio that crossed with the end, devices that went away. Newer servers say so. */
function unasked(error: ControlError, oldest: Asked | undefined): boolean {
  if (error.code === "not_active") return !["stopRecording", "stop"].includes(oldest?.action ?? "");
  return error.code === "device_unavailable" && oldest?.action !== "start";
}

export class Pending {
  private waiting: Asked[] = [];

  get oldest(): Asked | undefined {
    return this.waiting[0];
  }

  add(asked: Asked): void {
    this.waiting.push(asked);
  }

  has(action: ActionName): boolean {
    return this.waiting.some((one) => one.action === action);
  }

  /** Take out what a message answers, if it answers anything; and those before it, which got no answer. */
  answered(message: ServerMessage): { asked: Asked | undefined; skipped: Asked[] } {
    if (message.type === "error" && message.action) {
      const at = this.waiting.findIndex(({ action }) => action === message.action);
      return this.taken(at);
    }
    if (message.type === "error") {
      return { asked: unasked(message, this.oldest) ? undefined : this.waiting.shift(), skipped: [] };
    }
    return this.taken(this.waiting.findIndex((one) => REPLY[one.action] === message.type));
  }

  private taken(at: number): { asked: Asked | undefined; skipped: Asked[] } {
    const skipped = at < 0 ? [] : this.waiting.splice(0, at + 1);
    return { asked: skipped.pop(), skipped };
  }

  /** Forget all: the socket is gone. */
  clear(): Asked[] {
    return this.waiting.splice(0);
  }
}
