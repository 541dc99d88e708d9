/* Cascade of second-order sections, transposed direct form II, in double: low corner frequencies at 48 kHz need it. */
#include "export.h"

/* sos: [sections][5] = b0 b1 b2 a1 a2 (a0 = 1); state: [sections][channels][2]; x is filtered in place. */
MN_API void mn_sos(float *x, int64_t frames, int channels, const double *sos, int sections, double *state)
{
    for (int s = 0; s < sections; s++) {
        const double *k = sos + 5 * s;
        for (int c = 0; c < channels; c++) {
            double *z = state + 2 * ((size_t)s * channels + c);
            double z0 = z[0], z1 = z[1];
            float *p = x + c;
            for (int64_t n = 0; n < frames; n++, p += channels) {
                double v = *p, y = k[0] * v + z0;
                z0 = k[1] * v - k[3] * y + z1;
                z1 = k[2] * v - k[4] * y;
                *p = (float)y;
            }
            if (z0 > -1e-30 && z0 < 1e-30) z0 = 0; /* a decaying tail never becomes subnormal */
            if (z1 > -1e-30 && z1 < 1e-30) z1 = 0;
            z[0] = z0;
            z[1] = z1;
        }
    }
}
