/* Effects that recur from sample to sample: delays, reverb, modulation, noise. All take the position of the block's first
 * frame, `at`, from which every phase and every random number follows. */
#include <math.h>

#include "export.h"

#define TINY 1e-20f /* what decays further is zero, or it would become subnormal and slow */

/* phase in cycles of an oscillator, exact for years: the product's error is below 1e-6 cycles up to 1e9 cycles */
static double phase_at(int64_t at, double cycles_per_frame)
{
    double turns = (double)at * cycles_per_frame;
    return turns - floor(turns);
}

/* a uniform number in -1..1 for each position: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) */
static float random_at(int64_t at, uint64_t seed)
{
    uint64_t z = ((uint64_t)at + seed) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (float)((double)(z >> 11) * (2.0 / 9007199254740992.0) - 1.0);
}

/* white noise of unit power */
MN_API void mn_noise(float *y, int64_t frames, int64_t at, uint64_t seed)
{
    for (int64_t n = 0; n < frames; n++) y[n] = 1.7320508f * random_at(at + n, seed);
}

/* a periodic wave read from `table`, one period in `size` values and the first again */
MN_API void mn_wave(float *y, int64_t frames, int64_t at, const float *table, int size, double cycles_per_frame)
{
    for (int64_t n = 0; n < frames; n++) {
        double place = phase_at(at + n, cycles_per_frame) * size;
        int i = (int)place;
        y[n] = table[i] + (float)(place - i) * (table[i + 1] - table[i]);
    }
}

/* x times base + depth * sin */
MN_API void mn_modulate(float *x, int64_t frames, int channels, int64_t at, double cycles_per_frame, double base,
                        double depth)
{
    for (int64_t n = 0; n < frames; n++, x += channels) {
        float gain = (float)(base + depth * sin(2.0 * MN_PI * phase_at(at + n, cycles_per_frame)));
        for (int c = 0; c < channels; c++) x[c] *= gain;
    }
}

/* line: [delay][channels], then a low-pass state a channel. y = x + mix * e, where e is the delayed and dulled sum of x and
 * feedback * e. */
MN_API void mn_echo(float *x, int64_t frames, int channels, float *line, int64_t delay, int64_t at, double feedback,
                    double dull, double mix)
{
    float *low = line + delay * channels, f = (float)feedback, a = (float)dull, m = (float)mix;
    int64_t slot = at % delay;
    for (int64_t n = 0; n < frames; n++, x += channels) {
        float *cell = line + slot * channels;
        for (int c = 0; c < channels; c++) {
            float e = low[c] + a * (cell[c] - low[c]);
            if (fabsf(e) < TINY) e = 0;
            low[c] = e;
            cell[c] = x[c] + f * e;
            x[c] += m * e;
        }
        if (++slot == delay) slot = 0;
    }
}

/* Taps on one delay line, line: [size][channels], whose delays swing by `swing` frames around `delay`, phases spread evenly.
 * Four-point Hermite interpolation (Catmull-Rom). y = dry * x + wet * mean of the taps. */
MN_API void mn_chorus(float *x, int64_t frames, int channels, float *line, int64_t size, int64_t at, int taps,
                      double delay, double swing, double cycles_per_frame, double dry, double wet)
{
    float d = (float)dry, w = (float)(wet / taps);
    int64_t slot = at % size;
    for (int64_t n = 0; n < frames; n++, x += channels) {
        float *cell = line + slot * channels, sum[8] = {0};
        for (int c = 0; c < channels; c++) cell[c] = x[c];
        double phase = phase_at(at + n, cycles_per_frame);
        for (int t = 0; t < taps; t++) {
            double back = delay + swing * sin(2.0 * MN_PI * (phase + (double)t / taps));
            int64_t whole = (int64_t)back, i0 = slot - whole;
            float u = (float)(back - (double)whole);
            if (i0 < 0) i0 += size;
            int64_t later = i0 + 1 == size ? 0 : i0 + 1, i1 = i0 ? i0 - 1 : size - 1, i2 = i1 ? i1 - 1 : size - 1;
            for (int c = 0; c < channels; c++) {
                float p = line[later * channels + c], q = line[i0 * channels + c], r = line[i1 * channels + c],
                      s = line[i2 * channels + c];
                float k1 = 0.5f * (r - p), k2 = p - 2.5f * q + 2.0f * r - 0.5f * s, k3 = 0.5f * (s - p) + 1.5f * (q - r);
                sum[c] += ((k3 * u + k2) * u + k1) * u + q;
            }
        }
        for (int c = 0; c < channels; c++) x[c] = d * x[c] + w * sum[c];
        if (++slot == size) slot = 0;
    }
}

/* Feedback delay network: two all-passes, then eight lines that feed each other through a Hadamard matrix (Jot and Chaigne,
 * AES 90, 1991). lengths: 2 + 8; memory of a channel: their sum, then 8 low-pass states. gains: 8. */
#define LINES 8

static void hadamard(float *v)
{
    for (int h = 1; h < LINES; h *= 2)
        for (int i = 0; i < LINES; i += 2 * h)
            for (int j = i; j < i + h; j++) {
                float a = v[j], b = v[j + h];
                v[j] = a + b;
                v[j + h] = a - b;
            }
    for (int i = 0; i < LINES; i++) v[i] *= 0.35355339f;
}

static void reverb_channel(float *x, int64_t frames, int stride, float *memory, const int *lengths, int64_t at,
                           const float *gains, float dull, float dry, float wet)
{
    float *line[2 + LINES];
    int slot[2 + LINES];
    for (int i = 0; i < 2 + LINES; i++) {
        line[i] = memory;
        memory += lengths[i];
        slot[i] = (int)(at % lengths[i]);
    }
    for (int64_t n = 0; n < frames; n++, x += stride) {
        float v = *x, out[LINES], sum = 0;
        for (int i = 0; i < 2; i++) {
            float old = line[i][slot[i]], in = v + 0.6f * old;
            line[i][slot[i]] = fabsf(in) < TINY ? 0 : in;
            v = old - 0.6f * in;
        }
        for (int i = 0; i < LINES; i++) {
            float *low = memory + i, e = *low + dull * (line[2 + i][slot[2 + i]] - *low);
            *low = fabsf(e) < TINY ? 0 : e;
            out[i] = gains[i] * *low;
            sum += i & 1 ? -out[i] : out[i];
        }
        hadamard(out);
        for (int i = 0; i < LINES; i++) line[2 + i][slot[2 + i]] = out[i] + 0.35355339f * v;
        for (int i = 0; i < 2 + LINES; i++)
            if (++slot[i] == lengths[i]) slot[i] = 0;
        *x = dry * *x + wet * sum;
    }
}

MN_API void mn_reverb(float *x, int64_t frames, int channels, float *memory, int64_t size, const int *lengths, int64_t at,
                      const float *gains, double dull, double dry, double wet)
{
    for (int c = 0; c < channels; c++)
        reverb_channel(x + c, frames, channels, memory + c * size, lengths, at, gains, (float)dull, (float)dry, (float)wet);
}

typedef struct {
    double power, gain;
    int64_t hold;
} hiss_state;

MN_API size_t mn_hiss_size(void) { return sizeof(hiss_state); }

/* adds noise, and single crackling samples with probability `rare`, while the signal's power is above `open` and `hold` frames
 * after; the same on all channels */
MN_API void mn_hiss(float *x, int64_t frames, int channels, void *memory, int64_t at, double detector, double open,
                    int64_t hold, double glide, double level, double rare)
{
    hiss_state *s = memory;
    for (int64_t n = 0; n < frames; n++, x += channels) {
        double p = 0;
        for (int c = 0; c < channels; c++) p += (double)x[c] * x[c];
        s->power += detector * (p / channels - s->power);
        if (s->power < 1e-30) s->power = 0;
        if (s->power >= open)
            s->hold = hold;
        else if (s->hold > 0)
            s->hold--;
        s->gain += glide * ((s->hold > 0) - s->gain);
        if (s->gain < 1e-12) s->gain = 0;
        float v = 1.7320508f * random_at(at + n, 1);
        if (rare > 0 && fabsf(random_at(at + n, (uint64_t)1 << 40)) < rare) v *= 12.0f;
        v *= (float)(level * s->gain);
        for (int c = 0; c < channels; c++) x[c] += v;
    }
}
