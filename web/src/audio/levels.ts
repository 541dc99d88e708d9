// The levels now, outside of React: they change 20 times a second and are drawn 60 times.

export interface Level {
  level: number;
  peak: number;
}

export const levels: Record<"input" | "output", Level> = {
  input: { level: 0, peak: 0 },
  output: { level: 0, peak: 0 },
};

export function silence(): void {
  levels.input = { level: 0, peak: 0 };
  levels.output = { level: 0, peak: 0 };
}
