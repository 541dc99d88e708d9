/* Gives a carrier the short-time spectral envelope of the voice. */
#include <math.h>
#include <string.h>

#include "export.h"

/* in-place radix-2 FFT (Cooley and Tukey 1965) of n complex values; turn: n / 2 values of exp(-2 pi i k / n) */
static void fft(float *z, int n, const float *turn)
{
    for (int i = 1, j = 0; i < n; i++) {
        int bit = n >> 1;
        for (; j & bit; bit >>= 1) j ^= bit;
        j ^= bit;
        if (i < j) {
            float re = z[2 * i], im = z[2 * i + 1];
            z[2 * i] = z[2 * j];
            z[2 * i + 1] = z[2 * j + 1];
            z[2 * j] = re;
            z[2 * j + 1] = im;
        }
    }
    for (int half = 1; half < n; half *= 2)
        for (int start = 0; start < n; start += 2 * half)
            for (int k = 0; k < half; k++) {
                const float *w = turn + 2 * (size_t)k * (n / 2 / half);
                float *a = z + 2 * (start + k), *b = a + 2 * half;
                float re = b[0] * w[0] - b[1] * w[1], im = b[0] * w[1] + b[1] * w[0];
                b[0] = a[0] - re;
                b[1] = a[1] - im;
                a[0] += re;
                a[1] += im;
            }
}

/* power[0..half] blurred by a triangle of 2 * width + 1 bins, into gain as its square root */
static void envelope(const float *power, float *gain, int half, int width)
{
    for (int k = 0; k <= half; k++) {
        float sum = 0, weights = 0;
        for (int d = -width; d <= width; d++) {
            if (k + d < 0 || k + d > half) continue;
            float w = (float)(width + 1 - (d < 0 ? -d : d));
            sum += w * power[k + d];
            weights += w;
        }
        gain[k] = sqrtf(sum / weights);
    }
}

/* One frame. Voice and carrier are the real and the imaginary part of one transform: with Z of their sum,
 * X[k] = (Z[k] + conj Z[-k]) / 2 and C[k] = (Z[k] - conj Z[-k]) / 2i. */
static void frame(float *z, float *power, float *gain, int n, int width, const float *turn)
{
    int half = n / 2;
    fft(z, n, turn);
    for (int k = 0; k <= half; k++) {
        int m = (n - k) & (n - 1);
        float re = 0.5f * (z[2 * k] + z[2 * m]), im = 0.5f * (z[2 * k + 1] - z[2 * m + 1]);
        power[k] = re * re + im * im;
    }
    envelope(power, gain, half, width);
    for (int k = 0; k <= half; k++) {
        int m = (n - k) & (n - 1);
        float re = 0.5f * gain[k] * (z[2 * k + 1] + z[2 * m + 1]), im = -0.5f * gain[k] * (z[2 * k] - z[2 * m]);
        /* conjugated, so that the forward transform inverts */
        z[2 * k] = z[2 * m] = re;
        z[2 * k + 1] = -im;
        z[2 * m + 1] = im;
    }
    z[1] = z[2 * half + 1] = 0;
    fft(z, n, turn);
}

/* floats of state: scratch, the carrier's past, then the voice's past and the output to come of each channel */
MN_API int mn_vocode_size(int n, int channels) { return 2 * n + 2 * (n / 2 + 1) + n + 2 * n * channels; }

/* n: window, a power of two; hop divides it. window: [n]; scale: 1 over all the transforms and windows multiply by.
 * x is replaced by the carrier in the voice's envelope, n frames late. */
MN_API void mn_vocode(float *x, const float *carrier, int64_t frames, int channels, float *memory, int64_t at, int n, int hop,
                      const float *window, const float *turn, int width, double scale)
{
    float *z = memory, *power = z + 2 * n, *gain = power + n / 2 + 1, *past = gain + n / 2 + 1, *voices = past + n;
    for (int64_t t = at; t < at + frames; t++, x += channels) {
        int slot = (int)(t & (n - 1));
        past[slot] = carrier[t - at];
        for (int c = 0; c < channels; c++) {
            float *in = voices + (size_t)2 * n * c, *out = in + n;
            in[slot] = x[c];
            x[c] = out[slot];
            out[slot] = 0;
        }
        if ((t + 1) % hop) continue;
        for (int c = 0; c < channels; c++) {
            float *in = voices + (size_t)2 * n * c, *out = in + n;
            int oldest = (slot + 1) & (n - 1);
            for (int i = 0; i < n; i++) {
                int j = (oldest + i) & (n - 1);
                z[2 * i] = window[i] * in[j];
                z[2 * i + 1] = window[i] * past[j];
            }
            frame(z, power, gain, n, width, turn);
            for (int i = 0; i < n; i++) out[(oldest + i) & (n - 1)] += (float)scale * window[i] * z[2 * i];
        }
    }
}
