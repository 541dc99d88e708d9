// The socket to the server: speaks the protocol, carries the audio, comes back by itself with the same settings.
//
// What the person wants and what the server has been told are kept apart; `reconcile` sends the difference, one action
// of a kind at a time. So a dragged slider never floods the server, and a new socket starts with nothing told and is
// brought to the same state.

import type { CapturedBlock } from "../audio/worklet-messages";
import { Agreement } from "./agreement";
import { Backoff } from "./backoff";
import { Carrier } from "./carrier";
import { inquire } from "./inquiry";
import type { Held, Stream, StreamState, Told } from "./link";
import type { ActionName, ControlError, ServerMessage } from "./messages";
import { type Asked, Pending } from "./pending";

const POLL_MS = 200;
const SILENCE_MS = 5000; // an action unanswered for this long: the connection is dead
const UNASKED: ReturnType<Pending["answered"]> = { asked: undefined, skipped: [] };
const LOST: ControlError = { type: "error", error: "The connection to the server was lost", code: "connection_lost" };

/** One server, one socket at a time; `emit` gets what there is to tell. */
export class Connection {
  private socket: WebSocket | null = null;
  private ready = false;
  private readonly backoff = new Backoff();
  private readonly pending = new Pending();
  private readonly carrier = new Carrier();
  private readonly notBefore = new Map<ActionName, number>(); // actions of which the server had too many
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly agreement = new Agreement();
  private wantedVoice = "";
  private voice = "";
  private wantedRunning = false;
  private stream: Stream | null = null;
  private state: StreamState = "idle";
  private serial = 0;
  private poll_ms = POLL_MS;
  private justChosen = false; // by the message before
  private readonly token: string;

  constructor(
    private readonly url: string,
    private readonly emit: (told: Told) => void,
    token = "",
  ) {
    this.token = /^[\w.~-]+$/.test(token) ? token : ""; // another is none, and no subprotocol
    this.open();
  }

  /** Try at once: the person asks, or the network is back. */
  retry(): void {
    if (!this.socket) this.open();
  }

  selectVoice(id: string): void {
    this.wantedVoice = id;
    this.reconcile();
  }

  hold(held: Partial<Held>): void {
    this.agreement.hold(held);
    this.reconcile();
  }

  poll(interval_ms: number): void {
    this.poll_ms = interval_ms;
  }

  start(stream: Stream): void {
    this.stream = stream;
    if (stream.audio) stream.audio.capture.onmessage = ({ data }: MessageEvent<CapturedBlock>) => this.carry(data);
    this.wantedRunning = true;
    this.reconcile();
  }

  stop(): void {
    this.wantedRunning = false;
    this.stream?.audio?.capture.close();
    this.stream?.audio?.playback.close();
    this.stream = null;
    this.reconcile();
  }

  /** An action of the page's own, which gets its answer as `{told: "answer"}`. */
  request(id: number, action: ActionName, fields: object): void {
    if (this.ready) this.say(action, fields, id);
    else this.emit({ told: "answer", id, reply: null, error: LOST });
  }

  private open(): void {
    clearTimeout(this.timer);
    this.emit({ told: "connection", state: "connecting", retry_ms: 0 });
    const socket = new WebSocket(this.url, this.token ? ["menura", `menura.token.${this.token}`] : []);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      if (socket !== this.socket) return;
      if (typeof data === "string") this.hear(JSON.parse(data) as ServerMessage);
      else this.play(data);
    };
    socket.onclose = () => socket === this.socket && this.lose();
    this.socket = socket;
  }

  /** The socket is gone: try again, later each time. */
  private lose(): void {
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    if (!this.ready) void this.inquire();
    this.ready = false;
    this.voice = "";
    this.agreement.clear();
    this.state = "idle";
    this.carrier.clear();
    this.notBefore.clear();
    this.abandon(this.pending.clear());
    this.stream?.audio?.playback.postMessage({ clear: true });
    clearTimeout(this.timer);
    const retry_ms = this.backoff.next();
    this.timer = setTimeout(() => this.open(), retry_ms);
    this.emit({ told: "connection", state: "lost", retry_ms });
  }

  private abandon(asked: Asked[]): void {
    for (const { request } of asked) {
      if (request !== undefined) this.emit({ told: "answer", id: request, reply: null, error: LOST });
    }
  }

  /** A socket that does not open says nothing: ask why. */
  private async inquire(): Promise<void> {
    const { refused, wait_ms } = await inquire(this.token);
    if (this.ready) return;
    if (refused) this.emit({ told: "refused" });
    this.backoff.atLeast(wait_ms);
  }

  /** Send what is wanted and not yet so. */
  private reconcile(): void {
    if (!this.ready) return;
    if (this.wantedVoice && this.wantedVoice !== this.voice && this.may("selectVoice")) {
      this.say("selectVoice", { voiceId: this.wantedVoice });
    }
    for (const { action, fields } of this.agreement.due((one) => this.may(one))) this.say(action, fields);
    const chosen = this.voice || this.pending.has("selectVoice");
    if (this.wantedRunning && this.state === "idle" && this.stream && chosen && this.may("start")) {
      this.begin(this.stream);
    }
    if (!this.wantedRunning && this.state === "running" && this.may("stop")) {
      this.move("stopping");
      this.say("stop");
    }
  }

  private begin({ serial, audio, devices }: Stream): void {
    this.serial = serial;
    this.move("starting");
    if (audio) this.say("start", { audio: { source: "client", sample_rate: audio.sample_rate, format: "pcm16" } });
    else this.say("start", { devices });
  }

  /** Whether an action can be sent now: none of its kind is unanswered, and the server has not had too many. */
  private may(action: ActionName): boolean {
    return !this.pending.has(action) && (this.notBefore.get(action) ?? 0) <= performance.now();
  }

  private say(action: ActionName, fields: object = {}, request?: number): void {
    const asked: Asked = { action, at: performance.now(), voice: this.wantedVoice };
    if (request !== undefined) asked.request = request;
    this.pending.add(asked);
    this.socket?.send(JSON.stringify({ action, ...fields }));
  }

  private move(state: StreamState): void {
    this.state = state;
    if (state === "running") {
      this.carrier.clear();
      this.ask(this.socket);
    }
    this.emit({ told: "stream", state, serial: this.serial });
  }

  /** Ask for the status while running, one question at a time. */
  private ask(socket: WebSocket | null): void {
    setTimeout(() => {
      if (socket !== this.socket || this.state !== "running") return;
      const oldest = this.pending.oldest;
      if (oldest && performance.now() - oldest.at > SILENCE_MS) {
        this.lose();
        return;
      }
      if (this.may("getStatus")) this.say("getStatus");
      this.ask(socket);
    }, this.poll_ms);
  }

  private hear(message: ServerMessage): void {
    const { asked, skipped } = this.pushed(message) ? UNASKED : this.pending.answered(message);
    this.abandon(skipped);
    const rtt_ms = asked ? performance.now() - asked.at : null;
    if (message.type === "connected") this.greet();
    else if (message.type === "voicesChanged") this.say("getVoices");
    else if (message.type === "voiceSelected") this.chosen(message.voice.id);
    else if (message.type === "status") this.heed(message.status.processing);
    const waits = message.type === "error" && this.fail(message, asked);
    const action = asked?.action ?? null;
    const { dropped } = this.carrier;
    if (!waits) this.emit({ told: "server", message, rtt_ms, action, selected: this.voice, dropped });
    if (asked?.request !== undefined) this.answer(asked.request, message); // who asked finds the page up to date
    this.reconcile();
  }

  /** After a choice of a voice the server may tell its parameters, which is no answer to ours that are on their way. */
  private pushed(message: ServerMessage): boolean {
    const { justChosen } = this;
    this.justChosen = message.type === "voiceSelected";
    if (!justChosen || message.type !== "parametersSet") return false;
    return this.agreement.differs(message.parameters);
  }

  /** The voice may have come with parameters of its own: ours are told again where they do not follow anyway. */
  private chosen(id: string): void {
    this.voice = id;
    if (!this.pending.has("setParameters")) this.agreement.forget("setParameters");
  }

  private greet(): void {
    this.ready = true;
    this.backoff.reset();
    this.emit({ told: "connection", state: "open", retry_ms: 0 });
    this.say("getVoices");
  }

  private answer(id: number, message: ServerMessage): void {
    if (message.type === "error") this.emit({ told: "answer", id, reply: null, error: message });
    else this.emit({ told: "answer", id, reply: message, error: null });
  }

  private heed(processing: boolean): void {
    if (processing && this.state === "starting") this.move("running");
    if (processing || this.state === "idle" || this.pending.has("start")) return;
    if (this.state === "running") this.wantedRunning = false; // the server ended it
    this.move("idle");
  }

  /** Draw what follows from a refusal; true where it is tried again by itself, or told to who asked. */
  private fail(error: ControlError, asked: Asked | undefined): boolean {
    if (!asked) return false;
    const { action, request, voice } = asked;
    if (request !== undefined) return true;
    if (error.code === "rate_limited") return this.postpone(action, error.retry_after_ms ?? 1000);
    if (action === "selectVoice" && this.wantedVoice === voice) this.wantedVoice = this.voice;
    if (action === "start" && this.stream?.serial === this.serial) this.wantedRunning = false;
    if (action === "start" || action === "stop") this.move("idle");
    return false;
  }

  private postpone(action: ActionName, wait_ms: number): true {
    this.notBefore.set(action, performance.now() + wait_ms);
    this.agreement.forget(action);
    if (action === "start") this.state = "idle";
    if (action === "stop") this.state = "running";
    const socket = this.socket;
    setTimeout(() => {
      if (socket !== this.socket) return;
      if (action === "getVoices") this.say("getVoices");
      this.reconcile();
    }, wait_ms + 1);
    return true;
  }

  /** A block from the microphone. */
  private carry(block: CapturedBlock): void {
    const rate = this.stream?.audio?.sample_rate;
    if (this.state !== "running" || !this.socket || !rate) return;
    if (this.carrier.send(this.socket, block, rate) > SILENCE_MS / 1000) this.lose();
  }

  private play(data: ArrayBuffer): void {
    if (this.state !== "running" || !this.stream?.audio) return;
    const block = this.carrier.receive(data);
    if (block) this.stream.audio.playback.postMessage(block, [block.samples.buffer]);
  }
}
