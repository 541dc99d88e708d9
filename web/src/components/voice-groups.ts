import type { VoiceInfo } from "../connection/messages";

const CATEGORIES: Record<string, string> = { realistic: "Realistic", character: "Characters", custom: "Your own" };

export interface VoiceGroup {
  title: string;
  voices: VoiceInfo[];
}

/** The voices that a search finds, by category: all words must occur in name or description. */
export function groups(voices: VoiceInfo[], search: string, favouritesOnly: boolean): VoiceGroup[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const found = voices.filter(({ name, description, favourite }) => {
    const text = `${name} ${description}`.toLowerCase();
    return words.every((word) => text.includes(word)) && (favourite || !favouritesOnly);
  });
  const names = new Set([...Object.keys(CATEGORIES), ...found.map(({ category }) => category)]);
  return [...names]
    .map((name) => ({ title: CATEGORIES[name] ?? name, voices: found.filter(({ category }) => category === name) }))
    .filter((group) => group.voices.length > 0);
}
