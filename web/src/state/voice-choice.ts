// Which voice is chosen, and what its sliders stand at.

import type { VoiceInfo } from "../connection/messages";
import { NEUTRAL, type Parameters, type Settings } from "./settings";

export type VoiceChoice = Pick<Settings, "voice" | "parameters">;

/** What a voice's sliders stand at when it is chosen. */
export function ownParameters(voice: VoiceInfo | undefined): Parameters {
  return { ...NEUTRAL, ...voice?.parameters };
}

export const alike = (a: Parameters, b: Parameters): boolean =>
  (Object.keys(NEUTRAL) as (keyof Parameters)[]).every((name) => a[name] === b[name]);

export function chosenFrom(voices: readonly VoiceInfo[] | null, voice: string): VoiceChoice {
  return { voice, parameters: ownParameters(voices?.find(({ id }) => id === voice)) };
}

/**
 * The choice when there are other voices: it stays where the voice is still there. Sliders that stood at the voice's
 * own go with it where somebody changed that; those that a person has turned stay.
 */
export function kept(choice: VoiceChoice, voices: readonly VoiceInfo[], before: readonly VoiceInfo[] | null): VoiceChoice {
  const voice = voices.find(({ id }) => id === choice.voice);
  if (!voice) return chosenFrom(voices, voices[0]?.id ?? "");
  const earlier = before?.find(({ id }) => id === choice.voice);
  const turned = !earlier || !alike(choice.parameters, ownParameters(earlier));
  const parameters = turned ? choice.parameters : ownParameters(voice);
  return alike(parameters, choice.parameters) ? choice : { ...choice, parameters };
}
