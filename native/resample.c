/* Polyphase FIR at a rational ratio. */
#include "export.h"

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
            float s0[4] = {0}, s1[4] = {0};
            int t = 0;
            for (; t + 4 <= taps; t += 4)
                for (int j = 0; j < 4; j++) {
                    float v = in[(size_t)(t + j) * channels + c];
                    s0[j] += v * h0[t + j];
                    s1[j] += v * h1[t + j];
                }
            for (; t < taps; t++) {
                float v = in[(size_t)t * channels + c];
                s0[0] += v * h0[t];
                s1[0] += v * h1[t];
            }
            float a = (s0[0] + s0[1]) + (s0[2] + s0[3]), b = (s1[0] + s1[1]) + (s1[2] + s1[3]);
            *y++ = a + blend * (b - a);
        }
    }
}
