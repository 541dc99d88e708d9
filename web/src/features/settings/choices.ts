/** Hz. */
export const RATES = [16_000, 24_000, 44_100, 48_000];
/** Between two questions of how it goes, ms. */
export const INTERVALS = [50, 100, 200, 500, 1000];
