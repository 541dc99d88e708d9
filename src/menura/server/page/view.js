// @ts-check
// What the page shows: voice cards, meters, the delay and its parts. No state of the system lives here.

const FLOOR_DB = -60;
const SVG = "http://www.w3.org/2000/svg";
const CATEGORIES = { realistic: "Realistic", character: "Characters", custom: "Your own" };
/** Delay up to which the word applies, ms. @type {[number, string][]} */
const GRADES = [
  [50, "excellent"],
  [100, "good"],
  [200, "acceptable"],
  [Infinity, "poor"],
];

/**
 * @typedef {{id: string, name: string, category: string, description?: string}} Voice
 * @typedef {{loop: number, capture: number, server: number, network: number, playback: number}} Delay all in ms
 */

/**
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
export const $ = (id) => /** @type {T} */ (document.getElementById(id));

/**
 * @param {string} tag
 * @param {Record<string, string>} attributes
 * @param {(Node | string)[]} children
 */
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A small picture of its own for each voice: seven bars whose heights follow from the id. @param {string} id */
function glyph(id) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 40 28");
  svg.setAttribute("aria-hidden", "true");
  let hash = 2166136261; // FNV-1a
  for (const char of id) hash = Math.imul(hash ^ char.charCodeAt(0), 16777619);
  for (let bar = 0; bar < 7; bar++) {
    hash = Math.imul(hash ^ (hash >>> 15), 2246822519);
    const envelope = Math.sin((Math.PI * (bar + 1)) / 8);
    const height = 5 + 21 * envelope * (0.35 + (0.65 * ((hash >>> 8) & 255)) / 255);
    const rect = document.createElementNS(SVG, "rect");
    const box = { x: 2 + bar * 5.4, y: 14 - height / 2, width: 3, height, rx: 1.5 };
    for (const [name, value] of Object.entries(box)) rect.setAttribute(name, value.toFixed(2));
    svg.append(rect);
  }
  return svg;
}

/** @param {Voice} voice */
function card(voice) {
  return make(
    "label",
    { class: "card" },
    make("input", { type: "radio", name: "voice", value: voice.id }),
    glyph(voice.id),
    make("span", { class: "text" }, make("b", {}, voice.name), make("span", {}, voice.description ?? "")),
  );
}

/** @param {Voice[]} voices @param {string} chosen */
export function showVoices(voices, chosen) {
  const form = $("voices");
  const focused = form.contains(document.activeElement);
  const categories = new Set([...Object.keys(CATEGORIES), ...voices.map((voice) => voice.category)]);
  form.replaceChildren();
  for (const category of categories) {
    const cards = voices.filter((voice) => voice.category === category).map(card);
    if (!cards.length) continue;
    const title = CATEGORIES[/** @type {keyof typeof CATEGORIES} */ (category)] ?? category;
    form.append(make("fieldset", {}, make("legend", {}, title), make("div", { class: "cards" }, ...cards)));
  }
  if (!voices.length) form.append(make("p", { class: "quiet" }, "The server has no voices."));
  markVoice(chosen);
  if (focused) form.querySelector("input:checked")?.dispatchEvent(new Event("focus"));
}

/** @param {string} id */
export function markVoice(id) {
  for (const input of $("voices").querySelectorAll("input")) input.checked = input.value === id;
}

/** @param {"in" | "out"} which @param {number} level RMS, 0–1 */
export function showLevel(which, level) {
  const db = Math.max(FLOOR_DB, 20 * Math.log10(level + 1e-9));
  const meter = $(which);
  const share = 1 - db / FLOOR_DB;
  /** @type {HTMLElement} */ (meter.firstElementChild).style.clipPath = `inset(0 ${(100 - 100 * share).toFixed(1)}% 0 0)`;
  meter.setAttribute("aria-valuenow", db.toFixed(0));
  if (which === "out") document.documentElement.style.setProperty("--out", share.toFixed(3));
}

/** @param {number} value */
const ms = (value) => `${Math.round(value)} ms`;

/** @param {Delay | null} delay */
export function showDelay(delay) {
  $("latency").dataset.state = delay ? "known" : "idle";
  $("total").textContent = delay ? ms(delay.loop) : "–";
  $("grade").textContent = delay ? (GRADES.find(([most]) => delay.loop <= most)?.[1] ?? "") : "";
  for (const part of /** @type {const} */ (["capture", "server", "network", "playback"])) {
    $(`part-${part}`).textContent = delay ? ms(delay[part]) : "–";
    $(`bar-${part}`).style.flexGrow = String(delay ? Math.max(0, delay[part]) : 1);
  }
}

/**
 * @param {number | null} processing_ms the server's work for a block
 * @param {number | null} gaps underruns since the start
 * @param {number} device_ms what the loudspeaker adds to the delay
 */
export function showWork(processing_ms, gaps, device_ms) {
  $("processing").textContent = processing_ms === null ? "–" : `${processing_ms.toFixed(1)} ms`;
  $("gaps").textContent = gaps === null ? "–" : String(gaps);
  $("device-row").hidden = device_ms < 1;
  $("device").textContent = `+${ms(device_ms)}`;
}

/** @param {string} text @param {string} [action] the label of a button beside it */
export function notice(text, action = "") {
  $("notice").hidden = !text;
  $("notice-text").textContent = text;
  $("notice-action").hidden = !action;
  $("notice-action").textContent = action;
}

/** @param {string} state @param {string} text */
export function showConnection(state, text) {
  $("connection").dataset.state = state;
  $("connection").textContent = text;
}
