// pcm16 on the wire, float −1…1 inside; by 32768 both ways, as the server has it.

const FULL_SCALE = 32768;

export function encode(samples: Float32Array): Int16Array<ArrayBuffer> {
  const out = new Int16Array(samples.length);
  for (let i = 0; i < out.length; i++) {
    out[i] = Math.max(-FULL_SCALE, Math.min(FULL_SCALE - 1, Math.round(samples[i] * FULL_SCALE)));
  }
  return out;
}

export function decode(data: ArrayBuffer): Float32Array<ArrayBuffer> {
  const words = new Int16Array(data, 0, data.byteLength >> 1);
  const out = new Float32Array(words.length);
  for (let i = 0; i < out.length; i++) out[i] = words[i] / FULL_SCALE;
  return out;
}
