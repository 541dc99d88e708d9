// The messages of /ws/realtime-control, as far as the page uses them.

export type ActionName =
  | "getVoices"
  | "selectVoice"
  | "mixVoices"
  | "setParameters"
  | "setInput"
  | "setEffects"
  | "configureAudio"
  | "start"
  | "stop"
  | "getStatus"
  | "previewVoice"
  | "stopPreview"
  | "startRecording"
  | "stopRecording"
  | "setStatusInterval";

export interface VoiceInfo {
  id: string;
  name: string;
  category: string;
  description: string;
  builtin?: boolean;
  favourite?: boolean;
  preview?: boolean;
}

export interface StatusFigures {
  processing: boolean;
  input_level: number;
  output_level: number;
  latency_ms: number;
  processing_time_ms: number;
}

export interface ControlError {
  type: "error";
  error: string;
  code: string;
  reason?: string;
  retry_after_ms?: number;
}

export type ServerMessage =
  | { type: "connected" }
  | { type: "voices"; voices: VoiceInfo[] }
  | { type: "voicesChanged" }
  | { type: "voiceSelected"; voice: { id: string; name: string; category: string } }
  | { type: "voicesMixed"; voices: { id: string; name: string; category: string; gain: number }[] }
  | { type: "status"; status: StatusFigures; details: Record<string, number> }
  | { type: "parametersSet"; parameters: Record<string, number> }
  | { type: "inputSet"; input: Record<string, number | boolean> }
  | { type: "effectsSet"; effects: unknown[] }
  | { type: "audioConfigured" | "previewStarted" | "previewEnded" | "statusInterval" }
  | { type: "recordingStarted" | "recordingStopped"; recording: unknown }
  | ControlError;
