// What was asked and not yet answered. The server answers in order.

import type { ActionName, ServerMessage } from "./messages";

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

  /**
   * Take out what a message answers, if it answers anything; and those before it, which got no answer. An error that
   * names no action comes by itself: audio that crossed with the end, devices that went away.
   */
  answered(message: ServerMessage): { asked: Asked | undefined; skipped: Asked[] } {
    const answers = ({ action }: Asked) =>
      message.type === "error" ? message.action === action : REPLY[action] === message.type;
    return this.taken(this.waiting.findIndex(answers));
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
