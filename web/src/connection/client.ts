// The page's end of the connection's thread.

import type { Ask, Held, Stream, Told } from "./link";
import type { ActionName, ControlError, ServerMessage } from "./messages";

interface Waiting {
  resolve: (reply: ServerMessage) => void;
  reject: (error: ControlError) => void;
}

export class ConnectionClient {
  private readonly worker = new Worker(new URL("./connection-worker.ts", import.meta.url), { type: "module" });
  private readonly waiting = new Map<number, Waiting>();
  private requests = 0;

  constructor(hear: (told: Told) => void, broken: () => void) {
    this.worker.onerror = broken;
    this.worker.onmessage = ({ data }: MessageEvent<Told>) => {
      if (data.told === "answer") this.settle(data);
      else hear(data);
    };
  }

  open(url: string, token: string): void {
    this.ask({ ask: "open", url, token });
  }

  selectVoice(id: string): void {
    this.ask({ ask: "voice", id });
  }

  /** Settings that the server shall have, now and after every reconnection. */
  hold(held: Partial<Held>): void {
    this.ask({ ask: "hold", held });
  }

  start(stream: Stream): void {
    this.ask({ ask: "start", stream }, stream.audio ? [stream.audio.capture, stream.audio.playback] : []);
  }

  stop(): void {
    this.ask({ ask: "stop" });
  }

  retry(): void {
    this.ask({ ask: "retry" });
  }

  /** How often `getStatus` is sent while processing. */
  poll(interval_ms: number): void {
    this.ask({ ask: "poll", interval_ms });
  }

  /** Send an action; its reply, or a rejection with the server's error. */
  request(action: ActionName, fields: object = {}): Promise<ServerMessage> {
    const id = ++this.requests;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.ask({ ask: "request", id, action, fields });
    });
  }

  private settle({ id, reply, error }: Extract<Told, { told: "answer" }>): void {
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    if (reply) waiting?.resolve(reply);
    else if (error) waiting?.reject(error);
  }

  private ask(asked: Ask, transfer: Transferable[] = []): void {
    this.worker.postMessage(asked, transfer);
  }
}
