/* The choice among pitch candidates: online dynamic programming.
 *
 * A path costs 1 - correlation at each voiced hop and a constant at each
 * unvoiced one, plus the log-frequency it jumps over; it is read back from the
 * cheapest end of the newest hop, so what a position is said to be is decided
 * with all that was heard until the caller had to know.
 */
#include "menura.h"

#include <math.h>

#define UNVOICED 0.6f      /* cost of an unvoiced hop: voiced above correlation 0.4 */
#define SWITCH 0.25f       /* voiced to unvoiced or back */
#define GLIDE 1.0f         /* per octave moved between two hops */
#define JUMP 0.6f          /* at most */
#define LONG_LAG 0.03f     /* per octave of lag: twice the period correlates as well */
#define BELOW 0.1f         /* periods beyond 1 / fmin are seen through too short a window */
#define UNUSUAL 0.08f      /* per octave beyond what this speaker uses */
#define USUAL 0.5f         /* octaves about the speaker's median that cost nothing */

static float local_cost(const mn_pitch *p, const mn_hop *hop, int i)
{
    if (i == 0)
        return UNVOICED;
    float octaves = log2f(hop->lag[i] * (float)(p->fmax / p->rate));
    float cost = 1.0f - hop->voicing * hop->peak[i] + LONG_LAG * octaves;
    if (hop->lag[i] * p->fmin > p->rate)
        cost += BELOW;
    if (p->prior_hz > 0.0) {
        float away = fabsf(log2f(hop->lag[i] * (float)(p->prior_hz / p->rate))) - USUAL;
        if (away > 0.0f)
            cost += UNUSUAL * away;
    }
    return cost;
}

void mn_viterbi_step(const mn_pitch *p, mn_hop *hop, const mn_hop *last)
{
    float lowest = 1e30f;
    for (int i = 0; i < hop->count; i++) {
        float best = 0.0f;
        hop->from[i] = 0;
        for (int k = 0; last && k < last->count; k++) {
            float step = last->cost[k];
            if (i && k) {
                float glide = GLIDE * fabsf(log2f(hop->lag[i] / last->lag[k]));
                step += glide < JUMP ? glide : JUMP;
            } else if (i || k) {
                step += SWITCH;
            }
            if (k == 0 || step < best) {
                best = step;
                hop->from[i] = k;
            }
        }
        hop->cost[i] = best + local_cost(p, hop, i);
        if (hop->cost[i] < lowest)
            lowest = hop->cost[i];
    }
    for (int i = 0; i < hop->count; i++)
        hop->cost[i] -= lowest; /* only differences matter; sums must not grow */
}

/* Period at `position` as far as can be told now, 0 if unvoiced. */
double mn_pitch_period(const mn_pitch *p, double position, float *strength)
{
    int64_t newest = p->hop_count - 1;
    int64_t wanted = (int64_t)floor(position / p->hop + 0.5);
    *strength = 0.0f;
    if (newest < 0)
        return 0.0;
    if (wanted <= newest - MN_HOPS + 1)
        wanted = newest - MN_HOPS + 2;
    if (wanted < 0)
        wanted = 0;
    const mn_hop *hop = &p->hops[newest % MN_HOPS];
    int best = 0;
    for (int i = 1; i < hop->count; i++)
        if (hop->cost[i] < hop->cost[best])
            best = i;
    for (; newest > wanted; newest--) {
        best = hop->from[best];
        hop = &p->hops[(newest - 1) % MN_HOPS];
    }
    *strength = hop->peak[best];
    return hop->lag[best];
}
