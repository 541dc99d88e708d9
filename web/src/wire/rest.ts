// Written by scripts/wire_types.py from the server's models: change those, then run it.

/** What whoever asks may do, and by what right. */
export interface Access {
  role: Role;
  token: string;
}

/** A token, without its text. */
export interface AccessToken {
  id: string;
  name: string;
  role: Role;
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
}

/** A model that voices share. */
export interface BaseModel {
  name: string;
  file: string;
  size: number;
  what: string;
  present: boolean;
  command: string;
}

/** The models that voices share. */
export interface BaseModels {
  models: BaseModel[];
}

/** Kind of voice, as a listener would sort them. */
export type Category = "realistic" | "character" | "custom";

/** A conversion, and how far it is. */
export interface Conversion {
  id: string;
  state: "queued" | "running" | "done" | "failed";
  progress: number;
  voice: string;
  filename: string;
  error: string | null;
}

/** How a copy is called. */
export interface Copy {
  name?: string | null;
}

/** A sound device of the server, in one direction. */
export interface Device {
  index: number;
  name: string;
  host_api: string;
  rate: number;
  channels: number;
  default: boolean;
}

/** The server's sound devices. */
export interface DeviceLists {
  inputs: Device[];
  outputs: Device[];
}

/** A kind of effect. */
export interface EffectKind {
  kind: string;
  name: string;
  description: string;
  params: EffectParam[];
}

/** A parameter of an effect. */
export interface EffectParam {
  name: string;
  label: string;
  unit: string;
  type: string;
  min: number;
  max: number;
  default: number;
  step: number;
}

/** All of them, by name. */
export interface EffectPresetList {
  presets: EffectPreset[];
}

/** A chain of effects under a name. */
export interface EffectPreset {
  id: string;
  name: string;
  effects: PresetEffect[];
  created_at: string;
}

/** What may follow a voice. */
export interface Effects {
  effects: EffectKind[];
}

/** Why something was not done. */
export interface ErrorReply {
  error: string;
  code: string;
  reason?: string | null;
}

/** Whether it is one. */
export interface Favourite {
  favourite: boolean;
}

/** It is up. */
export interface Health {
  status: string;
  version: string;
}

/** A token and its text, which is told this once. */
export interface MadeToken {
  id: string;
  name: string;
  role: Role;
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
  token: string;
}

/** A file that was sent and checked. */
export interface Model {
  id: string;
  filename: string;
  role: string;
  size: number;
  sha256: string;
  about: Record<string, unknown>;
}

/** The voice that a model becomes. */
export interface ModelVoice {
  name: string;
  description?: string;
  index?: string | null;
  settings?: Record<string, unknown>;
}

/** How it is called. */
export interface Name {
  name: string;
}

/** A chain and its name. */
export interface NewEffectPreset {
  name: string;
  effects: NewPresetEffect[];
  replace?: boolean;
}

/** An effect; what is missing of its parameters is their default. */
export interface NewPresetEffect {
  kind: string;
  params?: Record<string, number | string>;
  enabled?: boolean;
}

/** Whose it is, and what it allows. */
export interface NewToken {
  name: string;
  role: Role;
  expires_in_s?: number | null;
}

/** A voice of the user's own. */
export interface NewVoice {
  name: string;
  description?: string;
  stages: StageData[];
  parameters?: Record<string, number>;
}

/** An open socket. */
export interface OpenSession {
  id: string;
  kind: string;
  client: string;
  token: string;
  started_at: string;
  voice: string | null;
  processing: boolean;
  latency_ms: number | null;
}

/** An effect with all its parameters, as `setEffects` takes it. */
export interface PresetEffect {
  kind: string;
  params: Record<string, number | string>;
  enabled: boolean;
}

/** How it is called. */
export interface PresetName {
  name: string;
}

/** Whether it can serve; what is missing, if not. */
export interface Ready {
  ready: boolean;
  missing: string[];
}

/** All recordings. */
export interface RecordingList {
  recordings: Recording[];
}

/** A recording; `cut` is one whose server ended before it did. */
export interface Recording {
  id: string;
  name: string;
  state: "recording" | "done" | "cut";
  sides: Side[];
  voice_name: string;
  rate: number;
  duration_ms: number;
  size: number;
  created_at: string;
  ended_at: string | null;
}

/** Each may do what those before it may. */
export type Role = "listen" | "use" | "manage";

/** An option of a stage `rvc`; without a default where `quality` says it, without limits where it has none. */
export interface RvcOption {
  name: string;
  what: string;
  type: "number" | "whole" | "choice" | "switch";
  default: boolean | number | string | null;
  min: number | null;
  max: number | null;
  unit: string;
  choices: string[];
  live: boolean;
}

/** What a voice's stage `rvc` may say beside its files. */
export interface RvcOptions {
  options: RvcOption[];
}

/** All open sockets. */
export interface Sessions {
  sessions: OpenSession[];
}

/** Settings; what was never set has its default. */
export interface SettingsInput {
  voice?: string | null;
  theme?: "system" | "light" | "dark";
  status_interval_ms?: number;
  sample_rate?: number;
  noise_suppression?: boolean;
  auto_gain?: boolean;
  echo_cancellation?: boolean;
  recordings_max_bytes?: number;
  recordings_max_s?: number;
  page?: Record<string, unknown>;
}

/** Settings; what was never set has its default. */
export interface Settings {
  voice: string | null;
  theme: "system" | "light" | "dark";
  status_interval_ms: number;
  sample_rate: number;
  noise_suppression: boolean;
  auto_gain: boolean;
  echo_cancellation: boolean;
  recordings_max_bytes: number;
  recordings_max_s: number;
  page: Record<string, unknown>;
}

/** What is to change; the rest stays. */
export interface SettingsChange {
  voice?: string | null;
  theme?: "system" | "light" | "dark";
  status_interval_ms?: number;
  sample_rate?: number;
  noise_suppression?: boolean;
  auto_gain?: boolean;
  echo_cancellation?: boolean;
  recordings_max_bytes?: number;
  recordings_max_s?: number;
  page?: Record<string, unknown>;
}

/** What went in, or what came out. */
export type Side = "input" | "output";

/** A stage of a voice: its kind and parameters. */
export interface Stage {
  kind: string;
  params: Record<string, unknown>;
}

/** One stage: its kind and its parameters. */
export interface StageData {
  kind: string;
  params?: Record<string, unknown>;
}

/** All named tokens. */
export interface Tokens {
  tokens: AccessToken[];
}

/** What is to change; the rest stays. */
export interface VoiceChange {
  name?: string | null;
  description?: string | null;
  stages?: StageData[] | null;
  parameters?: Record<string, number> | null;
}

/** A file of a voice. */
export interface VoiceFile {
  role: string;
  name: string;
  size: number;
  sha256: string;
  details: Record<string, unknown>;
}

/** A voice. Times are null while nothing was ever put into the library. */
export interface Voice {
  id: string;
  name: string;
  category: Category;
  description: string;
  builtin: boolean;
  favourite: boolean;
  version: number;
  stages: Stage[];
  parameters: Record<string, number>;
  files: VoiceFile[];
  preview: boolean;
  created_at: string | null;
  updated_at: string | null;
}

/** Voices, and how many there are in all. */
export interface Voices {
  voices: Voice[];
  total: number;
}
