// The microphone: what the browser is asked for, and what to do when it does not give it.

/** A cause the person can do something about; the text says what. */
export class AudioError extends Error {}

/** What the browser shall do with the microphone's sound, and which microphone. */
export interface MicrophoneChoice {
  device: string;
  echo_cancellation: boolean;
  noise_suppression: boolean;
  auto_gain: boolean;
}

/** Which corrections the browser makes: Safari knows echo alone. */
export function corrections(): Record<"echo_cancellation" | "noise_suppression" | "auto_gain", boolean> {
  const media = navigator.mediaDevices as MediaDevices | undefined;
  // not in TypeScript's list: Media Capture and Streams, 4.3.3
  const known: (MediaTrackSupportedConstraints & { autoGainControl?: boolean }) | undefined =
    media?.getSupportedConstraints?.();
  return {
    echo_cancellation: known?.echoCancellation ?? !known,
    noise_suppression: known?.noiseSuppression ?? !known,
    auto_gain: known?.autoGainControl ?? !known,
  };
}

/** What went wrong, by the name of the browser's error. */
const CAUSES: Record<string, string> = {
  NotAllowedError:
    "This page may not use your microphone. Allow it in the browser (the icon beside the address), then press Start again.",
  SecurityError: "This page may not use your microphone: the browser's or the system's settings forbid it.",
  NotFoundError: "No microphone was found. Connect one, then press Start again.",
  OverconstrainedError:
    "The microphone you chose is not connected. Connect it or choose another, then press Start again.",
  NotReadableError:
    "The microphone is there but gives no sound. Another program may be using it; close that and press Start again.",
};

/** Why audio cannot work here at all, or an empty text. */
export function obstacle(): string {
  if (!window.isSecureContext) {
    const local = `http://localhost${location.port ? `:${location.port}` : ""}/`;
    return `Browsers give the microphone to secure pages only. On this computer open ${local}; from another one use https.`;
  }
  if (!navigator.mediaDevices || !window.AudioWorkletNode) {
    return "This browser is too old for live audio. Use a current Firefox, Chrome, Edge or Safari.";
  }
  return "";
}

export function constraints(choice: MicrophoneChoice): MediaTrackConstraints {
  return {
    channelCount: { ideal: 1 },
    echoCancellation: choice.echo_cancellation,
    noiseSuppression: choice.noise_suppression,
    autoGainControl: choice.auto_gain,
    ...(choice.device ? { deviceId: { exact: choice.device } } : {}),
  };
}

export async function openMicrophone(choice: MicrophoneChoice): Promise<MediaStream> {
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: constraints(choice) });
  } catch (error) {
    const name = error instanceof Error ? error.name : "";
    throw new AudioError(
      CAUSES[name] ?? `The microphone cannot be used: ${error instanceof Error ? error.message : error}`,
    );
  }
}
