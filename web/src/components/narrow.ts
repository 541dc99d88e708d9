/** Whether the page shows one part at a time; the styles have the same width. */
export const narrow = (): boolean => window.matchMedia("(max-width: 46rem)").matches;
