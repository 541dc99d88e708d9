/* What the C files of the pitch shifter share.
 *
 * The state of an instance holds pointers into its own block of memory, so the
 * block must not move once initialised.
 */
#ifndef MENURA_H
#define MENURA_H

#include "export.h"

/* ---- memory.c: one pass with base == NULL measures, a second one hands out ---- */

typedef struct {
    uint8_t *base;
    size_t used;
} mn_arena;

mn_arena mn_arena_over(void *memory);
void *mn_take(mn_arena *arena, size_t bytes);

/* A ring readable as one piece: every sample is written twice, `size` apart. */
typedef struct {
    float *data;
    int64_t size; /* a power of two; any `size` successive samples are contiguous */
} mn_ring;

void mn_ring_take(mn_ring *ring, mn_arena *arena, int64_t at_least);
void mn_ring_clear(mn_ring *ring);

static inline float *mn_ring_at(const mn_ring *ring, int64_t position)
{
    return ring->data + (position & (ring->size - 1));
}

static inline void mn_ring_put(mn_ring *ring, int64_t position, float value)
{
    float *slot = mn_ring_at(ring, position);
    slot[0] = value;
    slot[ring->size] = value;
}

float mn_dot(const float *a, const float *b, int n);
float mn_clean(float x);

/* ---- pitch.c, viterbi.c: the tracker ---- */

#define MN_CANDIDATES 10 /* candidate 0 is "unvoiced" */
#define MN_HOPS 64

typedef struct {
    int count;
    float voicing;             /* 0..1: how far the spectral balance allows a voice */
    int from[MN_CANDIDATES];   /* best predecessor in the hop before */
    float lag[MN_CANDIDATES];  /* period, frames at the full rate */
    float peak[MN_CANDIDATES]; /* normalised correlation there */
    float cost[MN_CANDIDATES]; /* of the best path that ends here */
} mn_hop;

typedef struct {
    double rate, fmin, fmax;
    int dec, hop, taps, delay;       /* frames; delay is the low-pass's */
    int lag_min, lag_max, window, reach; /* decimated frames; reach to each side of a hop */
    float *fir;
    float dc_x, dc_y, dc_pole;
    mn_ring mono, low, slow;         /* without DC; low-passed; decimated */
    int64_t count, slow_count;       /* input frames seen; decimated frames made */
    double *energy;
    float *corr;
    double prior_hz;                 /* what is known of the speaker; 0: nothing */
    int64_t hop_count;
    mn_hop hops[MN_HOPS];
} mn_pitch;

void mn_pitch_layout(mn_pitch *p, mn_arena *arena, double rate, double fmin, double fmax,
                     int64_t history);
void mn_pitch_begin(mn_pitch *p);
void mn_pitch_push(mn_pitch *p, const float *x, int n);
int mn_pitch_step(mn_pitch *p);
double mn_pitch_period(const mn_pitch *p, double position, float *strength);
double mn_pitch_next(const mn_pitch *p, double mark, double period, float *strength);
double mn_pitch_peak(const mn_pitch *p, double from, double length);
void mn_viterbi_step(const mn_pitch *p, mn_hop *hop, const mn_hop *last);

typedef struct {
    double position, f0_hz, strength; /* frames; 0 Hz: unvoiced */
} mn_track_point;

/* ---- grain.c: windowed, resampled grains ---- */

#define MN_BANDS 7    /* low-pass tables, 1/6 octave apart: formant factors to 2 */
#define MN_PHASES 128
#define MN_WINDOW 1024

typedef struct {
    int half[MN_BANDS];      /* taps to each side */
    float *table[MN_BANDS];  /* [MN_PHASES + 1][2 * half] */
    float window[MN_WINDOW + 2];
    int capacity;
    float *weight, *scratch; /* capacity frames each */
} mn_grains;

typedef struct {
    double at, from;      /* output centre, input centre: frames */
    double left, right;   /* window half lengths, output frames */
    double stretch;       /* input frames read per output frame: formant factor */
    float share, gain;    /* of the window's weight; of what is read */
} mn_grain;

void mn_grains_layout(mn_grains *g, mn_arena *arena, int half, int capacity);
int mn_grains_reach(const mn_grains *g, double stretch);
void mn_grains_add(mn_grains *g, const mn_grain *grain, int64_t first_free, int channels,
                   const mn_ring *in, mn_ring *sum, mn_ring *norm);

/* ---- register.c: what is known of the speaker ---- */

#define MN_REGISTER_BINS 256

typedef struct {
    float mass[MN_REGISTER_BINS]; /* seconds of voiced speech by log F0 */
    double total, heard;          /* seconds: in the histogram; heard since begin */
    double median_hz;
} mn_register;

void mn_register_begin(mn_register *r, double seed_hz);
void mn_register_hear(mn_register *r, double f0_hz, double seconds);

/* ---- shift.c, marks.c: the shifter ---- */

#define MN_CHANNELS 8
#define MN_MARKS 64
#define MN_TRACK 512

typedef struct {
    double at, period; /* frames; an unvoiced mark's period is the fixed spacing */
    float strength;
    int voiced;
} mn_mark;

/* Set by the caller at any time between two calls. */
typedef struct {
    double pitch_st, formant, target_hz, formant_follow, intonation;
} mn_shift_settings;

typedef struct {
    double at;      /* frames */
    double half;    /* window half length if pitched on both sides; 0: unvoiced */
    int own;        /* reads the input where it stands: nothing is changed */
    double period;  /* between output pulses, frames */
    double stretch; /* formant factor */
    float gain;
} mn_plan;

typedef struct {
    mn_shift_settings set;
    int channels;
    int64_t latency, count, next_event; /* frames */
    double rate, unvoiced_step, seed_hz;
    mn_pitch pitch;
    mn_register speaker;
    mn_grains grains;
    mn_ring in[MN_CHANNELS], sum[MN_CHANNELS], norm;
    int64_t mark_count, track_count, track_read;
    mn_mark marks[MN_MARKS];
    mn_track_point track[MN_TRACK];
    mn_plan plan;                       /* the grain to come */
    double left;                        /* its left half window, frames */
    double adapted_st;                  /* towards the target register, slew-limited */
} mn_shift;

void mn_marks_begin(mn_shift *s);
int mn_marks_extend(mn_shift *s, double until);
const mn_mark *mn_marks_before(const mn_shift *s, double position, const mn_mark **next);
double mn_marks_source(const mn_shift *s, double at, double stretch, double right, double *other);

#endif
