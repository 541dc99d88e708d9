/* Grains: a windowed piece of the input, read at any rate, added at any place.
 *
 * Reading is band-limited: a Kaiser-windowed sinc, tabulated by phase and
 * linearly interpolated between phases (128 phases: error below -80 dB), with
 * narrower bands for formant factors above 1, where reading fast would fold
 * the top of the spectrum back. A grain that falls exactly on the input's own
 * frames is copied, so what is not changed comes out as it went in.
 */
#include "menura.h"

#include <math.h>
#include <string.h>

#define KAISER_BETA 8.0
#define BAND_STEP 6.0 /* tables per octave of formant factor */
#define ALIGNED 1e-6  /* frames */

static double bessel_i0(double x)
{
    double sum = 1.0, term = 1.0;
    for (int k = 1; k < 40; k++) {
        term *= (x / (2.0 * k)) * (x / (2.0 * k));
        sum += term;
    }
    return sum;
}

void mn_grains_layout(mn_grains *g, mn_arena *arena, int half, int capacity)
{
    for (int band = 0; band < MN_BANDS; band++) {
        double cut = pow(2.0, -band / BAND_STEP);
        int n = (int)ceil(half / cut);
        g->half[band] = n;
        g->table[band] = mn_take(arena, (size_t)(MN_PHASES + 1) * 2 * n * sizeof(float));
        if (!arena->base)
            continue;
        for (int phase = 0; phase <= MN_PHASES; phase++) {
            float *row = g->table[band] + (size_t)phase * 2 * n;
            double sum = 0.0;
            for (int k = 0; k < 2 * n; k++) {
                double t = k - (n - 1) - (double)phase / MN_PHASES;
                double x = MN_PI * t * cut, y = t / n;
                double tap = fabs(x) < 1e-12 ? 1.0 : sin(x) / x;
                tap *= y * y < 1.0 ? bessel_i0(KAISER_BETA * sqrt(1.0 - y * y)) : 0.0;
                row[k] = (float)tap;
                sum += tap;
            }
            for (int k = 0; k < 2 * n; k++)
                row[k] = (float)(row[k] / sum);
        }
    }
    g->capacity = capacity;
    g->weight = mn_take(arena, (size_t)capacity * sizeof(float));
    g->scratch = mn_take(arena, (size_t)capacity * sizeof(float));
    if (arena->base)
        for (int i = 0; i < MN_WINDOW + 2; i++)
            g->window[i] = i < MN_WINDOW ? (float)(0.5 + 0.5 * cos(MN_PI * i / MN_WINDOW)) : 0.0f;
}

static int band_of(double stretch)
{
    int band = stretch <= 1.0 ? 0 : (int)ceil(BAND_STEP * log2(stretch) - 1e-9);
    return band < MN_BANDS ? band : MN_BANDS - 1;
}

/* Frames of input needed beyond the last one read, to each side. */
int mn_grains_reach(const mn_grains *g, double stretch)
{
    return g->half[band_of(stretch)] + 1;
}

/* Same filter for every frame: the grain is only moved. */
static void read_moved(const mn_grains *g, const mn_ring *in, double from, int n, float *out)
{
    double whole = floor(from + ALIGNED);
    double part = from - whole;
    if (part < ALIGNED) {
        memcpy(out, mn_ring_at(in, (int64_t)whole), (size_t)n * sizeof(float));
        return;
    }
    const int taps = 2 * g->half[0];
    const double phase = part * MN_PHASES;
    const int row = (int)phase;
    const float mix = (float)(phase - row);
    const float *a = g->table[0] + (size_t)row * taps, *b = a + taps;
    const float *x = mn_ring_at(in, (int64_t)whole - g->half[0] + 1);
    memset(out, 0, (size_t)n * sizeof(float));
    for (int k = 0; k < taps; k++) {
        const float tap = a[k] + mix * (b[k] - a[k]);
        for (int i = 0; i < n; i++)
            out[i] += tap * x[i + k];
    }
}

static void read_stretched(const mn_grains *g, const mn_ring *in, double from, double stretch,
                           int n, float *out)
{
    const int band = band_of(stretch);
    const int half = g->half[band], taps = 2 * half;
    const int64_t origin = (int64_t)floor(from);
    const float *x = mn_ring_at(in, origin - half + 1);
    from -= (double)origin;
    for (int i = 0; i < n; i++) {
        const double at = from + stretch * i;
        const int whole = (int)at;
        const double phase = (at - whole) * MN_PHASES;
        const int row = (int)phase;
        const float mix = (float)(phase - row);
        const float *a = g->table[band] + (size_t)row * taps;
        const float lower = mn_dot(a, x + whole, taps);
        const float upper = mn_dot(a + taps, x + whole, taps);
        out[i] = lower + mix * (upper - lower);
    }
}

void mn_grains_add(mn_grains *g, const mn_grain *grain, int64_t first_free, int channels,
                   const mn_ring *in, mn_ring *sum, mn_ring *norm)
{
    int64_t first = (int64_t)ceil(grain->at - grain->left);
    int64_t last = (int64_t)floor(grain->at + grain->right);
    if (first < first_free)
        first = first_free;
    int n = (int)(last - first + 1);
    if (n > g->capacity)
        n = g->capacity;
    if (n <= 0)
        return;
    const int64_t mask = norm->size - 1;
    for (int i = 0; i < n; i++) {
        const double off = (double)(first + i) - grain->at;
        const double u = (off < 0 ? -off / grain->left : off / grain->right) * MN_WINDOW;
        const int k = u < MN_WINDOW ? (int)u : MN_WINDOW;
        const float *w = g->window + k;
        g->weight[i] = grain->share * (w[0] + (float)(u - k) * (w[1] - w[0]));
        norm->data[(first + i) & mask] += g->weight[i];
    }
    const double from = grain->from + grain->stretch * ((double)first - grain->at);
    for (int c = 0; c < channels; c++) {
        if (fabs(grain->stretch - 1.0) < 1e-9)
            read_moved(g, &in[c], from, n, g->scratch);
        else
            read_stretched(g, &in[c], from, grain->stretch, n, g->scratch);
        for (int i = 0; i < n; i++)
            sum[c].data[(first + i) & mask] += grain->gain * g->weight[i] * g->scratch[i];
    }
}
