/* Gate, compressor and look-ahead limiter. One gain serves all channels, so that the stereo image stays. */
#include <math.h>

#include "export.h"

#define TINY 1e-30 /* what decays further is zero, or it would become subnormal and slow */

/* y gets the values of a one-pole glide from *value to target; it arrives when float cannot tell them apart. */
MN_API void mn_glide(float *y, int64_t frames, double *value, double target, double step)
{
    double v = *value, near = 1e-8 * (fabs(target) > 1e-3 ? fabs(target) : 1e-3);
    for (int64_t n = 0; n < frames; n++) {
        v += step * (target - v);
        if (fabs(target - v) < near) v = target;
        y[n] = (float)v;
    }
    *value = v;
}

static float peak_of(const float *x, int channels)
{
    float p = 0;
    for (int c = 0; c < channels; c++) {
        float v = fabsf(x[c]);
        if (v > p) p = v;
    }
    return p;
}

typedef struct {
    double envelope, gain;
    int64_t hold;
    int open;
} gate_state;

MN_API size_t mn_gate_size(void) { return sizeof(gate_state); }

/* opens above `open`, closes `hold` frames after falling below `close` (linear levels); detector, rise and fall are one-pole
 * coefficients per frame; `floor` is the gain when closed. In place. */
MN_API void mn_gate(float *x, int64_t frames, int channels, void *memory, double detector, double open, double close,
                    int64_t hold, double rise, double fall, double floor)
{
    gate_state *s = memory;
    for (int64_t n = 0; n < frames; n++, x += channels) {
        double p = 0;
        for (int c = 0; c < channels; c++) p += (double)x[c] * x[c];
        s->envelope += detector * (p / channels - s->envelope);
        if (s->envelope < TINY) s->envelope = 0;
        if (s->envelope > open * open) {
            s->open = 1;
            s->hold = hold;
        } else if (s->envelope > close * close && s->open) {
            s->hold = hold;
        } else if (s->hold > 0) {
            s->hold--;
        } else {
            s->open = 0;
        }
        double target = s->open ? 1.0 : floor;
        s->gain += (target > s->gain ? rise : fall) * (target - s->gain);
        if (s->gain < TINY) s->gain = 0;
        for (int c = 0; c < channels; c++) x[c] = (float)(x[c] * s->gain);
    }
}

typedef struct {
    double level_db;
} compressor_state;

MN_API size_t mn_compressor_size(void) { return sizeof(compressor_state); }

/* Feed-forward, soft knee, peak-detecting in the log domain with branching smoothing. `slope` = 1 - 1/ratio. In place. */
MN_API void mn_compressor(float *x, int64_t frames, int channels, void *memory, double threshold_db, double slope,
                          double knee_db, double attack, double release, double makeup)
{
    compressor_state *s = memory;
    for (int64_t n = 0; n < frames; n++, x += channels) {
        double level = 20.0 * log10((double)peak_of(x, channels) + 1e-6), over = level - threshold_db, cut;
        if (2.0 * over < -knee_db)
            cut = 0.0;
        else if (2.0 * over > knee_db)
            cut = slope * over;
        else
            cut = slope * (over + knee_db / 2.0) * (over + knee_db / 2.0) / (2.0 * knee_db);
        s->level_db += (cut > s->level_db ? attack : release) * (cut - s->level_db);
        if (s->level_db < TINY) s->level_db = 0;
        double gain = makeup * exp(-0.11512925464970229 * s->level_db);
        for (int c = 0; c < channels; c++) x[c] = (float)(x[c] * gain);
    }
}

/* Look-ahead limiter: the gain each frame needs, its minimum over the look-ahead window, then a moving average as long as the
 * window, so that the gain has arrived where it must when the peak does. Gains are Q30 integers: the running sum is exact.
 * Memory: the state, then per slot a needed gain with its position, a held gain, and `window` frames of audio. */
#define ONE (1 << 30)

typedef struct {
    int64_t at, head, tail, sum;
    double held;
} limiter_state;

typedef struct {
    int64_t when;
    double need;
} needed;

MN_API size_t mn_limiter_size(int window, int channels)
{
    return sizeof(limiter_state) + ((size_t)window + 1) * sizeof(needed) + (size_t)window * sizeof(int64_t) +
           (size_t)window * channels * sizeof(float);
}

MN_API void mn_limiter_init(void *memory, int window, int channels)
{
    limiter_state *s = memory;
    needed *queue = (needed *)(s + 1);
    int64_t *gains = (int64_t *)(queue + window + 1);
    float *audio = (float *)(gains + window);
    s->at = s->head = s->tail = 0;
    s->sum = (int64_t)ONE * window;
    s->held = 1.0;
    for (int i = 0; i < window; i++) gains[i] = ONE;
    for (size_t i = 0; i < (size_t)window * channels; i++) audio[i] = 0.0f;
}

MN_API void mn_limiter(const float *x, float *y, int64_t frames, int channels, void *memory, int window, double ceiling,
                       double release)
{
    limiter_state *s = memory;
    int64_t slots = (int64_t)window + 1;
    needed *queue = (needed *)(s + 1);
    int64_t *gains = (int64_t *)(queue + slots);
    float *audio = (float *)(gains + window), top = (float)ceiling;
    for (int64_t n = 0; n < frames; n++, x += channels, y += channels) {
        double p = peak_of(x, channels), need = p > ceiling ? ceiling / p : 1.0;
        /* minimum over the last window + 1 frames, by a monotonic queue */
        while (s->tail > s->head && queue[(s->tail - 1) % slots].need >= need) s->tail--;
        queue[s->tail % slots] = (needed){s->at, need};
        s->tail++;
        if (queue[s->head % slots].when < s->at - window) s->head++;
        double low = queue[s->head % slots].need;
        /* falls at once, recovers slowly */
        s->held = low - s->held < 1e-6 ? low : s->held + release * (low - s->held);
        int64_t slot = s->at % window, gain = (int64_t)(s->held * ONE);
        s->sum += gain - gains[slot];
        gains[slot] = gain;
        float *delayed = audio + slot * channels;
        float factor = (float)((double)s->sum / ((double)ONE * window));
        for (int c = 0; c < channels; c++) {
            float v = delayed[c] * factor;
            delayed[c] = x[c]; /* before y, which may be x */
            y[c] = v > top ? top : v < -top ? -top : v; /* what rounding leaves above */
        }
        s->at++;
    }
}
