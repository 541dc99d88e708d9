// The server's settings, which everybody has who chose nothing else.

import type { VoiceInfo } from "../connection/messages";
import type { Settings as ServerSettings } from "../wire/rest";
import { adopt, hasChosen, type Settings } from "./settings";
import { chosenFrom } from "./voice-choice";

const FEWEST_MS = 50; // between two questions: the server answers no more than 20 a second

/** The page's settings that the server's give, but for the voice. */
export function adopted(common: ServerSettings): Partial<Settings> {
  const { theme, status_interval_ms, sample_rate, noise_suppression, auto_gain, echo_cancellation } = common;
  return {
    theme: theme === "light" || theme === "dark" ? theme : "auto",
    status_interval_ms: Math.max(FEWEST_MS, status_interval_ms),
    sample_rate,
    noise_suppression,
    auto_gain,
    echo_cancellation,
  };
}

/** Take them, and the voice to begin with as far as it is known. */
export function inherit(common: ServerSettings, voices: readonly VoiceInfo[] | null): void {
  adopt(adopted(common));
  const { voice } = common;
  if (!voice || hasChosen("voice")) return;
  if (!voices) adopt({ voice });
  else if (voices.some(({ id }) => id === voice)) adopt(chosenFrom(voices, voice));
}
