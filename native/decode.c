/* A decoder's steps as tasks of a team. */
#include "decode.h"

#include <math.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define BLOCK_FLOATS (160 * 1024) /* transformed or gathered input of a task: it stays in a second-level cache */
#define LEAST_BLOCK 6             /* tiles or rows */
#define SKEW 16                   /* floats between planes, which would else fall on the same lines of a cache */

static int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- what this machine can do ---- */

enum { AVX2 = 1, AVX512 = 2, NEON = 4, AVX512_BF16 = 8 };

static int64_t processor_sets(void)
{
#if defined(__x86_64__)
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_FMA))
        return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low & 6) != 6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_AVX2))
        return 0;
    if ((low & 0xe0) != 0xe0 || !(b & bit_AVX512F))
        return AVX2;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1 << 5) ? AVX2 | AVX512 | AVX512_BF16 : AVX2 | AVX512;
#elif defined(__aarch64__)
    return NEON;
#else
    return 0;
#endif
}

static const mn_decode_set *set_of(int64_t name)
{
    switch (name) {
        case AVX2: return mn_decode_avx2();
        case AVX512: return mn_decode_avx512();
        case NEON: return mn_decode_neon();
        case AVX512_BF16: return mn_decode_avx512_bf16();
        default: return NULL;
    }
}

/* Instruction sets that can be asked for here, as a sum of their names: 1 (AVX2), 2 (AVX-512), 4 (NEON),
 * 8 (AVX-512 with fast convolutions in bfloat16: twice as fast, at 40 dB). */
MN_API int64_t mn_decode_sets(void)
{
    int64_t found = 0, here = processor_sets();
    for (int64_t name = 1; name <= AVX512_BF16; name *= 2)
        if ((here & name) && set_of(name))
            found |= name;
    return found;
}

/* ---- how a step is cut into tasks ---- */

typedef struct {
    int64_t points, outputs, inputs; /* of a tile */
    int64_t tiles, row_tiles;        /* of all; of each of the dilated rows */
    int64_t block, blocks, parts;    /* tiles of a block; a task is one part of the columns of one block */
    int64_t units;                   /* panels of all groups */
    int64_t plane;                   /* floats of a block's transformed input for one point */
} cut;

static cut cut_of(const mn_step *s, int64_t threads)
{
    static const int64_t points[] = {1, 6, 28, 35, 1}, outputs[] = {1, 4, 12, 12, 1}, inputs[] = {0, 6, 19, 23, 0};
    cut c = {.points = points[s->kind], .outputs = outputs[s->kind], .inputs = inputs[s->kind], .parts = 1};
    int64_t depth = s->kind == MN_TANH ? 256 : s->in_channels * (s->kind == MN_DIRECT ? s->taps : 1);
    c.units = s->columns / s->panel * s->out_step;
    c.row_tiles = divide_up(divide_up(s->rows, s->dilation), c.outputs);
    c.tiles = c.outputs == 1 ? s->rows : c.row_tiles * s->dilation;
    c.blocks = most(divide_up(c.tiles, most(BLOCK_FLOATS / (c.points * depth), LEAST_BLOCK)), 1);
    if (s->kind != MN_TANH && c.blocks < 2 * threads && c.units >= threads) {
        /* few blocks: members share them, and each reads its own part of the weights */
        c.blocks = divide_up(c.blocks, 2);
        c.parts = threads;
    } else {
        c.blocks = divide_up(c.blocks, threads) * threads;
    }
    c.block = most(divide_up(c.tiles, c.blocks), 1);
    c.blocks = divide_up(c.tiles, c.block);
    c.plane = c.block * depth + SKEW;
    return c;
}

static int64_t scratch_of(const mn_step *s, int64_t threads)
{
    cut c = cut_of(s, threads);
    if (s->kind == MN_TANH)
        return 0;
    return c.points * (c.plane + c.block * s->panel + SKEW) + MN_MOST_OUTPUTS * s->panel;
}

/* Floats that each of so many threads needs for these steps, beside those of the longest row. */
MN_API int64_t mn_decode_scratch(const mn_step *steps, int64_t count, int64_t threads)
{
    int64_t floats = 0, row = 0;
    for (int64_t i = 0; i < count; i++) {
        floats = most(floats, most(scratch_of(&steps[i], threads), scratch_of(&steps[i], 1)));
        row = most(row, steps[i].in_channels);
    }
    return floats + row;
}

/* ---- tasks ---- */

typedef struct {
    const mn_decode_set *set;
    const mn_step *steps;
    float *const *slots;
    float *scratch;
    int64_t scratch_each, row, threads;
} decoding;

typedef struct {
    const mn_decode_set *set;
    const mn_step *step;
    cut cut;
    const float *in, *bias, *add[2], *zeros;
    float *out, *scratch;
    int64_t first_tile, tiles, first_unit, end_unit; /* of the task */
} task;

static float *at_place(const decoding *d, mn_place place)
{
    return place.slot < 0 ? NULL : d->slots[place.slot] + place.offset;
}

static void finish_row(const task *t, int64_t row, int64_t column, const float *values)
{
    const mn_step *s = t->step;
    if (row < 0 || row >= s->out_rows)
        return;
    int64_t at = row * s->out_stride + column;
    const float *add[2] = {t->add[0] ? t->add[0] + at : NULL, t->add[1] ? t->add[1] + at : NULL};
    t->set->finish(s, values, t->bias + column, add, t->out + at);
}

/* The row of the first of a tile's outputs: tiles go along each of the dilated rows, one after the other. */
static int64_t row_of(const task *t, int64_t tile)
{
    int64_t whole = t->first_tile + tile;
    return whole / t->cut.row_tiles + t->step->dilation * t->cut.outputs * (whole % t->cut.row_tiles);
}

static void run_fast(const task *t)
{
    const mn_step *s = t->step;
    const cut *c = &t->cut;
    int64_t width = s->in_channels / t->set->packing; /* of a point, in floats' places */
    int64_t m_plane = c->block * s->panel + SKEW, size = width * s->panel;
    float *v = t->scratch, *m = v + c->points * c->plane, *y = m + c->points * m_plane;
    const float *rows[MN_MOST_INPUTS];
    for (int64_t tile = 0; tile < t->tiles; tile++) {
        int64_t row = row_of(t, tile) + s->first[0];
        for (int64_t i = 0; i < c->inputs; i++, row += s->dilation)
            rows[i] = row >= 0 && row < s->in_rows ? t->in + row * s->in_stride : t->zeros;
        t->set->forward(s->kind, rows, s->in_channels, s->in_slope, v + tile * width, c->plane);
    }
    for (int64_t panel = t->first_unit; panel < t->end_unit; panel++) {
        for (int64_t p = 0; p < c->points; p++)
            t->set->multiply_points(v + p * c->plane, width, s->weights + (panel * c->points + p) * size, width, s->panel,
                                    m + p * m_plane, t->tiles);
        for (int64_t tile = 0; tile < t->tiles; tile++) {
            t->set->inverse(s->kind, m + tile * s->panel, m_plane, s->panel, y);
            for (int64_t i = 0; i < c->outputs; i++)
                finish_row(t, row_of(t, tile) + i * s->dilation, panel * s->panel, y + i * s->panel);
        }
    }
}

/* The taps of an output side by side; those that are not there are zero. */
static void gather(const task *t, int64_t row, float *out)
{
    const mn_step *s = t->step;
    if (s->dilation == 1 && s->in_stride == s->in_channels) {
        int64_t before = least(most(-row, 0), s->taps), end = most(least(s->in_rows - row, s->taps), before);
        memset(out, 0, sizeof(float) * before * s->in_channels);
        t->set->copy(t->in + (row + before) * s->in_stride, (end - before) * s->in_channels, s->in_slope,
                     out + before * s->in_channels);
        memset(out + end * s->in_channels, 0, sizeof(float) * (s->taps - end) * s->in_channels);
        return;
    }
    for (int64_t tap = 0; tap < s->taps; tap++, row += s->dilation, out += s->in_channels)
        t->set->copy(row >= 0 && row < s->in_rows ? t->in + row * s->in_stride : t->zeros, s->in_channels, s->in_slope,
                     out);
}

static void run_direct(const task *t)
{
    const mn_step *s = t->step;
    int64_t depth = s->taps * s->in_channels, panels = s->columns / s->panel, gathered = 0;
    float *a = t->scratch, *c = a + t->cut.plane;
    for (int64_t unit = t->first_unit; unit < t->end_unit; unit++) {
        int64_t group = unit / panels, column = unit % panels * s->panel;
        if (unit == t->first_unit || s->first[group] != gathered) {
            gathered = s->first[group]; /* groups that read the same rows follow each other */
            for (int64_t i = 0; i < t->tiles; i++)
                gather(t, (t->first_tile + i) * s->in_step + gathered, a + i * depth);
        }
        t->set->multiply(a, depth, s->weights + unit * depth * s->panel, depth, s->panel, c, t->tiles);
        for (int64_t i = 0; i < t->tiles; i++)
            finish_row(t, (t->first_tile + i) * s->out_step + group - s->out_skip, column, c + i * s->panel);
    }
}

static void run_task(void *job, int64_t stage, int64_t number, int64_t member)
{
    const decoding *d = job;
    const mn_step *s = &d->steps[stage];
    task t = {.set = d->set, .step = s, .cut = cut_of(s, d->threads)};
    t.zeros = d->scratch + d->scratch_each * member;
    t.scratch = d->scratch + d->scratch_each * member + d->row;
    t.in = at_place(d, s->in);
    t.out = at_place(d, s->out);
    t.bias = at_place(d, s->bias);
    for (int i = 0; i < 2; i++)
        t.add[i] = at_place(d, s->add[i]);
    int64_t part = number % t.cut.parts;
    t.first_tile = number / t.cut.parts * t.cut.block;
    t.tiles = least(t.cut.block, t.cut.tiles - t.first_tile);
    t.first_unit = t.cut.units * part / t.cut.parts;
    t.end_unit = t.cut.units * (part + 1) / t.cut.parts;
    if (s->kind == MN_DIRECT)
        run_direct(&t);
    else if (s->kind != MN_TANH)
        run_fast(&t);
    else
        for (int64_t i = t.first_tile; i < t.first_tile + t.tiles; i++)
            t.out[i] = tanhf(t.in[i * s->in_stride]);
}

/* Run steps in order. `scratch` holds threads * scratch_each floats, of mn_decode_scratch or more; `counts` as many
 * numbers as there are steps, `marks` twice as many. Returns 0, or -1 where this machine lacks the instruction set. */
MN_API int mn_decode_run(void *team, int64_t set, int64_t threads, const mn_step *steps, int64_t count,
                         float *const *slots, float *scratch, int64_t scratch_each, int64_t *counts, int32_t *marks)
{
    if (!(mn_decode_sets() & set) || !set_of(set))
        return -1;
    decoding d = {set_of(set), steps, slots, scratch, scratch_each, 0, threads};
    for (int64_t i = 0; i < count; i++) {
        cut c = cut_of(&steps[i], threads);
        counts[i] = c.blocks * c.parts;
        d.row = most(d.row, steps[i].in_channels);
    }
    for (int64_t member = 0; member < threads; member++)
        memset(scratch + member * scratch_each, 0, sizeof(float) * d.row);
    memset(marks, 0, 2 * sizeof *marks * count);
    mn_team_run(team, run_task, &d, counts, count, marks);
    return 0;
}
