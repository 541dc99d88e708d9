// The socket to the server: speaks the protocol, carries the audio, comes back by itself with the same settings.
//
// What the person wants (`wanted`) and what the server has confirmed are kept apart; `reconcile` sends the difference,
// one action of a kind at a time. So a dragged slider never floods the server, and a new socket starts with nothing
// confirmed and is brought to the same state.

const RETRY_MS = [250, 500, 1000, 2000, 4000];
const POLL_MS = 200;
const SILENCE_MS = 5000; // an action unanswered for this long: the connection is dead
const BACKLOG_S = 0.25; // audio waiting in the socket beyond which blocks are dropped and counted
const FULL_SCALE = 32768;

/** What answers an action that did not fail. */
const REPLY = {
  getVoices: "voices",
  selectVoice: "voiceSelected",
  setParameters: "parametersSet",
  start: "status",
  stop: "status",
  getStatus: "status",
};

/**
 * @typedef {keyof typeof REPLY} Action
 * @typedef {{samples: Float32Array, captured: number, posted: number}} Block
 * @typedef {{sample_rate: number, capture: MessagePort, playback: MessagePort, serial: number}} Stream
 * @typedef {{action: Action, at: number, voice: string}} Asked
 */

/** @param {Float32Array} samples */
export function encode(samples) {
  const out = new Int16Array(samples.length);
  for (let i = 0; i < out.length; i++) {
    out[i] = Math.max(-FULL_SCALE, Math.min(FULL_SCALE - 1, Math.round(samples[i] * FULL_SCALE)));
  }
  return out;
}

/** @param {ArrayBuffer} data */
export function decode(data) {
  const words = new Int16Array(data, 0, data.byteLength >> 1);
  const out = new Float32Array(words.length);
  for (let i = 0; i < out.length; i++) out[i] = words[i] / FULL_SCALE;
  return out;
}

/** One server, one socket at a time. `emit` gets the server's messages and `{type: "connection" | "stream"}`. */
export class Connection {
  /**
   * @param {string} url
   * @param {(message: any) => void} emit
   * @param {string} [token] what the server asks of its clients
   */
  constructor(url, emit, token = "") {
    this.url = url;
    this.emit = emit;
    this.token = /^[\w.~-]+$/.test(token) ? token : ""; // another is none, and no subprotocol
    /** @type {{voice: string, parameters: Record<string, number> | null, running: boolean}} */
    this.wanted = { voice: "", parameters: null, running: false };
    /** @type {Stream | null} */
    this.stream = null;
    /** @type {WebSocket | null} */
    this.socket = null;
    this.attempts = 0;
    this.timer = 0;
    this.serial = 0;
    this.dropped = 0;
    this.parameters = ""; // as last sent, in JSON
    this.sent = 0; // frames
    this.received = 0;
    this.forget();
    this.open();
  }

  /** A new socket knows nothing. */
  forget() {
    this.ready = false;
    this.voice = "";
    this.parameters = "";
    /** @type {"idle" | "starting" | "running" | "stopping"} */
    this.state = "idle";
    /** @type {Asked[]} */
    this.pending = [];
    this.sent = 0;
    this.received = 0;
    /** @type {{index: number, captured: number, posted: number}[]} */
    this.marks = [];
  }

  open() {
    clearTimeout(this.timer);
    this.emit({ type: "connection", state: "connecting", attempts: this.attempts });
    const socket = new WebSocket(this.url, this.token ? ["menura", `menura.token.${this.token}`] : []);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      if (socket !== this.socket) return;
      if (typeof data === "string") this.hear(JSON.parse(data));
      else this.play(data);
    };
    socket.onclose = () => socket === this.socket && this.lose();
    this.socket = socket;
  }

  /** The socket is gone: try again, later each time. */
  lose() {
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    if (!this.ready) this.inquire();
    this.forget();
    this.stream?.playback.postMessage({ clear: true });
    clearTimeout(this.timer);
    const retry_ms = RETRY_MS[Math.min(this.attempts++, RETRY_MS.length - 1)] * (0.9 + 0.2 * Math.random());
    this.timer = setTimeout(() => this.open(), retry_ms);
    this.emit({ type: "connection", state: "lost", retry_ms });
  }

  /** A socket that does not open says nothing: ask whether it is for want of the token. */
  async inquire() {
    /** @type {RequestInit} */
    const asking = { method: "HEAD", credentials: "omit", cache: "no-store" };
    if (this.token) asking.headers = { Authorization: `Bearer ${this.token}` };
    try {
      const { status } = await fetch("/", asking);
      if (status === 401 && !this.ready) this.emit({ type: "refused" });
    } catch {
      // there is no server
    }
  }

  /** Try at once: the person asks, or the network is back. */
  retry() {
    if (!this.socket) this.open();
  }

  /** @param {string} id */
  selectVoice(id) {
    this.wanted.voice = id;
    this.reconcile();
  }

  /** @param {Record<string, number>} parameters */
  setParameters(parameters) {
    this.wanted.parameters = parameters;
    this.reconcile();
  }

  /** @param {Stream} stream */
  start(stream) {
    this.stream = stream;
    stream.capture.onmessage = ({ data }) => this.carry(data);
    this.wanted.running = true;
    this.reconcile();
  }

  stop() {
    this.wanted.running = false;
    this.stream?.capture.close();
    this.stream?.playback.close();
    this.stream = null;
    this.reconcile();
  }

  /** Send what is wanted and not yet so. */
  reconcile() {
    if (!this.ready) return;
    const { voice, parameters, running } = this.wanted;
    const text = JSON.stringify(parameters);
    if (voice && voice !== this.voice && !this.waits("selectVoice")) {
      this.say("selectVoice", { voiceId: voice });
    }
    if (parameters && text !== this.parameters && !this.waits("setParameters")) {
      this.parameters = text;
      this.say("setParameters", { parameters });
    }
    const chosen = this.voice || this.waits("selectVoice");
    if (running && this.state === "idle" && this.stream && chosen) {
      this.serial = this.stream.serial;
      this.move("starting");
      this.say("start", { audio: { source: "client", sample_rate: this.stream.sample_rate, format: "pcm16" } });
    }
    if (!running && this.state === "running") {
      this.move("stopping");
      this.say("stop");
    }
  }

  /** @param {Action} action */
  waits(action) {
    return this.pending.some((one) => one.action === action);
  }

  /**
   * @param {Action} action
   * @param {object} [fields]
   */
  say(action, fields = {}) {
    this.pending.push({ action, at: performance.now(), voice: this.wanted.voice });
    this.socket?.send(JSON.stringify({ action, ...fields }));
  }

  /** @param {"idle" | "starting" | "running" | "stopping"} state */
  move(state) {
    if (state === "running") {
      this.sent = 0;
      this.received = 0;
      this.marks = [];
      this.poll(this.socket);
    }
    this.state = state;
    this.emit({ type: "stream", state, serial: this.serial });
  }

  /** Ask for the status while running, one question at a time. @param {WebSocket | null} socket */
  poll(socket) {
    setTimeout(() => {
      if (socket !== this.socket || this.state !== "running") return;
      const oldest = this.pending[0];
      if (oldest && performance.now() - oldest.at > SILENCE_MS) {
        this.lose();
        return;
      }
      if (!this.waits("getStatus")) this.say("getStatus");
      this.poll(socket);
    }, POLL_MS);
  }

  /** @param {any} message */
  hear(message) {
    const asked = this.answered(message);
    const rtt_ms = asked ? performance.now() - asked.at : null;
    if (message.type === "connected") {
      this.ready = true;
      this.attempts = 0;
      this.emit({ type: "connection", state: "open" });
      this.say("getVoices");
    } else if (message.type === "voiceSelected") {
      this.voice = message.voice.id;
    } else if (message.type === "status") {
      this.heed(message.status.processing);
    } else if (message.type === "error") {
      this.fail(asked);
    }
    this.emit({ ...message, rtt_ms, action: asked?.action, selected: this.voice, dropped: this.dropped });
    this.reconcile();
  }

  /**
   * The action that a message answers: the server answers in order.
   * @param {{type: string, code?: string}} message
   * @returns {Asked | undefined}
   */
  answered({ type, code }) {
    if (type === "error") return code === "not_active" ? undefined : this.pending.shift(); // audio came too late
    const at = this.pending.findIndex((one) => REPLY[one.action] === type);
    return at < 0 ? undefined : this.pending.splice(0, at + 1).pop();
  }

  /** @param {boolean} processing */
  heed(processing) {
    if (processing && this.state === "starting") this.move("running");
    if (processing || this.state === "idle" || this.waits("start")) return;
    if (this.state === "running") this.wanted.running = false; // the server ended it
    this.move("idle");
  }

  /** @param {Asked | undefined} asked */
  fail(asked) {
    if (asked?.action === "selectVoice" && this.wanted.voice === asked.voice) this.wanted.voice = this.voice;
    if (asked?.action === "start") {
      if (this.stream?.serial === this.serial) this.wanted.running = false;
      this.move("idle");
    }
    if (asked?.action === "stop") this.move("idle");
  }

  /** A block from the microphone. @param {Block} block */
  carry({ samples, captured, posted }) {
    if (this.state !== "running" || !this.socket || !this.stream) return;
    if (this.socket.bufferedAmount > BACKLOG_S * this.stream.sample_rate * 2) {
      this.dropped += samples.length;
      return;
    }
    this.marks.push({ index: this.sent, captured, posted });
    this.sent += samples.length;
    this.socket.send(encode(samples));
    if (this.sent - this.received > (SILENCE_MS / 1000) * this.stream.sample_rate) this.lose();
  }

  /** Audio from the server: the n-th sample back belongs to the n-th sent. @param {ArrayBuffer} data */
  play(data) {
    if (this.state !== "running" || !this.stream) return;
    const samples = decode(data);
    while (this.marks.length > 1 && this.marks[1].index <= this.received) this.marks.shift();
    const mark = this.marks[0];
    if (!mark) return;
    const captured = mark.captured + this.received - mark.index;
    this.received += samples.length;
    this.stream.playback.postMessage({ samples, captured, posted: mark.posted }, [samples.buffer]);
  }
}
