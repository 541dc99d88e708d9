/* A resonant filter whose corner swings. */
#include <math.h>

#include "export.h"

#define TINY 1e-20

/* y is overwritten. state: two integrators a channel. The corner of frame k is `corner` cycles a frame times
 * 2^(octaves * sin(2 pi * cycles * k)), at most 0.45; mode 0 is low-pass, 1 band-pass (0 dB at its peak), 2 high-pass.
 * Trapezoidal state-variable filter: A. Simper, Solving the continuous SVF equations using trapezoidal integration and
 * equivalent currents, Cytomic 2013. */
MN_API void mn_sweep(float *y, int64_t frames, int channels, double *state, int64_t at, double corner, double octaves,
                     double cycles, double damping, int mode)
{
    for (int64_t n = 0; n < frames; n++, y += channels) {
        double turns = (double)(at + n) * cycles;
        double f = corner;
        if (octaves != 0.0) f *= exp2(octaves * sin(2.0 * MN_PI * (turns - floor(turns))));
        double g = tan(MN_PI * (f < 0.45 ? f : 0.45));
        double a1 = 1.0 / (1.0 + g * (g + damping)), a2 = g * a1, a3 = g * a2;
        for (int c = 0; c < channels; c++) {
            double *s = state + 2 * c, x = y[c], v3 = x - s[1];
            double v1 = a1 * s[0] + a2 * v3, v2 = s[1] + a2 * s[0] + a3 * v3;
            s[0] = 2.0 * v1 - s[0];
            s[1] = 2.0 * v2 - s[1];
            if (fabs(s[0]) < TINY) s[0] = 0.0;
            if (fabs(s[1]) < TINY) s[1] = 0.0;
            y[c] = (float)(mode == 0 ? v2 : mode == 1 ? damping * v1 : x - damping * v1 - v2);
        }
    }
}
