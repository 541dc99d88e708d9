/* Polyphase FIR at a rational ratio. */
#include "export.h"

#define LANES 16 /* sums side by side, so that none waits for the one before it */

static inline float dot(const float *in, const int channels, const float *h, int taps)
{
    float s[LANES] = {0};
    int t = 0;
    for (; t + LANES <= taps; t += LANES)
        for (int j = 0; j < LANES; j++) s[j] += in[(size_t)(t + j) * channels] * h[t + j];
    for (int j = 0; t < taps; t++, j++) s[j] += in[(size_t)t * channels] * h[t];
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int j = 0; j < width; j++) s[j] += s[j + width];
    return s[0];
}

/* Output k lies at input position k * down / up. Its taps are row phase = (k * down mod up) * rows / up of the table, blended
 * with the next row where the table is coarser than the ratio. x[0] is the input frame at position `origin`; the first tap of
 * output k falls on frame floor(k * down / up) - `before`. */
MN_API void mn_resample(const float *x, int64_t origin, int channels, const float *table, int taps, int rows, int64_t up,
                        int64_t down, int64_t before, int64_t first, int64_t count, float *y)
{
    for (int64_t k = first; k < first + count; k++) {
        int64_t at = k * down;
        int64_t whole = at / up, rest = at % up;
        double row = (double)rest * rows / (double)up;
        int r = (int)row;
        float blend = (float)(row - r);
        const float *h0 = table + (size_t)r * taps, *h1 = h0 + taps;
        const float *in = x + (whole - before - origin) * channels;
        for (int c = 0; c < channels; c++) {
            float a = channels == 1 ? dot(in, 1, h0, taps) : dot(in + c, channels, h0, taps);
            if (blend == 0.0f) { /* always, where the table has a row for every phase */
                *y++ = a;
                continue;
            }
            float b = channels == 1 ? dot(in, 1, h1, taps) : dot(in + c, channels, h1, taps);
            *y++ = a + blend * (b - a);
        }
    }
}
