/* Energy detectors of voice activity: one probability for each hop, whatever the cuts of the input.
 *
 * Fixed: the RMS level of a hop against a threshold.
 *
 * Adaptive: the signal is brought to 8..16 kHz by averaging, high-passed and split into four bands of speech. In each
 * band the noise is the minimum of the smoothed power over the last seconds (minimum statistics: R. Martin, "Noise power
 * spectral density estimation based on optimal smoothing and minimum statistics", IEEE Trans. Speech Audio Process. 9(5),
 * 2001, here with a fixed smoothing and bias): it follows noise that falls at once, noise that rises within the window,
 * and speech not at all, as speech pauses in every band more often than that. What counts is the lesser power of two hops,
 * so that a click is no evidence. The mean over the bands of its decibels above the noise, each up to a limit so that no
 * single band decides, goes through a smoothing that rises fast and falls slowly, and a logistic curve.
 */
#include "export.h"
#include <math.h>
#include <string.h>

#define BANDS 4
#define SLOTS 8

typedef float band4 __attribute__((vector_size(16)));

typedef struct {
    /* settings */
    int32_t hop, adaptive, dec, slot_hops;
    int32_t pair, spare;      /* evidence must last two hops */
    double threshold_power;   /* fixed: of the level from which sound is speech */
    double keep, rise, fall;  /* smoothing factors for a hop: of power; of evidence upwards, downwards */
    double limit_db, slope, middle_db, bias_db, quiet_power, start_power;
    float b0[BANDS], a1[BANDS], a2[BANDS];
    float h0, h1, h2;         /* high-pass: gain, -a1, -a2 */
    /* the hop so far */
    int64_t filled, squares;
    double sum;
    /* decimation and filters */
    int32_t phase, spared;
    float box, hx1, hx2, hy1, hy2, x1, x2;
    float y1[BANDS], y2[BANDS];
    float power[BANDS], decimated;
    /* noise */
    double last[BANDS], smooth[BANDS], lowest[SLOTS][BANDS], now[BANDS];
    int64_t hops;
    double evidence;
    /* figures of the last hop */
    double level, floor, probability;
} mn_vad;

MN_API int64_t mn_vad_size(void) { return sizeof(mn_vad); }

MN_API void mn_vad_reset(mn_vad *v) {
    v->filled = v->squares = 0;
    v->sum = 0.0;
    v->phase = 0;
    v->box = v->hx1 = v->hx2 = v->hy1 = v->hy2 = v->x1 = v->x2 = 0.0f;
    memset(v->y1, 0, sizeof v->y1);
    memset(v->y2, 0, sizeof v->y2);
    memset(v->power, 0, sizeof v->power);
    v->decimated = 0.0f;
    v->hops = 0;
    for (int b = 0; b < BANDS; b++) {
        v->smooth[b] = -1.0;
        v->last[b] = 0.0;
        v->now[b] = INFINITY;
        for (int s = 0; s < SLOTS; s++) v->lowest[s][b] = v->start_power;
    }
    v->evidence = v->level = v->floor = v->probability = 0.0;
}

/* settings: threshold, power/rise/fall time constants s, limit dB, slope 1/dB, middle dB, bias dB, quiet dBFS, window s,
 * low and high band centre Hz, quality, high-pass Hz, level at which noise is assumed to be before it is known dBFS, whether
 * evidence must last two hops */
MN_API void mn_vad_init(mn_vad *v, int32_t rate, int32_t hop, int32_t adaptive, const double *set) {
    memset(v, 0, sizeof *v);
    double hop_s = (double)hop / rate;
    v->hop = hop;
    v->adaptive = adaptive;
    v->threshold_power = set[0] * set[0];
    v->keep = exp(-hop_s / set[1]);
    v->rise = exp(-hop_s / set[2]);
    v->fall = exp(-hop_s / set[3]);
    v->limit_db = set[4];
    v->slope = set[5];
    v->middle_db = set[6];
    v->bias_db = set[7];
    v->quiet_power = pow(10.0, set[8] / 10.0);
    v->slot_hops = (int32_t)(set[9] / SLOTS / hop_s + 0.5);
    if (v->slot_hops < 1) v->slot_hops = 1;
    v->dec = rate / 8000;
    double low_rate = (double)rate / v->dec;
    for (int b = 0; b < BANDS; b++) { /* band-pass with 0 dB at its centre, by the bilinear transform */
        double centre = set[10] * pow(set[11] / set[10], b / (BANDS - 1.0));
        double w = 2.0 * MN_PI * centre / low_rate, alpha = sin(w) / (2.0 * set[12]);
        v->b0[b] = (float)(alpha / (1.0 + alpha));
        v->a1[b] = (float)(-2.0 * cos(w) / (1.0 + alpha));
        v->a2[b] = (float)((1.0 - alpha) / (1.0 + alpha));
    }
    double w = 2.0 * MN_PI * set[13] / low_rate, alpha = sin(w) / sqrt(2.0);
    v->h0 = (float)((1.0 + cos(w)) / 2.0 / (1.0 + alpha));
    v->h1 = (float)(2.0 * cos(w) / (1.0 + alpha));
    v->h2 = (float)(-(1.0 - alpha) / (1.0 + alpha));
    v->start_power = pow(10.0, set[14] / 10.0);
    v->pair = set[15] != 0.0;
    mn_vad_reset(v);
}

static double decide_fixed(mn_vad *v, double power) {
    if (power <= 0.0) return 0.0;
    return power / (power + v->threshold_power);
}

static double decide_adaptive(mn_vad *v) {
    double total = 0.0, quietest = 0.0;
    int64_t slot = v->hops / v->slot_hops % SLOTS;
    int turned = v->hops % v->slot_hops == 0; /* a new slot begins; what the oldest held is forgotten with it */
    for (int b = 0; b < BANDS; b++) {
        double power = v->power[b] / (v->decimated > 0.0f ? v->decimated : 1.0f) + v->quiet_power;
        double s = v->smooth[b] < 0.0 ? power : v->keep * v->smooth[b] + (1.0 - v->keep) * power;
        v->smooth[b] = s;
        if (turned) {
            if (v->hops) v->lowest[(slot + SLOTS - 1) % SLOTS][b] = v->now[b];
            v->now[b] = s;
        } else if (s < v->now[b]) {
            v->now[b] = s;
        }
        double floor = v->now[b];
        for (int k = 0; k < SLOTS; k++) floor = v->lowest[k][b] < floor ? v->lowest[k][b] : floor;
        double lasting = v->pair && v->last[b] < power ? v->last[b] : power;
        v->last[b] = power;
        double above = 10.0 * log10(lasting / floor) - v->bias_db;
        total += above < 0.0 ? 0.0 : above > v->limit_db ? v->limit_db : above;
        quietest += floor;
    }
    double mean = total / BANDS, factor = mean > v->evidence ? v->rise : v->fall;
    v->evidence = factor * v->evidence + (1.0 - factor) * mean;
    v->floor = sqrt(quietest);
    if (fabsf(v->y1[0]) + fabsf(v->y1[1]) + fabsf(v->y1[2]) + fabsf(v->y1[3]) + fabsf(v->hy1) < 1e-12f) {
        memset(v->y1, 0, sizeof v->y1); /* what has died away is not left to become denormal */
        memset(v->y2, 0, sizeof v->y2);
        v->hy1 = v->hy2 = 0.0f;
    }
    return 1.0 / (1.0 + exp(-v->slope * (v->evidence - v->middle_db)));
}

static double end_hop(mn_vad *v) {
    double power = ((double)v->squares / 1073741824.0 + v->sum) / v->hop;
    v->level = sqrt(power);
    v->probability = v->adaptive ? decide_adaptive(v) : decide_fixed(v, power);
    v->hops++;
    v->filled = v->squares = 0;
    v->sum = 0.0;
    v->decimated = 0.0f;
    memset(v->power, 0, sizeof v->power);
    return v->probability;
}

/* One decimated sample after the other: high-pass, then the bands side by side. */
static void split(mn_vad *v, const float *x, int32_t n) {
    float hx1 = v->hx1, hx2 = v->hx2, hy1 = v->hy1, hy2 = v->hy2, x1 = v->x1, x2 = v->x2;
    band4 y1, y2, b0, a1, a2, power;
    memcpy(&power, v->power, sizeof power);
    memcpy(&y1, v->y1, sizeof y1);
    memcpy(&y2, v->y2, sizeof y2);
    memcpy(&b0, v->b0, sizeof b0);
    memcpy(&a1, v->a1, sizeof a1);
    memcpy(&a2, v->a2, sizeof a2);
    for (int32_t i = 0; i < n; i++) {
        float h = (v->h0 * (x[i] - hx1 - hx1 + hx2) + v->h2 * hy2) + v->h1 * hy1;
        hx2 = hx1;
        hx1 = x[i];
        hy2 = hy1;
        hy1 = h;
        band4 y = (b0 * (h - x2) - a2 * y2) - a1 * y1; /* only the last product waits for the sample before */
        x2 = x1;
        x1 = h;
        y2 = y1;
        y1 = y;
        power += y * y;
    }
    v->hx1 = hx1, v->hx2 = hx2, v->hy1 = hy1, v->hy2 = hy2, v->x1 = x1, v->x2 = x2;
    memcpy(v->y1, &y1, sizeof y1);
    memcpy(v->y2, &y2, sizeof y2);
    memcpy(v->power, &power, sizeof power); /* carried on, so that the cuts change no rounding */
    v->decimated += (float)n;
}

#define BLOCK 512

/* Means of `dec` samples, of a run that begins where a mean does. */
static inline int32_t average(const float *x, int32_t means, const int32_t dec, float scale, float *low) {
    for (int32_t i = 0; i < means; i++) {
        float box = x[i * dec];
        for (int32_t k = 1; k < dec; k++) box += x[i * dec + k];
        low[i] = box * scale;
    }
    return means;
}

/* A run of at most BLOCK samples. */
static void listen(mn_vad *v, const float *x, int32_t n) {
    float low[BLOCK], scale = 1.0f / (float)v->dec;
    int32_t made = 0, used = 0, dec = v->dec;
    while (v->phase && used < n) {
        v->box += x[used++];
        if (++v->phase < dec) continue;
        low[made++] = v->box * scale;
        v->phase = 0;
    }
    int32_t means = (n - used) / dec;
    switch (dec) { /* the usual rates, with the inner loop laid out */
    case 1: made += average(x + used, means, 1, scale, low + made); break;
    case 2: made += average(x + used, means, 2, scale, low + made); break;
    case 3: made += average(x + used, means, 3, scale, low + made); break;
    case 6: made += average(x + used, means, 6, scale, low + made); break;
    default: made += average(x + used, means, dec, scale, low + made);
    }
    used += means * dec;
    for (; used < n; used++) {
        v->box = v->phase ? v->box + x[used] : x[used];
        v->phase++;
    }
    split(v, low, made);
}

static void take_int(mn_vad *v, const uint8_t *bytes, int32_t n) {
    int16_t x[BLOCK];
    int64_t squares = 0;
    memcpy(x, bytes, 2 * (size_t)n);
    for (int32_t i = 0; i < n; i++) squares += (uint32_t)(x[i] * x[i]);
    v->squares += squares;
    if (!v->adaptive) return;
    float y[BLOCK];
    for (int32_t i = 0; i < n; i++) y[i] = (float)x[i] * (1.0f / 32768.0f);
    listen(v, y, n);
}

static void take_float(mn_vad *v, const float *x, int32_t n) {
    double sum = v->sum;
    for (int32_t i = 0; i < n; i++) sum += (double)x[i] * x[i];
    v->sum = sum;
    if (v->adaptive) listen(v, x, n);
}

static int32_t run(mn_vad *v, const void *data, int is_int, int64_t frames, double *out) {
    int32_t hops = 0;
    for (int64_t at = 0; at < frames;) {
        int64_t left = v->hop - v->filled, n = frames - at < left ? frames - at : left;
        if (n > BLOCK) n = BLOCK;
        if (is_int) take_int(v, (const uint8_t *)data + 2 * at, (int32_t)n);
        else take_float(v, (const float *)data + at, (int32_t)n);
        at += n;
        v->filled += n;
        if (v->filled == v->hop) out[hops++] = end_hop(v);
    }
    return hops;
}

/* Probability of each hop that ends within these frames; returns how many. */
MN_API int32_t mn_vad_pcm16(mn_vad *v, const void *data, int64_t frames, double *out) {
    return run(v, data, 1, frames, out);
}

MN_API int32_t mn_vad_float(mn_vad *v, const float *data, int64_t frames, double *out) {
    return run(v, data, 0, frames, out);
}

/* level RMS, noise RMS (0 where none is known), probability: of the last hop */
MN_API void mn_vad_figures(const mn_vad *v, double *out) {
    out[0] = v->level;
    out[1] = v->floor;
    out[2] = v->probability;
}
