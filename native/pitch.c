/* Pitch tracking: candidates from a centred normalised cross-correlation.
 *
 * The input is freed of DC, low-passed (linear phase, its delay accounted for)
 * and decimated to about 8 kHz. Every hop, the two windows compared for a lag
 * lie symmetrically about the hop's position, so the period found is the one
 * *there* and not half a window earlier: with gliding pitch this matters more
 * than the resolution of the peak. The choice among candidates is made by
 * dynamic programming (viterbi.c), read back as late as the caller can wait.
 *
 * Source: normalised cross-correlation and a search over candidates follow
 * D. Talkin, "A robust algorithm for pitch tracking", in Speech Coding and
 * Synthesis, 1995, ch. 14 (the method; the code is our own).
 */
#include "menura.h"

#include <math.h>
#include <string.h>

#define SLOW_RATE 8000.0      /* Hz; the correlation needs no more */
#define CUTOFF_HZ 1500.0      /* the first formant, several harmonics of any voice */
#define FIR_SECONDS 0.0006
#define HOP_SECONDS 0.0025
#define LOWEST 0.8            /* tracked below fmin, as a fraction of it */
#define WINDOW_SECONDS 0.0065 /* of correlation, at least; and at least one period */
#define FLOOR 2e-4            /* amplitude below which nothing counts as periodic */
#define HISS 0.05f            /* share of low-passed energy at which voicing is halved */
#define DC_HZ 40.0
#define KEEP 0.3f             /* correlation a candidate needs */

void mn_pitch_layout(mn_pitch *p, mn_arena *arena, double rate, double fmin, double fmax,
                     int64_t history)
{
    p->rate = rate;
    p->fmin = fmin;
    p->fmax = fmax;
    p->dec = (int)floor(rate / SLOW_RATE + 0.5);
    if (p->dec < 1)
        p->dec = 1;
    double slow = rate / p->dec;
    p->hop = p->dec * (int)floor(slow * HOP_SECONDS + 0.5);
    p->lag_min = (int)floor(slow / fmax);
    p->lag_max = (int)ceil(slow / (LOWEST * fmin));
    p->reach = (int)ceil(slow / fmin) + 1;
    if (p->lag_min < 2)
        p->lag_min = 2;
    p->window = (int)(slow * WINDOW_SECONDS);
    p->delay = (int)floor(rate * FIR_SECONDS / 2 + 0.5);
    p->taps = 2 * p->delay + 1;
    p->fir = mn_take(arena, (size_t)p->taps * sizeof(float));
    p->corr = mn_take(arena, (size_t)(p->lag_max + 2) * sizeof(float));
    p->energy = mn_take(arena, (size_t)(2 * p->reach + 1) * sizeof(double));
    mn_ring_take(&p->mono, arena, history);
    mn_ring_take(&p->low, arena, history);
    mn_ring_take(&p->slow, arena, history / p->dec + 8);
}

void mn_pitch_begin(mn_pitch *p)
{
    double sum = 0.0;
    for (int i = 0; i < p->taps; i++) {
        double t = (i - p->delay) / p->rate;
        double x = 2.0 * MN_PI * CUTOFF_HZ * t;
        double hann = 0.5 + 0.5 * cos(MN_PI * (i - p->delay) / (p->delay + 1.0));
        double tap = (i == p->delay ? 1.0 : sin(x) / x) * hann;
        p->fir[i] = (float)tap;
        sum += tap;
    }
    for (int i = 0; i < p->taps; i++)
        p->fir[i] = (float)(p->fir[i] / sum);
    p->dc_pole = (float)exp(-2.0 * MN_PI * DC_HZ / p->rate);
    p->dc_x = p->dc_y = 0.0f;
    mn_ring_clear(&p->mono);
    mn_ring_clear(&p->low);
    mn_ring_clear(&p->slow);
    p->count = p->slow_count = p->hop_count = 0;
    p->prior_hz = 0.0;
    memset(p->hops, 0, sizeof p->hops);
}

void mn_pitch_push(mn_pitch *p, const float *x, int n)
{
    for (int i = 0; i < n; i++) {
        p->dc_y = x[i] - p->dc_x + p->dc_pole * p->dc_y;
        p->dc_x = x[i];
        if (fabsf(p->dc_y) < 1e-20f)
            p->dc_y = 0.0f; /* a decaying tail must not become denormal */
        mn_ring_put(&p->mono, p->count + i, p->dc_y);
    }
    for (int done = 0; done < n;) {
        float out[64];
        int m = n - done < 64 ? n - done : 64;
        int64_t first = p->count + done - p->taps + 1;
        memset(out, 0, sizeof out);
        const float *in = mn_ring_at(&p->mono, first);
        for (int k = 0; k < p->taps; k++)
            for (int i = 0; i < m; i++)
                out[i] += p->fir[k] * in[i + k];
        for (int i = 0; i < m; i++) {
            int64_t at = p->count + done + i - p->delay;
            mn_ring_put(&p->low, at, out[i]);
            if (at >= 0 && at % p->dec == 0)
                mn_ring_put(&p->slow, p->slow_count++, out[i]);
        }
        done += m;
    }
    p->count += n;
}

/* Correlation for every lag about decimated position `centre`. */
static void correlate(mn_pitch *p, int64_t centre)
{
    const int reach = p->reach;
    const float *x = mn_ring_at(&p->slow, centre - reach);
    double *energy = p->energy;
    energy[0] = 0.0;
    for (int i = 0; i < 2 * reach; i++)
        energy[i + 1] = energy[i] + (double)x[i] * x[i];
    for (int lag = p->lag_min - 1; lag <= p->lag_max + 1; lag++) {
        int width = lag > p->window ? lag : p->window;
        if (width > 2 * reach - lag)
            width = 2 * reach - lag;
        int a = reach - (lag + width) / 2;
        double ea = energy[a + width] - energy[a];
        double eb = energy[a + lag + width] - energy[a + lag];
        double quiet = FLOOR * FLOOR * width;
        double dot = mn_dot(x + a, x + a + lag, width);
        p->corr[lag] = (float)(dot / sqrt((ea + quiet) * (eb + quiet)));
    }
}

/* A sibilant's little low-passed noise correlates by chance, but its energy lies above. */
static float voicing(const mn_pitch *p, int64_t centre)
{
    const int n = p->window * p->dec;
    const float *low = mn_ring_at(&p->low, centre - n / 2);
    const float *all = mn_ring_at(&p->mono, centre - n / 2);
    const float below = mn_dot(low, low, n), total = mn_dot(all, all, n);
    return below / (below + HISS * total + 1e-20f);
}

/* Peaks of the correlation, the best ones kept, each refined by a parabola. */
static void pick(const mn_pitch *p, mn_hop *hop)
{
    hop->count = 1;
    hop->lag[0] = hop->peak[0] = 0.0f;
    for (int lag = p->lag_min; lag <= p->lag_max; lag++) {
        float l = p->corr[lag - 1], c = p->corr[lag], r = p->corr[lag + 1];
        if (c < KEEP || c < l || c <= r)
            continue;
        float bend = l - 2.0f * c + r;
        float off = bend < 0.0f ? 0.5f * (l - r) / bend : 0.0f;
        float top = c - 0.25f * (l - r) * off;
        int slot = hop->count;
        if (slot == MN_CANDIDATES) { /* full: replace the weakest, if it is weaker */
            slot = 1;
            for (int i = 2; i < MN_CANDIDATES; i++)
                if (hop->peak[i] < hop->peak[slot])
                    slot = i;
            if (hop->peak[slot] >= top)
                continue;
        } else {
            hop->count++;
        }
        hop->lag[slot] = (float)((lag + off) * p->dec);
        hop->peak[slot] = top < 1.0f ? top : 1.0f;
    }
}

/* The next hop, if its windows are complete. */
int mn_pitch_step(mn_pitch *p)
{
    if (p->hop_count * (p->hop / p->dec) + p->reach > p->slow_count)
        return 0;
    mn_hop *hop = &p->hops[p->hop_count % MN_HOPS];
    const mn_hop *last = p->hop_count ? &p->hops[(p->hop_count - 1) % MN_HOPS] : NULL;
    correlate(p, p->hop_count * (p->hop / p->dec));
    pick(p, hop);
    hop->voicing = voicing(p, p->hop_count * p->hop);
    mn_viterbi_step(p, hop, last);
    p->hop_count++;
    return 1;
}

/* The next mark: where the waveform about `mark` best recurs near mark + period.
 * 0 when there is not enough input yet. */
double mn_pitch_next(const mn_pitch *p, double mark, double period, float *strength)
{
    const int64_t have = p->count - p->delay;
    const int64_t base = (int64_t)floor(mark + 0.5);
    const int guess = (int)floor(period + 0.5);
    const int search = p->dec + guess / 32 + 1;
    const int width = guess;
    int64_t ahead = have - (base + guess + search + 1);
    if (ahead < -width / 4)
        return 0.0;
    int right = ahead < width / 2 ? (int)ahead : width / 2;
    const float *a = mn_ring_at(&p->low, base + right - width);
    double score[3] = {0}, best = -2.0, before = -2.0;
    double ea = mn_dot(a, a, width), eb = 0.0;
    double quiet = FLOOR * FLOOR * width;
    int at = 0;
    for (int lag = guess - search - 1; lag <= guess + search + 1; lag++) {
        const float *b = mn_ring_at(&p->low, base + right - width + lag);
        if (lag == guess - search - 1)
            eb = mn_dot(b, b, width);
        double c = mn_dot(a, b, width) / sqrt((ea + quiet) * (eb + quiet));
        if (lag == at + 1)
            score[2] = c;
        if (c > best && lag >= guess - search && lag <= guess + search) {
            best = c;
            at = lag;
            score[0] = before;
            score[1] = c;
        }
        before = c;
        eb += (double)b[width] * b[width] - (double)b[0] * b[0];
        if (eb < 0.0)
            eb = 0.0;
    }
    double bend = score[0] - 2.0 * score[1] + score[2];
    double off = bend < 0.0 ? 0.5 * (score[0] - score[2]) / bend : 0.0;
    if (off > 0.5 || off < -0.5)
        off = 0.0;
    *strength = (float)best;
    return best < 0.3 ? mark + period : mark + at + off;
}

/* Where, within `length` frames from `from`, the low-passed energy is highest:
 * grains are centred on the glottal pulse, so that windows cut where little is. */
double mn_pitch_peak(const mn_pitch *p, double from, double length)
{
    const int64_t first = (int64_t)ceil(from);
    const int n = (int)length, half = (int)(p->rate * 0.0005);
    const float *x = mn_ring_at(&p->low, first - half);
    float sum = 0.0f, best = -1.0f;
    int at = n / 2;
    for (int i = 0; i < n; i++) {
        sum = mn_dot(x + i, x + i, 2 * half + 1);
        if (sum > best) {
            best = sum;
            at = i;
        }
    }
    return (double)(first + at);
}
