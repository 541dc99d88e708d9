/* Reading at a speed that is nearly one and may change at any frame.
 *
 * Position and speed are fixed-point integers: they add up exactly however the output is cut, for ever.
 */
#include "menura.h"

#define FRACTION 40 /* bits; positions count from the first frame held, so 23 bits are left for whole frames */
#define TAPS_MAX 128
#define ONE ((int64_t)1 << FRACTION)

typedef struct {
    int64_t at;     /* of the next output, in frames held */
    int64_t speed;  /* input frames per output frame */
    int64_t target; /* where speed goes, by at most `slew` per frame */
    int64_t slew;
} mn_speed;

static inline int64_t advance(int64_t at, int64_t *speed, int64_t target, int64_t slew)
{
    int64_t missing = target - *speed;
    *speed += missing > slew ? slew : missing < -slew ? -slew : missing;
    return at + *speed;
}

/* Position, whole frames rounded down, of the last of `count` outputs to come. */
MN_API int64_t mn_varispeed_reach(const mn_speed *state, int64_t count)
{
    int64_t at = state->at, speed = state->speed;
    int64_t k = 1;
    for (; k < count && speed != state->target; k++)
        at = advance(at, &speed, state->target, state->slew);
    if (k < count)
        at += (count - k) * speed;
    return at >> FRACTION;
}

/* Inner product with a row blended of two. */
static inline float between(const float *in, int stride, const float *h0, const float *h1, int taps, float blend)
{
    float row[TAPS_MAX], frames[TAPS_MAX];
    for (int t = 0; t < taps; t++)
        row[t] = h0[t] + blend * (h1[t] - h0[t]);
    if (stride == 1)
        return mn_dot(in, row, taps);
    for (int t = 0; t < taps; t++)
        frames[t] = in[t * stride];
    return mn_dot(frames, row, taps);
}

/* `count` frames from x, whose first tap for the output at whole frame w is frame w + 1 - half. The table has rows + 1
 * phases of 2 * half taps, at most 128; phase 0 is the frame itself. */
MN_API void mn_varispeed(mn_speed *state, const float *x, int channels, const float *table, int half, int rows,
                         int64_t count, float *y)
{
    const int taps = 2 * half;
    const double unit = (double)rows / (double)ONE;
    for (int64_t k = 0; k < count; k++) {
        int64_t whole = state->at >> FRACTION, rest = state->at & (ONE - 1);
        double row = (double)rest * unit;
        int r = (int)row;
        float blend = (float)(row - r);
        const float *h0 = table + (size_t)r * taps, *h1 = h0 + taps;
        const float *in = x + (whole + 1 - half) * channels;
        if (!rest)
            for (int c = 0; c < channels; c++)
                *y++ = x[whole * channels + c];
        else
            for (int c = 0; c < channels; c++)
                *y++ = between(in + c, channels, h0, h1, taps, blend);
        state->at = advance(state->at, &state->speed, state->target, state->slew);
    }
}

/* `frames` held in front were given up. */
MN_API void mn_varispeed_drop(mn_speed *state, int64_t frames)
{
    state->at -= frames << FRACTION;
}
