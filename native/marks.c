/* Pitch marks: one per period of the input, a fixed number of frames apart where unvoiced.
 *
 * Each mark is found from the one before by correlation, so successive marks
 * sit at the same phase of the waveform and their distance is the period. They
 * are made only when a grain needs them: the later, the more the tracker has heard.
 */
#include "menura.h"

#include <math.h>

#define SURE 0.6f /* correlation from which a period counts for the speaker's register */

static mn_mark *mark_at(const mn_shift *s, int64_t index)
{
    return (mn_mark *)&s->marks[index % MN_MARKS];
}

static void add(mn_shift *s, double at, double period, int voiced, float strength)
{
    mn_mark *mark = mark_at(s, s->mark_count++);
    mark->at = at;
    mark->period = period;
    mark->voiced = voiced;
    mark->strength = strength;
    const double f0 = voiced ? s->rate / period : 0.0;
    mn_track_point *point = &s->track[s->track_count++ % MN_TRACK];
    point->position = at;
    point->f0_hz = f0;
    point->strength = strength;
    if (voiced && strength > SURE) {
        mn_register_hear(&s->speaker, f0, period / s->rate);
        if (s->speaker.total > 0.5)
            s->pitch.prior_hz = s->speaker.median_hz;
    }
}

void mn_marks_begin(mn_shift *s)
{
    s->mark_count = s->track_count = s->track_read = 0;
    add(s, 0.0, s->unvoiced_step, 0, 0.0f);
}

/* From an unvoiced mark: go on, or begin voicing at the first strong pulse. */
static void add_after_unvoiced(mn_shift *s, const mn_mark *last)
{
    const double step = s->unvoiced_step;
    float strength;
    const double period = mn_pitch_period(&s->pitch, last->at + step, &strength);
    const double from = last->at + 0.5 * step;
    if (period > 0.0 && from + period + 0.001 * s->rate < (double)(s->count - s->pitch.delay)) {
        const double pulse = mn_pitch_peak(&s->pitch, from, period);
        if (pulse - last->at > 2.0 * step) /* further than windows reach */
            add(s, 0.5 * (last->at + pulse), step, 0, 0.0f);
        add(s, pulse, period, 1, strength);
    } else {
        add(s, last->at + step, step, 0, 0.0f);
    }
}

static int add_after_voiced(mn_shift *s, const mn_mark *last)
{
    float strength;
    const double period = mn_pitch_period(&s->pitch, last->at + 0.5 * last->period, &strength);
    if (period <= 0.0) {
        const double most = 2.0 * s->unvoiced_step;
        add(s, last->at + (last->period < most ? last->period : most), s->unvoiced_step, 0, 0.0f);
        return 1;
    }
    const double next = mn_pitch_next(&s->pitch, last->at, period, &strength);
    if (next <= 0.0)
        return 0;
    add(s, next, next - last->at, 1, strength);
    return 1;
}

/* Marks beyond `until`; 0 when the input does not reach that far yet. */
int mn_marks_extend(mn_shift *s, double until)
{
    for (;;) {
        const mn_mark last = *mark_at(s, s->mark_count - 1);
        if (last.at > until)
            return 1;
        if (!last.voiced)
            add_after_unvoiced(s, &last);
        else if (!add_after_voiced(s, &last))
            return 0;
    }
}

static int64_t oldest(const mn_shift *s)
{
    return s->mark_count > MN_MARKS ? s->mark_count - MN_MARKS : 0;
}

/* Last mark at or before `position`; `next` is the one after it, or NULL. */
const mn_mark *mn_marks_before(const mn_shift *s, double position, const mn_mark **next)
{
    int64_t index = s->mark_count - 1;
    while (index > oldest(s) && mark_at(s, index)->at > position)
        index--;
    *next = index + 1 < s->mark_count ? mark_at(s, index + 1) : NULL;
    return mark_at(s, index);
}

/* Whether a grain may read about `mark`: a grain copied in place needs no neighbours
 * to interpolate with. */
static int readable(const mn_shift *s, double mark, double at, double stretch, double right)
{
    const int copied = fabs(mark - at) < 1e-6 && fabs(stretch - 1.0) < 1e-9;
    const int reach = copied ? 0 : mn_grains_reach(&s->grains, stretch);
    return mark + reach + stretch * right <= (double)s->count;
}

/* Centre of the input a grain at `at` should read: the last mark before it whose
 * input is there. `other`: the one after, if both are voiced and it is there too;
 * else the nearer of the two is returned, and `other` is 0. */
double mn_marks_source(const mn_shift *s, double at, double stretch, double right, double *other)
{
    *other = 0.0;
    const mn_mark *after = NULL;
    for (int64_t index = s->mark_count - 1; index >= oldest(s); index--) {
        const mn_mark *mark = mark_at(s, index);
        if (!readable(s, mark->at, at, stretch, right))
            continue;
        if (mark->at > at + 1e-6) {
            after = mark;
            continue;
        }
        if (!after)
            return mark->at;
        if (mark->voiced && after->voiced) {
            *other = after->at;
            return mark->at;
        }
        return at - mark->at <= after->at - at ? mark->at : after->at;
    }
    return after ? after->at : mark_at(s, oldest(s))->at;
}
