// @ts-check
// The page: what the person does goes to the connection and the audio, what they tell goes to the view.

import { AudioError, LiveAudio, obstacle } from "./audio.js";
import { $, markVoice, notice, showConnection, showDelay, showLevel, showVoices, showWork } from "./view.js";

const STORE = "menura";
const TOKEN = "menura.token";
const PARAMETERS = /** @type {const} */ (["pitch_st", "formant", "mix"]);
const NEUTRAL = { pitch_st: 0, formant: 1, mix: 1 };
/** How a parameter is written. @type {Record<string, (value: number) => string>} */
const WRITE = {
  pitch_st: (value) => `${value > 0 ? "+" : ""}${value} st`,
  formant: (value) => `×${value.toFixed(2)}`,
  mix: (value) => `${Math.round(value * 100)} %`,
};
const RECENT = 20; // reports over which the shown delay is the median: one second

const settings = { voice: "", parameters: { ...NEUTRAL }, volume: 100, muted: false, cleanUp: false };
const connection = new Worker("/page/connection-worker.js", { type: "module" });
const live = {
  /** @type {LiveAudio | null} */
  audio: null,
  /** @type {"idle" | "opening" | "starting" | "running" | "stopping"} */
  state: "idle",
  serial: 0, // of the start that counts; what is told of an earlier one comes too late
  connected: false,
  missed: false, // the notice says that the server is gone
  retryAt: 0,
  /** @type {any} */
  status: null,
  /** @type {any} */
  details: null,
  /** @type {any} */
  report: null,
  /** @type {number | null} */
  rtt_ms: null,
  sendDropped: 0,
  /** @type {any[]} */
  delays: [],
};

/** @param {string} id @returns {HTMLInputElement} */
const field = (id) => $(id);

/** @param {string} what @param {object} [fields] @param {Transferable[]} [transfer] */
function ask(what, fields = {}, transfer = []) {
  connection.postMessage({ ask: what, ...fields }, transfer);
}

function load() {
  try {
    Object.assign(settings, JSON.parse(localStorage.getItem(STORE) ?? "{}"));
    settings.parameters = { ...NEUTRAL, ...settings.parameters };
  } catch {
    // a browser may refuse the store, or hold something else in it
  }
}

function save() {
  try {
    localStorage.setItem(STORE, JSON.stringify(settings));
  } catch {
    // then the settings last as long as the page
  }
}

/** The server's token: brought by the address, kept for this tab, and taken out of sight. */
function takeToken() {
  const address = new URL(location.href);
  const brought = address.searchParams.get("token");
  if (brought !== null) {
    address.searchParams.delete("token");
    history.replaceState(history.state, "", address);
  }
  try {
    if (brought) sessionStorage.setItem(TOKEN, brought);
    return brought || (sessionStorage.getItem(TOKEN) ?? "");
  } catch {
    return brought ?? ""; // then it lasts as long as the page
  }
}

/** @param {number[]} values */
function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

/** The delay of the sound that is heard now, in ms, and where it comes from; its parts add up to the whole. */
function delay() {
  if (!live.delays.length || !live.audio?.context || !live.status) return null;
  const part = (/** @type {string} */ name) =>
    (median(live.delays.map((one) => one[name])) * 1000) / (live.audio?.context?.sampleRate ?? 1);
  const whole = live.status.latency_ms;
  const algorithm = live.details?.algorithm_ms ?? whole;
  const inServer = Math.max(0, whole - algorithm); // part of the transit
  const [capture, transit, playback] = [part("capture"), part("transit"), part("playback")];
  const server = algorithm + Math.min(inServer, transit);
  const network = Math.max(0, transit - inServer);
  return { loop: capture + transit + playback + algorithm, capture, server, network, playback };
}

/** Everything that is measured, for tests and the curious. */
function stats() {
  const now = delay();
  return {
    state: live.state,
    connected: live.connected,
    voice: settings.voice,
    parameters: { ...settings.parameters },
    loop_ms: now?.loop ?? null,
    capture_ms: now?.capture ?? null,
    server_ms: now?.server ?? null,
    network_ms: now?.network ?? null,
    playback_ms: now?.playback ?? null,
    output_device_ms: live.audio?.outputMs ?? null,
    rtt_ms: live.rtt_ms,
    fill_ms: live.report?.fill_ms ?? null,
    margin_ms: live.report?.margin_ms ?? null,
    speed: live.report?.speed ?? null,
    underruns: live.report?.underruns ?? 0,
    play_dropped_ms: live.report?.dropped_ms ?? 0,
    send_dropped_ms: (live.sendDropped * 1000) / (live.audio?.context?.sampleRate ?? 48000),
    sample_rate: live.audio?.context?.sampleRate ?? null,
    status: live.status,
    details: live.details,
  };
}

/** @param {typeof live.state} state */
function enter(state) {
  live.state = state;
  const button = $("start");
  button.textContent = { idle: "Start", opening: "Starting…", starting: "Starting…", running: "Stop", stopping: "Stopping…" }[state];
  document.body.dataset.state = state;
  /** @type {HTMLButtonElement} */ (button).disabled = !settings.voice || (state === "idle" && !live.connected);
  if (state === "idle" || state === "starting") live.delays = [];
  if (state === "idle") {
    showLevel("in", 0);
    showLevel("out", 0);
    showDelay(null);
    showWork(null, null, 0);
  }
}

async function start() {
  const reason = obstacle();
  if (reason) return notice(reason);
  notice("");
  enter("opening");
  const audio = new LiveAudio({ onInput: (level) => showLevel("in", level), onOutput: heard, onEnded: unplugged });
  audio.setVolume(volume());
  live.audio = audio;
  const serial = ++live.serial;
  try {
    const stream = await audio.open(settings.cleanUp);
    if (live.audio !== audio) return audio.close();
    enter("starting");
    ask("start", { stream: { ...stream, serial } }, [stream.capture, stream.playback]);
  } catch (error) {
    audio.close();
    if (live.audio !== audio) return;
    live.audio = null;
    enter("idle");
    if (!(error instanceof AudioError)) console.error(error);
    notice(error instanceof AudioError ? error.message : `Audio cannot be started: ${error}`);
  }
}

/** Let go of the audio; the server is told by `ask("stop")` where it does not know yet. */
function finish() {
  live.audio?.close();
  live.audio = null;
  live.report = null;
}

function stop() {
  finish();
  ask("stop");
  enter(live.state === "running" && live.connected ? "stopping" : "idle");
}

function unplugged() {
  stop();
  notice("The microphone was disconnected. Connect it, then press Start again.");
}

/** A report of the playback worklet. @param {any} report */
function heard(report) {
  if (!live.audio) return;
  live.report = report;
  showLevel("out", report.level);
  if (!report.playing || !report.delay || live.state !== "running") return;
  live.delays.push(report.delay);
  if (live.delays.length > RECENT) live.delays.shift();
}

function showStatus() {
  showDelay(delay());
  showWork(live.status.processing_time_ms, live.report?.underruns ?? 0, live.audio?.outputMs ?? 0);
}

/** What the connection tells, by type. @type {Record<string, (message: any) => void>} */
const TOLD = {
  connection({ state, retry_ms }) {
    live.connected = state === "open";
    live.retryAt = performance.now() + (retry_ms ?? 0);
    if (state === "open" && live.missed) notice("");
    live.missed = state === "lost" || (live.missed && state !== "open");
    if (state === "lost") {
      const lost = live.audio ? "The connection to the server is lost; your voice goes on when it is back." : "The server cannot be reached.";
      notice(`${lost} Is menura still running?`, "Try now");
    }
    if (state !== "open" && live.state === "stopping") enter("idle");
    else enter(live.state === "running" && state !== "open" ? "starting" : live.state);
    countDown();
  },
  refused() {
    notice("This server asks for its token: open the address that menura serve printed.", "Try now");
  },
  voices({ voices }) {
    const known = voices.some((/** @type {{id: string}} */ voice) => voice.id === settings.voice);
    if (!known) settings.voice = voices[0]?.id ?? "";
    showVoices(voices, settings.voice);
    if (settings.voice) ask("voice", { id: settings.voice });
    enter(live.state);
  },
  stream({ state, serial }) {
    if (serial !== live.serial) return;
    if (state === "idle") finish();
    if (state === "idle" || live.audio) enter(state);
  },
  status({ status, details, rtt_ms, action, dropped }) {
    live.status = status;
    live.details = details;
    live.sendDropped = dropped;
    if (action === "getStatus") live.rtt_ms = rtt_ms;
    if (live.audio && status.processing) showStatus();
  },
  error({ error, reason, code, action, selected }) {
    if (code === "not_active") return; // the last sounds crossed with the end
    notice(reason ? `${error}: ${reason}` : error);
    if (action === "selectVoice" && selected) {
      settings.voice = selected;
      markVoice(selected);
    }
  },
};

function countDown() {
  if (live.connected) return showConnection("open", "Connected");
  const left = Math.ceil((live.retryAt - performance.now()) / 1000);
  if (left <= 0) return showConnection("connecting", "Connecting…");
  showConnection("lost", `No server. Next try in ${left} s`);
  setTimeout(countDown, 250);
}

function volume() {
  return settings.muted ? 0 : (settings.volume / 100) ** 2; // the ear hears in ratios
}

function showSettings() {
  for (const name of PARAMETERS) {
    field(name).value = String(settings.parameters[name]);
    $(`${name}-value`).textContent = WRITE[name](settings.parameters[name]);
  }
  field("volume").value = String(settings.volume);
  $("mute").setAttribute("aria-pressed", String(settings.muted));
  field("clean-up").checked = settings.cleanUp;
  live.audio?.setVolume(volume());
}

function changed() {
  save();
  showSettings();
}

function adjusted() {
  ask("parameters", { parameters: { ...settings.parameters } });
  changed();
}

function listen() {
  $("start").onclick = () => (live.state === "idle" ? start() : stop());
  $("voices").onsubmit = (/** @type {Event} */ event) => event.preventDefault();
  $("voices").onchange = (/** @type {any} */ event) => {
    settings.voice = event.target.value;
    ask("voice", { id: settings.voice });
    save();
  };
  for (const name of PARAMETERS) {
    $(name).oninput = () => {
      settings.parameters[name] = Number(field(name).value);
      adjusted();
    };
  }
  $("reset").onclick = () => {
    settings.parameters = { ...NEUTRAL };
    adjusted();
  };
  $("volume").oninput = () => {
    settings.volume = Number(field("volume").value);
    settings.muted = false;
    changed();
  };
  $("mute").onclick = () => {
    settings.muted = !settings.muted;
    changed();
  };
  $("clean-up").onchange = () => {
    settings.cleanUp = field("clean-up").checked;
    changed();
    live.audio?.setCleanUp(settings.cleanUp).catch((error) => notice(error.message));
  };
  $("notice-close").onclick = () => notice("");
  $("notice-action").onclick = () => ask("retry");
  window.addEventListener("online", () => ask("retry"));
  window.addEventListener("pagehide", () => live.audio && stop());
}

load();
showSettings();
listen();
enter("idle");
connection.onmessage = ({ data }) => TOLD[data.type]?.(data);
connection.onerror = () => notice("This browser cannot run the page: it needs JavaScript modules in workers.");
ask("open", { url: new URL("/ws/realtime-control", location.origin).href.replace(/^http/, "ws"), token: takeToken() });
if (PARAMETERS.some((name) => settings.parameters[name] !== NEUTRAL[name])) {
  ask("parameters", { parameters: { ...settings.parameters } });
}
const reason = obstacle();
if (reason) notice(reason);
Object.assign(window, { menura: { stats, live } });
