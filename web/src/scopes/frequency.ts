/** Hz to mel (O'Shaughnessy, Speech Communication, 1987): equal steps sound equally large. */
export const mel = (hz: number): number => 2595 * Math.log10(1 + hz / 700);
export const hertz = (m: number): number => 700 * (10 ** (m / 2595) - 1);

export const LOWEST_HZ = 60;
export const HIGHEST_HZ = 10_000;
/** What is drawn as silence and as full, dBFS of one bin. */
export const FLOOR_DB = -92;
export const CEILING_DB = -22;

/** The bins that each row of a spectrogram shows, from the top row down: first and last, both included. */
export function rowsOf(rows: number, bins: number, rate: number): { first: Uint16Array; last: Uint16Array } {
  const first = new Uint16Array(rows);
  const last = new Uint16Array(rows);
  const high = mel(Math.min(HIGHEST_HZ, rate / 2));
  const low = mel(LOWEST_HZ);
  const bin = (edge: number) => (hertz(edge) * 2 * bins) / rate;
  for (let row = 0; row < rows; row++) {
    const above = high - ((high - low) * row) / rows;
    const below = high - ((high - low) * (row + 1)) / rows;
    first[row] = Math.min(bins - 1, Math.max(0, Math.round(bin(below))));
    last[row] = Math.min(bins - 1, Math.max(first[row] ?? 0, Math.round(bin(above)) - 1));
  }
  return { first, last };
}

/** A level as an index of a table of 256 colours. */
export function shade(db: number): number {
  if (!(db > FLOOR_DB)) return 0; // NaN and −∞ too
  return Math.min(255, Math.round((255 * (db - FLOOR_DB)) / (CEILING_DB - FLOOR_DB)));
}

/** The frequency of the strongest bin between two frequencies, Hz; 0 where all is silent. */
export function strongest(db: Float32Array, rate: number, low = 70, high = 4000): number {
  const width = rate / 2 / db.length;
  let best = FLOOR_DB;
  let found = 0;
  for (let bin = Math.ceil(low / width); bin <= Math.min(db.length - 1, high / width); bin++) {
    const level = db[bin] ?? FLOOR_DB;
    if (level > best) {
      best = level;
      found = bin;
    }
  }
  return found * width;
}
