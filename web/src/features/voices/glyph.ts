export interface Bar {
  x: number;
  y: number;
  height: number;
}

/** A small picture of its own for each voice: seven bars whose heights follow from the id. */
export function bars(id: string): Bar[] {
  let hash = 2166136261; // FNV-1a
  for (const char of id) hash = Math.imul(hash ^ char.charCodeAt(0), 16777619);
  return Array.from({ length: 7 }, (_, bar) => {
    hash = Math.imul(hash ^ (hash >>> 15), 2246822519);
    const envelope = Math.sin((Math.PI * (bar + 1)) / 8);
    const height = 5 + 21 * envelope * (0.35 + (0.65 * ((hash >>> 8) & 255)) / 255);
    return { x: 2 + bar * 5.4, y: 14 - height / 2, height };
  });
}
