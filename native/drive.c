/* Saturation at `factor` times the rate, so that the harmonics it makes do not fold back. */
#include <math.h>
#include <string.h>

#include "export.h"

#define SPAN 24 /* input frames the filter spans; up and down together delay by as many */
#define ROW 28  /* SPAN + 1, up to a multiple of 4 */

MN_API int mn_drive_span(void) { return SPAN; }

/* floats of state of a channel */
MN_API int mn_drive_size(int factor) { return ROW + ROW * factor + 1; }

static float dot(const float *a, const float *b, int n) /* n is a multiple of 4 */
{
    float s[4] = {0};
    for (int i = 0; i < n; i += 4)
        for (int j = 0; j < 4; j++) s[j] += a[i + j] * b[i + j];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

/* up: [factor][ROW], row p the taps of phase p, oldest input first; down: [ROW * factor], oldest first. In place.
 * y = (tanh(gain x + bias) - rest) * scale, rest = tanh(bias); what that adds below `block` is taken out. */
MN_API void mn_drive(float *x, int64_t frames, int channels, float *memory, int factor, const float *up, const float *down,
                     double gain, double bias, double scale, double block)
{
    float g = (float)gain, b = (float)bias, rest = tanhf(b), k = (float)scale;
    int wide = ROW * factor;
    for (int c = 0; c < channels; c++) {
        float *in = memory + (size_t)c * mn_drive_size(factor), *high = in + ROW, *dc = high + wide;
        float *p = x + c;
        for (int64_t n = 0; n < frames; n++, p += channels) {
            memmove(in, in + 1, (ROW - 1) * sizeof(float));
            in[ROW - 1] = *p;
            memmove(high, high + factor, (size_t)(wide - factor) * sizeof(float));
            for (int i = 0; i < factor; i++)
                high[wide - factor + i] = (tanhf(g * dot(up + i * ROW, in, ROW) + b) - rest) * k;
            float y = dot(down, high, wide);
            *dc += (float)block * (y - *dc);
            if (fabsf(*dc) < 1e-20f) *dc = 0;
            *p = y - *dc;
        }
    }
}
