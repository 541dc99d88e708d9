/* What the files of the decoder share: convolutions over time, channels last, as a list of steps for a team of threads.
 *
 * A fast convolution F(m, r) makes m outputs of r taps with m + r - 1 products instead of m * r (Toom 1963, Cook 1966;
 * Winograd, "Arithmetic complexity of computations", 1980): rows of the input are mixed into points, each point is
 * multiplied by a matrix of its own, and the products are mixed into rows of the output. Nested, F(a, b) of F(m, m) makes
 * a * m outputs of b * m taps. */
#ifndef MENURA_DECODE_H
#define MENURA_DECODE_H

#include "export.h"

enum {
    MN_DIRECT = 0,  /* products of gathered rows: any taps, steps and groups */
    MN_FAST_3 = 1,  /* to 3 taps: F(4, 3): 6 products for 4 outputs */
    MN_FAST_8 = 2,  /* to 8 taps: F(3, 2) of F(4, 4): 28 products for 12 outputs */
    MN_FAST_12 = 3, /* to 12 taps: F(3, 3) of F(4, 4): 35 products for 12 outputs */
    MN_TANH = 4     /* the first channel's hyperbolic tangent */
};

#define MN_MOST_INPUTS 23 /* rows that a tile of a fast convolution is made of */
#define MN_MOST_OUTPUTS 12
#define MN_MOST_PANEL 32
#define MN_LOT 16 /* channels of a row are a multiple of so many, or it is gathered one by one */

/* A place in one of the caller's blocks of memory. */
typedef struct {
    int64_t slot;   /* -1: none */
    int64_t offset; /* floats */
} mn_place;

/* Output row o * out_step + g - out_skip of group g is made of input rows o * in_step + first[g] + tap * dilation. Input
 * rows that are not there are zero, output rows that are not there are left out. Then bias and the rows of `add` are
 * added, and the sum is scaled and rectified. Steps other than 1, several groups, and rows that are no multiple of 16
 * floats are for MN_DIRECT alone. */
typedef struct {
    int64_t kind;
    mn_place in, out, bias, add[2];
    const float *weights;                         /* as mn_decode_pack leaves them, group by group */
    const int64_t *first;                         /* of each group */
    int64_t in_rows, in_stride, in_channels;      /* rows; floats from row to row; floats of a row */
    int64_t out_rows, out_stride, columns, panel; /* panel: columns side by side in `weights`, 16 or 32 */
    int64_t rows;                                 /* that each group computes */
    int64_t taps, dilation, in_step, out_step, out_skip;
    float in_slope, slope, scale, unused;         /* rectifiers of what is read and of what is written; 1: none */
} mn_step;

/* What ends a step: out = rectified((values + bias + add) * scale); add[i] may be NULL. */
typedef struct {
    const float *bias, *add[2];
    float *out, scale, slope;
} mn_ending;

/* What an instruction set offers. */
typedef struct {
    int64_t packing; /* factors in the place of a float: 2 are bfloat16, of points and of gathered lots of channels */
    /* c[rows][panel] = a[rows][k] * b[k][panel] */
    void (*multiply)(const float *a, int64_t a_stride, const float *b, int64_t k, int64_t panel, float *c, int64_t rows);
    /* The same of what is packed; `k` and `a_stride` count floats' places. */
    void (*multiply_packed)(const float *a, int64_t a_stride, const float *b, int64_t k, int64_t panel, float *c,
                            int64_t rows);
    /* A tile's input: v[point][channel] of the rows pointed at, rectified. */
    void (*forward)(int64_t kind, const float *const *rows, int64_t channels, float slope, float *v, int64_t v_stride);
    /* A tile's output of m[point][column], ended; rows[i] is where row i of it is in `out` and `add`, -1: nowhere. */
    void (*inverse)(const mn_ending *end, int64_t kind, const float *m, int64_t m_stride, int64_t columns,
                    const int64_t *rows);
    /* One row of values, ended. */
    void (*finish)(const mn_ending *end, const float *values, int64_t columns, int64_t row);
    /* Rectified floats, any number. */
    void (*copy)(const float *in, int64_t count, float slope, float *out);
    /* The same, packed; a multiple of MN_LOT. */
    void (*copy_packed)(const float *in, int64_t count, float slope, float *out);
} mn_decode_set;

/* NULL where the library was not built for it. */
const mn_decode_set *mn_decode_avx2(void);
const mn_decode_set *mn_decode_avx512(void);
const mn_decode_set *mn_decode_avx512_bf16(void);
const mn_decode_set *mn_decode_neon(void);

/* ---- decode_team.c: threads that wait asleep ---- */

typedef struct mn_team mn_team;
typedef void mn_task(void *job, int64_t stage, int64_t task, int64_t member);

/* Run every stage's tasks, all of a stage before the first of the next; `counts` are the stages' numbers of tasks, and
 * `marks` 2 * stages zeros. Members are 0 to `threads` - 1. */
void mn_team_run(mn_team *team, mn_task *run, void *job, const int64_t *counts, int64_t stages, int32_t *marks);

#endif
