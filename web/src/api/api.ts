import type { EffectSpec } from "../wire/control";
import type {
  Access,
  AccessToken,
  BaseModels,
  Conversion,
  EffectKind,
  EffectPreset,
  EffectPresetList,
  MadeToken,
  Model,
  NewVoice,
  OpenSession,
  Recording,
  Role,
  RvcOptions,
  Settings,
  SettingsChange,
  Side,
  Voice,
  VoiceChange,
} from "../wire/rest";
import { ApiError, aborted, errorOf, unreachable } from "./errors";
import { type Upload, upload } from "./upload";

type Query = Record<string, string | number | boolean | null | undefined>;
type Asked = { query?: Query; body?: unknown; version?: number | undefined; signal?: AbortSignal | undefined };

/** The REST API, by what a person does. Every method rejects with an `ApiError`. */
export class Api {
  /**
   * @param token what the server asks of its clients; empty for none
   * @param base where the server is; empty for where the page came from
   */
  constructor(
    readonly token: string,
    private readonly base = "",
  ) {}

  // voices

  voices = (query: { search?: string; category?: string; favourite?: boolean; limit?: number; offset?: number } = {}) =>
    this.json<{ voices: Voice[]; total: number }>("GET", "/api/voices", { query });
  voice = (id: string) => this.json<Voice>("GET", one("voices", id));
  createVoice = (voice: NewVoice) => this.json<Voice>("POST", "/api/voices", { body: voice });
  /** Of a built-in voice this makes a copy. */
  changeVoice = (id: string, change: VoiceChange, version?: number) =>
    this.json<Voice>("PATCH", one("voices", id), { body: change, version });
  deleteVoice = (id: string) => this.nothing("DELETE", one("voices", id));
  setFavourite = (id: string, favourite: boolean) =>
    this.nothing("PUT", `${one("voices", id)}/favourite`, { body: { favourite } });
  duplicateVoice = (id: string, name?: string) =>
    this.json<Voice>("POST", `${one("voices", id)}/duplicate`, { body: name ? { name } : {} });
  importVoice = (file: File, options?: Upload) =>
    this.send<Voice>("/api/voices/import", { filename: file.name }, file, options);
  exportPath = (id: string) => `${one("voices", id)}/export`;
  previewPath = (id: string) => `${one("voices", id)}/preview`;

  // models

  uploadModel = (file: File, options?: Upload) =>
    this.send<Model>("/api/models", { filename: file.name }, file, options);
  deleteModel = (id: string) => this.nothing("DELETE", one("models", id));
  voiceOfModel = (id: string, voice: { name: string; description?: string; index?: string }) =>
    this.json<Voice>("POST", `${one("models", id)}/voice`, { body: voice });
  baseModels = () => this.json<BaseModels>("GET", "/api/base-models");

  // effects, recordings, conversions

  effects = () => this.json<{ effects: EffectKind[] }>("GET", "/api/effects");
  rvcOptions = () => this.json<RvcOptions>("GET", "/api/rvc-options");
  effectPresets = () => this.json<EffectPresetList>("GET", "/api/effect-presets");
  /** @param replace take the place of the preset that has this name */
  keepEffects = (name: string, effects: EffectSpec[], replace = false) =>
    this.json<EffectPreset>("POST", "/api/effect-presets", { body: { name, effects, replace } });
  renameEffectPreset = (id: string, name: string) =>
    this.json<EffectPreset>("PATCH", one("effect-presets", id), { body: { name } });
  deleteEffectPreset = (id: string) => this.nothing("DELETE", one("effect-presets", id));
  recordings = () => this.json<{ recordings: Recording[] }>("GET", "/api/recordings");
  renameRecording = (id: string, name: string) =>
    this.json<Recording>("PATCH", one("recordings", id), { body: { name } });
  deleteRecording = (id: string) => this.nothing("DELETE", one("recordings", id));
  recordingPath = (id: string, side: Side) => `${one("recordings", id)}/audio?side=${side}`;
  convert = (file: File, voice: string, parameters: Record<string, number>, options?: Upload) =>
    this.send<Conversion>("/api/conversions", { voice, ...parameters, filename: file.name }, file, options);
  conversion = (id: string, signal?: AbortSignal) => this.json<Conversion>("GET", one("conversions", id), { signal });
  deleteConversion = (id: string) => this.nothing("DELETE", one("conversions", id));
  conversionPath = (id: string) => `${one("conversions", id)}/audio`;

  // the server

  access = () => this.json<Access>("GET", "/api/access");
  settings = () => this.json<Settings>("GET", "/api/settings");
  changeSettings = (changes: SettingsChange) => this.json<Settings>("PATCH", "/api/settings", { body: changes });
  sessions = () => this.json<{ sessions: OpenSession[] }>("GET", "/api/sessions");
  endSession = (id: string) => this.nothing("DELETE", one("sessions", id));
  tokens = () => this.json<{ tokens: AccessToken[] }>("GET", "/api/tokens");
  addToken = (name: string, role: Role, expires_in_s?: number) =>
    this.json<MadeToken>("POST", "/api/tokens", { body: { name, role, ...(expires_in_s ? { expires_in_s } : {}) } });
  removeToken = (id: string) => this.nothing("DELETE", one("tokens", id));

  /** An address for an `<audio>` element, which cannot send a header. */
  mediaUrl(path: string): string {
    if (!this.token) return this.base + path;
    return `${this.base}${path}${path.includes("?") ? "&" : "?"}token=${encodeURIComponent(this.token)}`;
  }

  /** A file and the name that the server gives it. The token stays out of the browser's list of downloads. */
  async file(path: string, signal?: AbortSignal): Promise<{ blob: Blob; name: string }> {
    const response = await this.ask("GET", path, { signal });
    const name = fileName(response.headers.get("Content-Disposition"));
    try {
      return { blob: await response.blob(), name };
    } catch {
      throw signal?.aborted ? aborted() : unreachable();
    }
  }

  private send<T>(path: string, query: Query, body: Blob, options?: Upload): Promise<T> {
    return upload<T>(this.address(path, query), body, this.token, options);
  }

  private async json<T>(method: string, path: string, asked: Asked = {}): Promise<T> {
    const response = await this.ask(method, path, asked);
    try {
      return (await response.json()) as T;
    } catch {
      throw asked.signal?.aborted
        ? aborted()
        : new ApiError("The server's answer cannot be read", "bad_answer", response.status);
    }
  }

  private async nothing(method: string, path: string, asked: Asked = {}): Promise<void> {
    await this.ask(method, path, asked);
  }

  private address(path: string, query: Query = {}): string {
    const given = Object.entries(query).flatMap(([name, value]) =>
      value === undefined || value === null || value === "" ? [] : [[name, String(value)] as [string, string]],
    );
    return this.base + path + (given.length ? `?${new URLSearchParams(given)}` : "");
  }

  private async ask(method: string, path: string, { query, body, version, signal }: Asked): Promise<Response> {
    const headers: Record<string, string> = {};
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    if (version !== undefined) headers["If-Match"] = `"${version}"`;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let response: Response;
    try {
      response = await fetch(this.address(path, query), {
        method,
        headers,
        body: body === undefined ? null : JSON.stringify(body),
        signal: signal ?? null,
      });
    } catch {
      throw signal?.aborted ? aborted() : unreachable();
    }
    if (!response.ok) {
      throw errorOf(response.status, await response.text().catch(() => ""), response.headers.get("Retry-After"));
    }
    return response;
  }
}

const one = (what: string, id: string) => `/api/${what}/${encodeURIComponent(id)}`;

/** The name in a `Content-Disposition`; the encoded one first (RFC 6266). */
export function fileName(header: string | null): string {
  const encoded = /filename\*=(?:UTF-8|utf-8)''([^;]+)/.exec(header ?? "")?.[1];
  if (encoded) {
    try {
      return decodeURIComponent(encoded);
    } catch {
      // then the plain one
    }
  }
  return /filename="((?:[^"\\]|\\.)*)"/.exec(header ?? "")?.[1]?.replace(/\\(.)/g, "$1") ?? "";
}
