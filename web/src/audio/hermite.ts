/** The value of a ring (its size a power of two, `mask` one less) between its samples, by 4-point cubic Hermite. */
export function hermite(ring: Float32Array, mask: number, position: number): number {
  const at = Math.floor(position);
  const t = position - at;
  const before = ring[(at - 1) & mask];
  const here = ring[at & mask];
  const next = ring[(at + 1) & mask];
  const slope = (next - before) / 2;
  const nextSlope = (ring[(at + 2) & mask] - here) / 2;
  const cubic = 2 * (here - next) + slope + nextSlope;
  const square = 3 * (next - here) - 2 * slope - nextSlope;
  return here + t * (slope + t * (square + t * cubic));
}
