/* Pitch and formant shifting of live speech: pitch-synchronous overlap-add with a fixed delay.
 *
 * Output time lags input time by `latency`. A grain centred on output position
 * t must be decided when the first frame of its window is due, so a voice of
 * period T leaves latency - T frames of foresight beyond t, which the tracker and
 * the marks use. Every decision happens at a frame count that follows from
 * earlier decisions alone, never from the length of a block.
 *
 * Source: E. Moulines and F. Charpentier, "Pitch-synchronous waveform processing
 * techniques for text-to-speech synthesis using diphones", Speech Communication
 * 9 (1990); formants by resampling the grain.
 */
#include "menura.h"

#include <math.h>
#include <string.h>

#define UNVOICED_SECONDS 0.005
#define RELOCK 0.02        /* of a period, by which unshifted grains return to their own place */
#define SLEW_ST 12.0       /* semitones per second of register adaptation */
#define SLEW_FIRST_ST 60.0 /* ... before the speaker was heard for SETTLED */
#define FREE 0.06          /* seconds of voiced speech up to which it may jump */
#define SETTLED 0.15
#define FOLLOW_LEAST 0.75
#define FOLLOW_MOST 1.35
#define NEARLY 0.03       /* of a period: the other mark does not matter */
#define LOUDEST 1.5        /* gain that keeps the level when pulses get rarer */

static double clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

static void layout(mn_shift *s, mn_arena *arena, double rate, int channels, double fmin, double fmax)
{
    memset(s, 0, sizeof *s);
    s->rate = rate;
    s->channels = channels;
    s->latency = (int64_t)ceil(2.0 * rate / fmin - 1e-6);
    s->unvoiced_step = floor(rate * UNVOICED_SECONDS);
    if (s->unvoiced_step > 0.2 * s->latency)
        s->unvoiced_step = floor(0.2 * s->latency);
    const int64_t history = 6 * s->latency;
    mn_pitch_layout(&s->pitch, arena, rate, fmin, fmax, history);
    mn_grains_layout(&s->grains, arena, rate < 30000 ? 16 : 8, (int)(2 * s->latency));
    mn_ring_take(&s->norm, arena, history);
    for (int c = 0; c < channels; c++) {
        mn_ring_take(&s->in[c], arena, history);
        mn_ring_take(&s->sum[c], arena, history);
    }
}

static mn_shift *state(void *memory)
{
    mn_arena arena = mn_arena_over(memory);
    return mn_take(&arena, sizeof(mn_shift));
}

MN_API int64_t mn_shift_size(double rate, int channels, double fmin, double fmax)
{
    mn_arena arena = mn_arena_over(NULL);
    mn_shift measured;
    mn_take(&arena, sizeof measured);
    layout(&measured, &arena, rate, channels, fmin, fmax);
    return (int64_t)arena.used;
}

/* As new, the settings apart. */
MN_API void mn_shift_reset(void *memory)
{
    mn_shift *s = state(memory);
    mn_pitch_begin(&s->pitch);
    mn_register_begin(&s->speaker, s->seed_hz);
    s->pitch.prior_hz = s->seed_hz;
    mn_ring_clear(&s->norm);
    for (int c = 0; c < s->channels; c++) {
        mn_ring_clear(&s->in[c]);
        mn_ring_clear(&s->sum[c]);
    }
    s->count = 0;
    s->adapted_st = 0.0;
    memset(&s->plan, 0, sizeof s->plan);
    s->plan.stretch = 1.0;
    s->plan.gain = 1.0f;
    s->left = s->unvoiced_step;
    s->next_event = s->latency - (int64_t)s->left;
    mn_marks_begin(s);
}

MN_API int64_t mn_shift_init(void *memory, double rate, int channels, double fmin, double fmax)
{
    mn_arena arena = mn_arena_over(memory);
    mn_shift *s = mn_take(&arena, sizeof *s);
    layout(s, &arena, rate, channels, fmin, fmax);
    s->set = (mn_shift_settings){0.0, 1.0, 0.0, 0.0, 1.0};
    mn_shift_reset(memory);
    return s->latency;
}

MN_API mn_shift_settings *mn_shift_set(void *memory) { return &state(memory)->set; }

MN_API void mn_shift_seed(void *memory, double hz, int keep)
{
    mn_shift *s = state(memory);
    if (keep)
        s->seed_hz = hz;
    mn_register_begin(&s->speaker, hz);
    s->pitch.prior_hz = hz;
}

MN_API double mn_shift_speaker(void *memory) { return state(memory)->speaker.median_hz; }

/* What was tracked since the last call, oldest first; at most `most` points. */
MN_API int mn_shift_track(void *memory, mn_track_point *out, int most)
{
    mn_shift *s = state(memory);
    if (s->track_count - s->track_read > MN_TRACK)
        s->track_read = s->track_count - MN_TRACK;
    int n = 0;
    for (; n < most && s->track_read < s->track_count; n++)
        out[n] = s->track[s->track_read++ % MN_TRACK];
    return n;
}

MN_API double mn_shift_f0(void *memory)
{
    const mn_shift *s = state(memory);
    return s->track[(s->track_count - 1) % MN_TRACK].f0_hz;
}

/* Formant factor in force, register adaptation included. */
static double formant_of(const mn_shift *s)
{
    const double follow = exp2(s->adapted_st / 12.0 * s->set.formant_follow);
    return clamp(s->set.formant * clamp(follow, FOLLOW_LEAST, FOLLOW_MOST), 0.5, 2.0);
}

static void adapt(mn_shift *s, double frames)
{
    const double known = s->speaker.median_hz, seconds = frames / s->rate;
    double goal = s->adapted_st;
    if (s->set.target_hz <= 0.0)
        goal = 0.0;
    else if (known > 0.0)
        goal = 12.0 * log2(s->set.target_hz / known);
    if (s->speaker.heard > FREE) {
        const double slew = s->speaker.heard < SETTLED ? SLEW_FIRST_ST : SLEW_ST;
        goal = clamp(goal, s->adapted_st - slew * seconds, s->adapted_st + slew * seconds);
    }
    s->adapted_st = goal;
}

/* Factor on the frequency of a voice whose period is now `period` frames. */
static double ratio_of(const mn_shift *s, double period)
{
    double ratio = exp2((s->set.pitch_st + s->adapted_st) / 12.0);
    const double known = s->speaker.median_hz;
    if (known > 0.0 && s->set.intonation != 1.0)
        ratio *= pow(s->rate / period / known, s->set.intonation - 1.0);
    if (fabs(ratio - 1.0) < 1e-9)
        return 1.0;
    return clamp(ratio, 0.5 * period / s->latency, 3000.0 * period / s->rate);
}

/* Where the output has run through one more period: input periods are added up, each
 * with its own ratio, so that a glide is followed through a long output period too. */
static double one_period_on(mn_shift *s, double at)
{
    double left = 1.0;
    for (;;) {
        const mn_mark *next;
        mn_marks_extend(s, at + 1e-3);
        const mn_mark *mark = mn_marks_before(s, at + 1e-6, &next);
        const double period = mark->voiced && next && next->voiced ? next->at - mark->at : mark->period;
        const double speed = ratio_of(s, period) / period;
        const double most = next && next->voiced ? next->at - at : 1e9;
        if (!mark->voiced || left <= speed * most)
            return at + left / speed;
        left -= speed * most;
        at = next->at;
    }
}

/* A pitched grain's window and gain, for a pulse of period `period` once every `out`.
 *
 * One input period to each side, as the window that separates pulses; longer
 * when pulses are further apart and a lower formant factor stretches them anyway.
 * With h the half length, f the stretch: the harmonics come out h / out times as
 * strong and f * period / out times as dense, so this gain keeps the power.
 */
static void shape(const mn_shift *s, mn_plan *plan, double period, double out)
{
    const double f = plan->stretch;
    double half = f > 1.0 ? period / f : period;
    const double stretched = out < period / f ? out : period / f;
    if (half < stretched)
        half = stretched;
    if (half > 2.0 * out)
        half = 2.0 * out;
    half = clamp(half, 2.0, s->latency / (1.0 + f));
    plan->half = half;
    plan->period = out;
    const double spread = half > out ? out : half;
    plan->gain = (float)clamp(sqrt(period * out / f) / spread, 0.5, LOUDEST);
}

/* Unshifted grains belong on their own marks: return to them inaudibly. */
static double relocked(double at, const mn_mark *mark, const mn_mark *next)
{
    const double period = next->at - mark->at, off = at - mark->at;
    const double home = off < 0.5 * period ? -off : period - off;
    return at + period + clamp(home, -RELOCK * period, RELOCK * period);
}

/* The grain after the present one. */
static mn_plan follow(mn_shift *s)
{
    const double now = s->plan.at;
    mn_plan plan = {.stretch = formant_of(s), .gain = 1.0f};
    const mn_mark *next;
    mn_marks_extend(s, now + 1e-3);
    const mn_mark *mark = mn_marks_before(s, now + 1e-6, &next);
    const double period = mark->voiced && next ? next->at - mark->at : mark->period;
    const int on_mark = now - mark->at < 1e-6;
    const int same = ratio_of(s, period) == 1.0;
    if (same && plan.stretch == 1.0 && (on_mark || s->plan.own)) {
        const double gap = next ? next->at - now : s->unvoiced_step;
        plan.at = gap > 0.4 * s->latency ? now + 0.5 * gap : now + gap; /* windows reach no further */
        plan.own = 1;
        return plan;
    }
    if (mark->voiced && (!next || next->voiced) && !(s->plan.own && !on_mark && next)) {
        plan.at = same && next ? relocked(now, mark, next) : one_period_on(s, now);
        shape(s, &plan, period, same ? period : plan.at - now);
        return plan;
    }
    if (next->at - now < 0.4 * s->unvoiced_step) {
        const double beyond = next->at;
        if (mn_marks_extend(s, beyond))
            mn_marks_before(s, beyond, &next);
    }
    plan.at = next->at;
    if (next->voiced)
        shape(s, &plan, next->period, next->period / ratio_of(s, next->period));
    return plan;
}

/* Between two marks a grain is mixed from both periods: repeating one, then the other,
 * would leave a trace of the old pitch. */
static void add(mn_shift *s, const mn_plan *plan, double right)
{
    double other = 0.0;
    mn_grain grain = {.at = plan->at, .from = plan->at, .left = s->left, .right = right,
                      .stretch = plan->stretch, .share = 1.0f, .gain = plan->gain};
    const int64_t free = s->count - s->latency;
    if (!plan->own)
        grain.from = mn_marks_source(s, plan->at, plan->stretch, right, &other);
    if (other > 0.0) {
        const double part = (plan->at - grain.from) / (other - grain.from);
        mn_grain second = grain;
        second.from = other;
        second.share = (float)part;
        grain.share = 1.0f - second.share;
        if (part > NEARLY)
            mn_grains_add(&s->grains, &second, free, s->channels, s->in, s->sum, &s->norm);
        else
            grain.share = 1.0f;
    }
    mn_grains_add(&s->grains, &grain, free, s->channels, s->in, s->sum, &s->norm);
}

static void event(mn_shift *s)
{
    while (mn_pitch_step(&s->pitch)) {
    }
    const mn_plan now = s->plan, next = follow(s);
    const double gap = next.at - now.at;
    const int pitched = now.half > 0.0 && next.half > 0.0;
    double right = pitched ? now.half : gap;
    if (right > (s->latency - s->left) / now.stretch)
        right = (s->latency - s->left) / now.stretch;
    mn_marks_extend(s, now.at + 0.5 * gap);
    add(s, &now, right);
    adapt(s, gap);
    s->plan = next;
    s->left = pitched ? next.half : gap;
    const double most = s->latency / (1.0 + next.stretch);
    if (s->left > most)
        s->left = most;
    if (s->left > next.at - (double)(s->count - s->latency))
        s->left = next.at - (double)(s->count - s->latency);
    s->next_event = (int64_t)floor(next.at - s->left) + s->latency;
}

/* The next frames out, up to the next event; the same number in. */
static void carry(mn_shift *s, const float *in, float *out, int n)
{
    float mono[256];
    for (int done = 0; done < n;) {
        const int m = n - done < 256 ? n - done : 256;
        memset(mono, 0, sizeof mono);
        for (int c = 0; c < s->channels; c++) {
            const float share = 1.0f / (float)s->channels;
            for (int i = 0; i < m; i++) {
                const float x = mn_clean(in[(done + i) * s->channels + c]);
                mn_ring_put(&s->in[c], s->count + i, x);
                mono[i] += share * x;
            }
        }
        mn_pitch_push(&s->pitch, mono, m);
        for (int i = 0; i < m; i++) {
            const int64_t at = (s->count + i - s->latency) & (s->norm.size - 1);
            const float norm = s->norm.data[at];
            s->norm.data[at] = 0.0f;
            for (int c = 0; c < s->channels; c++) {
                const float sum = s->sum[c].data[at];
                s->sum[c].data[at] = 0.0f;
                out[(done + i) * s->channels + c] = norm > 1.0f ? sum / norm : sum;
            }
        }
        s->count += m;
        done += m;
    }
}

/* `n` frames of interleaved audio in, as many out, `latency` frames late. */
MN_API void mn_shift_process(void *memory, const float *in, float *out, int64_t n)
{
    mn_shift *s = state(memory);
    for (int64_t done = 0; done < n;) {
        int64_t m = s->next_event - s->count;
        if (m > n - done)
            m = n - done;
        carry(s, in + done * s->channels, out + done * s->channels, (int)m);
        done += m;
        while (s->count >= s->next_event)
            event(s);
    }
}
