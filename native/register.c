/* The register of a speaker: a histogram of log F0 that slowly forgets.
 *
 * A median of a histogram, not a mean: octave errors and creak pull a mean.
 */
#include "menura.h"

#include <math.h>
#include <string.h>

#define LOWEST_HZ 40.0
#define BINS_PER_OCTAVE 48.0  /* 25 cents; 256 bins end at 1613 Hz */
#define MEMORY_SECONDS 12.0   /* of voiced speech */
#define SEED_SECONDS 2.0      /* what a seed weighs against speech */

static int bin_of(double f0_hz)
{
    double bin = BINS_PER_OCTAVE * log2(f0_hz / LOWEST_HZ);
    return bin < 0.0 ? 0 : bin >= MN_REGISTER_BINS ? MN_REGISTER_BINS - 1 : (int)bin;
}

static void update(mn_register *r)
{
    double below = 0.0;
    for (int i = 0; i < MN_REGISTER_BINS; i++) {
        double mass = r->mass[i];
        if (mass > 0.0 && below + mass >= 0.5 * r->total) {
            double part = (0.5 * r->total - below) / mass;
            r->median_hz = LOWEST_HZ * exp2((i + part) / BINS_PER_OCTAVE);
            return;
        }
        below += mass;
    }
}

void mn_register_begin(mn_register *r, double seed_hz)
{
    memset(r, 0, sizeof *r);
    if (seed_hz > 0.0) {
        int bin = bin_of(seed_hz);
        r->mass[bin] = (float)SEED_SECONDS;
        r->total = SEED_SECONDS;
        r->median_hz = seed_hz;
    }
}

void mn_register_hear(mn_register *r, double f0_hz, double seconds)
{
    r->mass[bin_of(f0_hz)] += (float)seconds;
    r->total += seconds;
    r->heard += seconds;
    if (r->total > MEMORY_SECONDS) {
        double keep = MEMORY_SECONDS / r->total;
        r->total = 0.0;
        for (int i = 0; i < MN_REGISTER_BINS; i++) {
            r->mass[i] = (float)(r->mass[i] * keep);
            r->total += r->mass[i];
        }
    }
    update(r);
}
