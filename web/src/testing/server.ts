// For tests: a server's end of the sockets, without a network, and the connection's thread, without a thread.

import { vi } from "vitest";
import { Connection } from "../connection/connection";
import type { Ask, Told } from "../connection/link";

export class FakeSocket {
  static all: FakeSocket[] = [];
  static get latest(): FakeSocket {
    const socket = FakeSocket.all[FakeSocket.all.length - 1];
    if (!socket) throw new Error("nobody has connected");
    return socket;
  }

  binaryType = "";
  bufferedAmount = 0;
  onmessage: ((event: { data: string | ArrayBuffer }) => void) | null = null;
  onclose: (() => void) | null = null;
  readonly sent: Record<string, unknown>[] = [];

  constructor(
    readonly url: string,
    readonly protocols: string[],
  ) {
    FakeSocket.all.push(this);
  }

  send(data: string): void {
    this.sent.push(JSON.parse(data));
  }

  close(): void {}

  say(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  actions(): unknown[] {
    return this.sent.map(({ action }) => action);
  }

  count(action: string): number {
    return this.actions().filter((one) => one === action).length;
  }

  /** The newest of an action. */
  last(action: string): Record<string, unknown> | undefined {
    return this.sent.filter((one) => one.action === action).at(-1);
  }
}

/** Runs what the worker runs, at once. */
class InlineWorker {
  onmessage: ((event: { data: Told }) => void) | null = null;
  onerror: (() => void) | null = null;
  private connection: Connection | undefined;

  postMessage(asked: Ask): void {
    const { connection } = this;
    if (asked.ask === "open") this.connection = new Connection(asked.url, (data) => this.onmessage?.({ data }), asked.token);
    else if (asked.ask === "voice") connection?.selectVoice(asked.id);
    else if (asked.ask === "hold") connection?.hold(asked.held);
    else if (asked.ask === "start") connection?.start(asked.stream);
    else if (asked.ask === "stop") connection?.stop();
    else if (asked.ask === "retry") connection?.retry();
    else if (asked.ask === "poll") connection?.poll(asked.interval_ms);
    else connection?.request(asked.id, asked.action, asked.fields);
  }
}

/** Have the page's modules find these in place of the browser's; `settings` is what the server has for everybody, `role`
 * what the token allows. */
export function pretend(settings: object | null = null, role: string | null = null): void {
  FakeSocket.all = [];
  vi.stubGlobal("WebSocket", FakeSocket);
  vi.stubGlobal("Worker", InlineWorker);
  vi.stubGlobal("fetch", async (path: string) => {
    if (path === "/api/access") return role ? Response.json({ role, token: "" }) : new Response("{}", { status: 404 });
    return settings ? Response.json(settings) : new Response("{}", { status: 503 });
  });
}

export const IDLE = { processing: false, input_level: 0, output_level: 0, latency_ms: 0, processing_time_ms: 0 };
export const RUNNING = { ...IDLE, processing: true, latency_ms: 30 };
