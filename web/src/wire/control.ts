// Written by scripts/wire_types.py from the server's models: change those, then run it.

/** An effect with all its parameters. */
export interface AppliedEffect {
  kind: string;
  params: Record<string, number | string>;
  enabled: boolean;
}

/** What of the client's audio changes; what is missing stays. */
export interface AudioChanges {
  sample_rate?: number;
  format?: AudioFormat;
  output?: AudioSide;
}

/** What ``start`` with the client's audio takes where it says nothing else. */
export interface AudioConfigured {
  type: "audioConfigured";
  audio: AudioInUse;
}

/** Encoding of samples as bytes; all little-endian, channels interleaved. */
export type AudioFormat = "pcm16" | "pcm_f32" | "g711_ulaw" | "g711_alaw";

/** What the client sends, and in ``output`` what it receives. */
export interface AudioInUse {
  sample_rate: number;
  format: AudioFormat;
  output: AudioOutput;
}

/** What the client receives. */
export interface AudioOutput {
  sample_rate: number;
  format: AudioFormat;
}

/** Rate and encoding of what the client receives; what is missing is as in what it sends. */
export interface AudioSide {
  sample_rate?: number;
  format?: AudioFormat;
}

/** Say what the client's audio is where ``start`` does not; not while processing. */
export interface ConfigureAudio {
  action: "configureAudio";
  audio: AudioChanges;
}

/** The greeting. */
export interface Connected {
  type: "connected";
}

/** The client's audio; ``output`` where what it receives differs from what it sends. */
export interface ControlAudio {
  source: "client";
  sample_rate?: number;
  format?: AudioFormat;
  output?: AudioSide;
}

/** The server machine's devices, by name, part of a name or index, as ``GET /api/devices`` tells them. */
export interface DeviceChoice {
  input?: string | number;
  output?: string | number;
  monitor?: string | number;
}

/** An effect: its kind and parameters, as ``GET /api/effects`` tells them; what is missing is the default. */
export interface EffectSpec {
  kind: string;
  params?: Record<string, number | string>;
  enabled?: boolean;
}

/** The effects as they are now. */
export interface EffectsSet {
  type: "effectsSet";
  effects: AppliedEffect[];
}

/** What went wrong. */
export interface ErrorReply {
  type: "error";
  error: string;
  code: string;
  reason?: string;
  action?: string;
  retry_after_ms?: number;
}

/** Ask for levels and latency. */
export interface GetStatus {
  action: "getStatus";
}

/** Ask for the voices; from then on ``voicesChanged`` tells that there are others. */
export interface GetVoices {
  action: "getVoices";
}

/** What of the input's treatment changes; what is missing stays. */
export interface InputChanges {
  muted?: boolean;
  gain_db?: number;
  noise_suppression?: boolean;
  auto_gain?: boolean;
  echo_cancellation?: boolean;
}

/** How the input is treated now. */
export interface InputSet {
  type: "inputSet";
  input: InputSettings;
}

/** How the input is treated. */
export interface InputSettings {
  muted: boolean;
  gain_db: number;
  noise_suppression: boolean;
  auto_gain: boolean;
  echo_cancellation: boolean;
}

/** One voice of a mix. */
export interface MixPart {
  voiceId: string;
  gain?: number;
}

/** Have two voices at once, of one input and aligned in time; with the same two, only the gains change. */
export interface MixVoices {
  action: "mixVoices";
  voices: MixPart[];
}

/** A voice of a mix. */
export interface MixedVoice {
  id: string;
  name: string;
  category: string;
  gain: number;
}

/** All parameters as they are now. */
export interface ParametersSet {
  type: "parametersSet";
  parameters: Record<string, number>;
}

/** No more of the preview follows. */
export interface PreviewEnded {
  type: "previewEnded";
  voiceId: string;
}

/** What follows in binary messages is this voice's preview. */
export interface PreviewStarted {
  type: "previewStarted";
  voice: VoiceSummary;
  sample_rate: number;
  format: AudioFormat;
  duration_ms: number;
  url: string;
}

/** Hear how a voice sounds, in binary messages; not while the client's own audio is processed. */
export interface PreviewVoice {
  action: "previewVoice";
  voiceId: string;
}

/** A recording. */
export interface Recording {
  id: string;
  name: string;
  state: "recording" | "done" | "cut";
  sides: ("input" | "output")[];
  voice_name: string;
  rate: number;
  duration_ms: number;
  size: number;
  created_at: string;
  ended_at?: string;
}

/** The session is recorded from now on. */
export interface RecordingStarted {
  type: "recordingStarted";
  recording: Recording;
}

/** The recording has ended, and is kept. */
export interface RecordingStopped {
  type: "recordingStopped";
  recording: Recording;
}

/** Choose a voice, before or while processing. It ends a mix. */
export interface SelectVoice {
  action: "selectVoice";
  voiceId: string;
}

/** Have these effects after the voice, in this order, and no others. */
export interface SetEffects {
  action: "setEffects";
  effects: EffectSpec[];
}

/** Treat the input, before the voice hears it. */
export interface SetInput {
  action: "setInput";
  input: InputChanges;
}

/** Turn the voice's settings. */
export interface SetParameters {
  action: "setParameters";
  parameters: Record<string, number>;
}

/** Have a status sent again and again; 0 ends that. */
export interface SetStatusInterval {
  action: "setStatusInterval";
  interval_ms: number | 0;
}

/** Begin: with the client's audio, or with the server machine's devices when ``audio`` is missing. */
export interface Start {
  action: "start";
  audio?: ControlAudio;
  devices?: DeviceChoice;
}

/** Record what goes in, what comes out, or both, on the server; while processing. */
export interface StartRecording {
  action: "startRecording";
  sides?: "both" | "input" | "output";
  name?: string;
}

/** How it goes; ``details`` is what the figures are made of. */
export interface Status {
  type: "status";
  status: StatusFigures;
  details: Record<string, number>;
}

/** The document's five figures. */
export interface StatusFigures {
  processing: boolean;
  input_level: number;
  output_level: number;
  latency_ms: number;
  processing_time_ms: number;
}

/** How often a status is sent; 0 for only when asked. */
export interface StatusInterval {
  type: "statusInterval";
  interval_ms: number;
}

/** End; what is still held comes first. */
export interface Stop {
  action: "stop";
}

/** Enough of the preview. */
export interface StopPreview {
  action: "stopPreview";
}

/** End the recording, and keep it. */
export interface StopRecording {
  action: "stopRecording";
}

/** A voice, as a client sees it; of what is no library's, only the document's four fields are known. */
export interface VoiceInfo {
  id: string;
  name: string;
  category: string;
  description: string;
  builtin?: boolean;
  favourite?: boolean;
  preview?: boolean;
  parameters?: VoiceSettings;
}

/** The voice now selected. */
export interface VoiceSelected {
  type: "voiceSelected";
  voice: VoiceSummary;
}

/** What may be turned of a voice while it runs. */
export interface VoiceSettings {
  pitch_st: number;
  formant: number;
  mix: number;
}

/** A voice, in short. */
export interface VoiceSummary {
  id: string;
  name: string;
  category: string;
}

/** All voices. */
export interface Voices {
  type: "voices";
  voices: VoiceInfo[];
}

/** There are other voices now, or they have changed: ask again. */
export interface VoicesChanged {
  type: "voicesChanged";
}

/** The two voices now mixed. */
export interface VoicesMixed {
  type: "voicesMixed";
  voices: MixedVoice[];
}

export type Action =
  | GetVoices
  | SelectVoice
  | Start
  | Stop
  | GetStatus
  | SetParameters
  | ConfigureAudio
  | SetInput
  | SetEffects
  | MixVoices
  | PreviewVoice
  | StopPreview
  | StartRecording
  | StopRecording
  | SetStatusInterval;

export type ServerMessage =
  | Connected
  | Voices
  | VoicesChanged
  | VoiceSelected
  | VoicesMixed
  | ParametersSet
  | AudioConfigured
  | InputSet
  | EffectsSet
  | PreviewStarted
  | PreviewEnded
  | RecordingStarted
  | RecordingStopped
  | Status
  | StatusInterval
  | ErrorReply;
