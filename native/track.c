/* The pitch tracker on its own: one point per hop, a fixed number of frames late. */
#include "menura.h"

#include <string.h>

#define WAIT_HOPS 6 /* heard beyond a hop before its pitch is told: 15 ms */
#define PIECE 64    /* frames taken at a time */

typedef struct {
    mn_pitch pitch;
    int64_t told; /* hops */
} mn_tracker;

static void layout(mn_tracker *t, mn_arena *arena, double rate, double fmin, double fmax)
{
    memset(t, 0, sizeof *t);
    mn_pitch_layout(&t->pitch, arena, rate, fmin, fmax, (int64_t)(8.0 * rate / fmin));
}

static mn_tracker *state(void *memory)
{
    mn_arena arena = mn_arena_over(memory);
    return mn_take(&arena, sizeof(mn_tracker));
}

MN_API int64_t mn_tracker_size(double rate, double fmin, double fmax)
{
    mn_arena arena = mn_arena_over(NULL);
    mn_tracker measured;
    mn_take(&arena, sizeof measured);
    layout(&measured, &arena, rate, fmin, fmax);
    return (int64_t)arena.used;
}

/* Frames by which a point is late: it is told once that many followed its position. */
MN_API int64_t mn_tracker_init(void *memory, double rate, double fmin, double fmax)
{
    mn_arena arena = mn_arena_over(memory);
    mn_tracker *t = mn_take(&arena, sizeof *t);
    layout(t, &arena, rate, fmin, fmax);
    mn_pitch_begin(&t->pitch);
    const mn_pitch *p = &t->pitch;
    return (int64_t)WAIT_HOPS * p->hop + (int64_t)(p->reach - 1) * p->dec + p->delay + 1;
}

MN_API int mn_tracker_hop(void *memory) { return state(memory)->pitch.hop; }

MN_API void mn_tracker_reset(void *memory)
{
    mn_tracker *t = state(memory);
    mn_pitch_begin(&t->pitch);
    t->told = 0;
}

/* `n` mono frames in; points out, at most one per hop begun; their number is returned. */
MN_API int64_t mn_tracker_process(void *memory, const float *x, int64_t n, mn_track_point *out)
{
    mn_tracker *t = state(memory);
    mn_pitch *p = &t->pitch;
    int64_t points = 0;
    for (int64_t done = 0; done < n;) {
        float clean[PIECE];
        const int m = n - done < PIECE ? (int)(n - done) : PIECE;
        for (int i = 0; i < m; i++)
            clean[i] = mn_clean(x[done + i]);
        mn_pitch_push(p, clean, m);
        done += m;
        while (mn_pitch_step(p)) { /* told hop by hop: none knows more than its fixed wait */
            if (p->hop_count <= WAIT_HOPS)
                continue;
            const double position = (double)(t->told++ * p->hop);
            float strength;
            const double period = mn_pitch_period(p, position, &strength);
            out[points].position = position;
            out[points].f0_hz = period > 0.0 ? p->rate / period : 0.0;
            out[points++].strength = strength;
        }
    }
    return points;
}
