/* What a gap in speech is filled with: the last pitch periods, said on by the voice's own filter.
 *
 * The recent past is split by linear prediction into a filter (the vocal tract) and its excitation. The excitation is
 * repeated by the pitch period, or, where there is no pitch, replaced by noise, and filtered from the filter's present
 * state: so the first sample made follows the last one heard without a seam, whatever the excitation is.
 *
 * Sources: the order of periods repeated follows ITU-T G.711 Appendix I (1999), 2.3; autocorrelation method and
 * Levinson-Durbin recursion: J. Makhoul, "Linear prediction: a tutorial review", Proc. IEEE 63 (1975).
 */
#include "menura.h"

#include <math.h>
#include <string.h>

#define SLOW_MAX 2048       /* decimated frames a period search may span */
#define ORDER_MAX 32
#define NEAR 0.88f          /* share of the best correlation at which a shorter period is preferred */
#define BETTER 0.75f        /* share of what the correlation lacks, at which a multiple of the period is worth its age */
#define QUIET 1e-9          /* mean square below which nothing counts as periodic: -90 dBFS */
#define NOISE_FLOOR 3e-5    /* added to the autocorrelation at lag 0: -45 dB, keeps the recursion well conditioned */
#define WIDEN 0.996         /* pole radius factor: the filter's ringing dies away sooner than the voice's own */

static float correlation(const float *a, const float *b, int n, double energy_a)
{
    double energy_b = mn_dot(b, b, n);
    double most = energy_a * energy_b;
    return most > 0.0 ? (float)(mn_dot(a, b, n) / sqrt(most)) : 0.0f;
}

/* The lag at which the last `window` of `n` frames resemble what came before best, at most `lag_max`;
 * n >= window + lag_max. The search runs at a rate lower by `dec`, the last step at the full one. */
MN_API double mn_period(const float *x, int64_t n, int dec, int lag_min, int lag_max, int window, int32_t *lag)
{
    float slow[SLOW_MAX], score[SLOW_MAX];
    int count = (window + lag_max) / dec, width = window / dec, low = lag_min / dec, high = lag_max / dec;
    *lag = lag_max;
    if (count > SLOW_MAX || count < width + high || low < 1)
        return 0.0;
    const float *from = x + n - (int64_t)count * dec;
    for (int i = 0; i < count; i++) {
        float sum = 0.0f;
        for (int k = 0; k < dec; k++)
            sum += from[i * dec + k];
        slow[i] = sum;
    }
    const float *now = slow + count - width;
    double energy = mn_dot(now, now, width);
    if (energy < QUIET * width * dec * dec)
        return 0.0;
    float best = 0.0f;
    int at = 0;
    for (int l = low; l <= high; l++) {
        score[l] = correlation(now, now - l, width, energy);
        if (score[l] > best) {
            best = score[l];
            at = l;
        }
    }
    if (!at)
        return 0.0;
    for (int l = low + 1; l < at; l++)
        if (score[l] > NEAR * best && score[l] >= score[l - 1] && score[l] >= score[l + 1]) {
            at = l;
            break;
        }
    const float *last = x + n - window;
    double full = mn_dot(last, last, window);
    best = -1.0f;
    for (int l = (at - 1) * dec; l <= (at + 1) * dec; l++) {
        if (l < lag_min || l > lag_max)
            continue;
        float s = correlation(last, last - l, window, full);
        if (s > best) {
            best = s;
            *lag = l;
        }
    }
    /* a short period falls between two frames: two or three of it may not */
    int one = *lag;
    for (int many = 2; many <= 3; many++)
        for (int l = many * one - many; l <= many * one + many && l <= lag_max; l++) {
            float s = correlation(last, last - l, window, full);
            if (1.0f - s < BETTER * (1.0f - best)) {
                best = s;
                *lag = l;
            }
        }
    return best > 0.0f ? best : 0.0;
}

/* Predictor a[0..order): x[n] is about sum a[k] x[n - 1 - k]. */
static void predict(const float *x, int n, int order, double *a, float *windowed)
{
    int fall = n / 5;
    for (int i = 0; i < n; i++) {
        /* the newest sound matters most, yet an edge would smear the spectrum: a long rise, a short fall */
        double t = i < n - fall ? (i + 0.5) / (n - fall) : (n - i - 0.5) / fall;
        double w = sin(0.5 * MN_PI * t);
        windowed[i] = (float)(x[i] * w * w);
    }
    double r[ORDER_MAX + 1];
    for (int k = 0; k <= order; k++)
        r[k] = mn_dot(windowed, windowed + k, n - k);
    memset(a, 0, (size_t)order * sizeof *a);
    double error = r[0] * (1.0 + NOISE_FLOOR) + 1e-12;
    for (int i = 0; i < order; i++) {
        double next = r[i + 1];
        for (int k = 0; k < i; k++)
            next -= a[k] * r[i - k];
        next /= error;
        a[i] = next;
        for (int k = 0; 2 * k < i; k++) {
            double left = a[k], right = a[i - 1 - k];
            a[k] = left - next * right;
            a[i - 1 - k] = right - next * left;
        }
        error *= 1.0 - next * next;
    }
    double widen = 1.0;
    for (int k = 0; k < order; k++)
        a[k] *= widen *= WIDEN;
}

static float gaussian(uint32_t *seed)
{
    /* sum of four uniforms, variance 1 */
    float sum = 0.0f;
    for (int k = 0; k < 4; k++) {
        *seed = *seed * 1664525u + 1013904223u;
        sum += (float)(*seed >> 8) * (1.0f / 16777216.0f) - 0.5f;
    }
    return sum * 1.7320508f;
}

static double level(const float *x, int n)
{
    return n > 0 ? sqrt(mn_dot(x, x, n) / n) : 0.0;
}

/* Which of the last periods is said again: the last one for 10 ms, then the last two by turns, then three. */
static int turn(int round, int lag, double rate, int most)
{
    double ms = 1000.0 * round * lag / rate;
    int kinds = ms < 10.0 ? 1 : ms < 20.0 ? 2 : 3;
    if (kinds > most)
        kinds = most;
    return kinds - round % kinds;
}

/* One channel: `n` frames of history in x, `count` frames on from there in y[order..]. */
static void say_on(const float *x, int n, int order, int lag, float voiced, double rate, uint32_t seed, float *residual,
                   float *y, int64_t count)
{
    double a[ORDER_MAX];
    float taps[ORDER_MAX];
    int span = (int)(0.03 * rate) < n ? (int)(0.03 * rate) : n;
    predict(x + n - span, span, order, a, residual);
    for (int k = 0; k < order; k++)
        taps[order - 1 - k] = (float)a[k];
    for (int i = 0; i < n; i++)
        residual[i] = i < order ? 0.0f : x[i] - mn_dot(taps, x + i - order, order);
    int recent = (int)(0.01 * rate) < n ? (int)(0.01 * rate) : n, most = (n - order) / lag;
    float hiss = (float)level(residual + n - recent, recent) * sqrtf(1.0f - voiced * voiced);
    memcpy(y, x + n - order, (size_t)order * sizeof *y);
    for (int64_t i = 0; i < count; i++) {
        float e = hiss > 0.0f ? hiss * gaussian(&seed) : 0.0f;
        if (voiced > 0.0f && most > 0)
            e += voiced * residual[n - lag * turn((int)(i / lag), lag, rate, most) + i % lag];
        y[order + i] = e + mn_dot(taps, y + i, order);
    }
}

/* No stretch of a period is louder than the last one heard, no sample higher than the highest of them. */
static void restrain(const float *x, int n, int lag, float *y, int64_t count)
{
    int span = 2 * lag < n ? 2 * lag : n;
    double loud = level(x + n - span, span);
    float peak = 0.0f, gain = 1.0f;
    for (int i = 0; i < n; i++)
        peak = fabsf(x[i]) > peak ? fabsf(x[i]) : peak;
    for (int64_t from = 0; from < count; from += lag) {
        int width = count - from < lag ? (int)(count - from) : lag;
        double now = level(y + from, width);
        float next = now > loud && now > 0.0 ? (float)(loud / now) : 1.0f;
        for (int i = 0; i < width; i++) {
            float v = y[from + i] * (gain + (next - gain) * (float)(i + 1) / (float)width);
            y[from + i] = v > peak ? peak : v < -peak ? -peak : v;
        }
        gain = next;
    }
}

/* `n` frames of history, `count` frames on from there. `voiced` (0..1) is the share of repetition, the rest is noise;
 * the gain stays 1 for `hold` frames and is 0 after `fade` more. `work` has room for 2 n + order + count floats. */
MN_API void mn_conceal(const float *history, int64_t n, int channels, int order, int lag, double voiced, double rate,
                       uint32_t seed, int64_t hold, int64_t fade, float *work, float *out, int64_t count)
{
    float *x = work, *residual = work + n, *y = work + 2 * n;
    if (order > ORDER_MAX)
        order = ORDER_MAX;
    for (int c = 0; c < channels; c++) {
        for (int64_t i = 0; i < n; i++)
            x[i] = history[i * channels + c];
        say_on(x, (int)n, order, lag, (float)voiced, rate, seed + (uint32_t)c, residual, y, count);
        restrain(x, (int)n, lag, y + order, count);
        for (int64_t i = 0; i < count; i++) {
            double t = i < hold ? 0.0 : i < hold + fade ? (double)(i - hold + 1) / (double)(fade + 1) : 1.0;
            double gain = cos(0.5 * MN_PI * t);
            out[i * channels + c] = t < 1.0 ? mn_clean((float)(gain * gain) * y[order + i]) : 0.0f;
        }
    }
}
