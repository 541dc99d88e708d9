// What the REST API under /api takes and gives.

export type Stage = { kind: string; params: Record<string, unknown> };

export type VoiceFile = { role: string; name: string; size: number; sha256: string; details: Record<string, unknown> };

export type Voice = {
  id: string;
  name: string;
  category: string;
  description: string;
  builtin: boolean;
  favourite: boolean;
  version: number;
  stages: Stage[];
  parameters: Record<string, number>;
  files: VoiceFile[];
  preview: boolean;
  created_at: string;
  updated_at: string;
};

export type NewVoice = {
  name: string;
  description?: string;
  stages: Stage[];
  parameters?: Record<string, number>;
};

export type VoiceChange = Partial<NewVoice & { category: string }>;

export type Model = {
  id: string;
  filename: string;
  size: number;
  sha256: string;
  about: Record<string, unknown>;
};

export type EffectParam = {
  name: string;
  label: string;
  unit: string;
  type: string;
  min?: number | null;
  max?: number | null;
  step?: number | null;
  default: number | string | boolean;
  choices?: string[] | null;
};

export type EffectKind = { kind: string; name: string; description: string; params: EffectParam[] };

export type Side = "input" | "output";
export type Sides = Side | "both";

export type Recording = {
  id: string;
  name: string;
  state: "recording" | "done" | "cut";
  sides: Side[];
  voice_name: string;
  rate: number;
  duration_ms: number;
  size: number;
  created_at: string;
  ended_at?: string | null;
};

export type OpenSession = {
  id: string;
  kind: string;
  client: string;
  token: string;
  started_at: string;
  voice: string | null;
  processing: boolean;
  latency_ms: number | null;
};

export type Conversion = {
  id: string;
  state: "queued" | "running" | "done" | "failed";
  progress: number;
  error?: string | null;
  reason?: string | null;
  filename?: string;
  duration_ms?: number | null;
};

export type Role = "listen" | "use" | "manage";

export type AccessToken = {
  id: string;
  name: string;
  role: Role;
  created_at: string;
  expires_at?: string | null;
  last_used_at?: string | null;
};

export type NewToken = AccessToken & { token: string };

export type Settings = Record<string, unknown>;

export type BaseModels = { models: { name: string; what: string; size: number; present: boolean; command: string }[] };
