/* A decoder's steps as tasks of a team. */
#include "decode.h"

#include <math.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define BLOCK_FLOATS (160 * 1024) /* transformed or gathered input of a task: it stays in a second-level cache */
#define LEAST_BLOCK 6             /* tiles or rows */
#define PASS 12                   /* tiles that are multiplied and ended at a time: their products stay near too */
#define LINE 16                   /* floats of a cache line */
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
 * 8 (AVX-512 with products of bfloat16: twice as fast, at 40 dB). */
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
    int64_t products = s->kind == MN_DIRECT ? c.block : PASS;
    return c.points * (c.plane + products * s->panel + SKEW);
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

/* How columns from `column` on end. */
static mn_ending ending_of(const task *t, int64_t column)
{
    const mn_step *s = t->step;
    mn_ending end = {.bias = t->bias + column, .out = t->out + column, .scale = s->scale, .slope = s->slope};
    for (int i = 0; i < 2; i++)
        end.add[i] = t->add[i] ? t->add[i] + column : NULL;
    return end;
}

/* Where an output row is; -1: nowhere. */
static int64_t place_of(const mn_step *s, int64_t row)
{
    return row < 0 || row >= s->out_rows ? -1 : row * s->out_stride;
}

/* The row of the first of a tile's outputs: tiles go along each of the dilated rows, one after the other. */
static int64_t row_of(const task *t, int64_t tile)
{
    int64_t whole = t->first_tile + tile;
    return whole / t->cut.row_tiles + t->step->dilation * t->cut.outputs * (whole % t->cut.row_tiles);
}

static void places_of(const task *t, int64_t tile, int64_t *rows)
{
    int64_t row = row_of(t, tile);
    for (int64_t i = 0; i < t->cut.outputs; i++, row += t->step->dilation)
        rows[i] = place_of(t->step, row);
}

/* Have a tile's rows come while others are multiplied: they are far apart, which no processor foresees. */
static void fetch(const task *t, const mn_ending *end, const int64_t *places)
{
    for (int64_t i = 0; i < t->cut.outputs; i++) {
        if (places[i] < 0)
            continue;
        for (int64_t at = places[i]; at < places[i] + t->step->panel; at += LINE) {
            for (int k = 0; k < 2; k++)
                if (end->add[k])
                    __builtin_prefetch(end->add[k] + at, 0, 2);
            __builtin_prefetch(end->out + at, 1, 2);
        }
    }
}

/* One panel of so many tiles: points multiplied, then mixed into rows. */
static void pass_of(const task *t, int64_t panel, int64_t first, int64_t tiles)
{
    const mn_step *s = t->step;
    const cut *c = &t->cut;
    int64_t width = s->in_channels / t->set->packing, size = width * s->panel, m_plane = PASS * s->panel + SKEW;
    float *v = t->scratch + first * width, *m = t->scratch + c->points * c->plane;
    const float *weights = s->weights + panel * c->points * size;
    mn_ending end = ending_of(t, panel * s->panel);
    int64_t places[PASS][MN_MOST_OUTPUTS];
    for (int64_t i = 0; i < tiles; i++)
        places_of(t, first + i, places[i]);
    for (int64_t p = 0, fetched = 0; p < c->points; p++) {
        for (; fetched * c->points < tiles * (p + 1); fetched++)
            fetch(t, &end, places[fetched]);
        t->set->multiply_packed(v + p * c->plane, width, weights + p * size, width, s->panel, m + p * m_plane, tiles);
    }
    for (int64_t i = 0; i < tiles; i++)
        t->set->inverse(&end, s->kind, m + i * s->panel, m_plane, s->panel, places[i]);
}

static void run_fast(const task *t)
{
    const mn_step *s = t->step;
    const cut *c = &t->cut;
    int64_t width = s->in_channels / t->set->packing; /* of a point, in floats' places */
    const float *rows[MN_MOST_INPUTS];
    for (int64_t tile = 0; tile < t->tiles; tile++) {
        int64_t row = row_of(t, tile) + s->first[0];
        for (int64_t i = 0; i < c->inputs; i++, row += s->dilation)
            rows[i] = row >= 0 && row < s->in_rows ? t->in + row * s->in_stride : t->zeros;
        t->set->forward(s->kind, rows, s->in_channels, s->in_slope, t->scratch + tile * width, c->plane);
    }
    for (int64_t panel = t->first_unit; panel < t->end_unit; panel++) {
        int64_t passes = divide_up(t->tiles, PASS);
        for (int64_t first = 0, now; first < t->tiles; first += now, passes--) {
            now = divide_up(t->tiles - first, passes); /* of nearly equal size: none is small and slow */
            pass_of(t, panel, first, now);
        }
    }
}

/* The taps of an output side by side; those that are not there are zero. */
static void gather(const task *t, int64_t row, int64_t packing, float *out)
{
    const mn_step *s = t->step;
    int64_t channels = s->in_channels, width = channels / packing;
    void (*copy)(const float *, int64_t, float, float *) = packing > 1 ? t->set->copy_packed : t->set->copy;
    if (s->dilation == 1 && s->in_stride == channels) {
        int64_t before = least(most(-row, 0), s->taps), end = most(least(s->in_rows - row, s->taps), before);
        memset(out, 0, sizeof(float) * before * width);
        copy(t->in + (row + before) * channels, (end - before) * channels, s->in_slope, out + before * width);
        memset(out + end * width, 0, sizeof(float) * (s->taps - end) * width);
        return;
    }
    for (int64_t tap = 0; tap < s->taps; tap++, row += s->dilation, out += width)
        copy(row >= 0 && row < s->in_rows ? t->in + row * s->in_stride : t->zeros, channels, s->in_slope, out);
}

static void run_direct(const task *t)
{
    const mn_step *s = t->step;
    int64_t packing = s->in_channels % MN_LOT ? 1 : t->set->packing, depth = s->taps * s->in_channels / packing;
    int64_t panels = s->columns / s->panel, gathered = 0;
    float *a = t->scratch, *c = a + t->cut.plane;
    for (int64_t unit = t->first_unit; unit < t->end_unit; unit++) {
        int64_t group = unit / panels, column = unit % panels * s->panel;
        if (unit == t->first_unit || s->first[group] != gathered) {
            gathered = s->first[group]; /* groups that read the same rows follow each other */
            for (int64_t i = 0; i < t->tiles; i++)
                gather(t, (t->first_tile + i) * s->in_step + gathered, packing, a + i * depth);
        }
        const float *weights = s->weights + unit * depth * s->panel;
        if (packing > 1)
            t->set->multiply_packed(a, depth, weights, depth, s->panel, c, t->tiles);
        else
            t->set->multiply(a, depth, weights, depth, s->panel, c, t->tiles);
        mn_ending end = ending_of(t, column);
        for (int64_t i = 0; i < t->tiles; i++) {
            int64_t place = place_of(s, (t->first_tile + i) * s->out_step + group - s->out_skip);
            if (place >= 0)
                t->set->finish(&end, c + i * s->panel, s->panel, place);
        }
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
