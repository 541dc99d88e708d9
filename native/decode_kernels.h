/* The inner loops of the decoder for one instruction set. Before it is included:
 * VEC (a vector of WIDTH floats), LOAD, STORE, SET1, ADD, SUB, MUL, MAX, FMA(a, b, c) = a * b + c, MOST_ROWS, NAME; and
 * where products are of pairs of bfloat16, each in the place of a float: PAIRS(a, b, c) = both of a * b + c, and
 * HALVE(place, a), which stores WIDTH floats as so many bfloat16. */

#ifdef PAIRS
#define PACKING 2
#define PUT(place, at, a) HALVE((uint16_t *)(place) + (at), a)
#define TIMES(pairs, a, b, c) ((pairs) ? PAIRS(a, b, c) : FMA(a, b, c))
#else
#define PACKING 1
#define PUT(place, at, a) STORE((place) + (at), a)
#define TIMES(pairs, a, b, c) FMA(a, b, c)
#endif

#define HOT static inline __attribute__((always_inline)) INSTRUCTIONS
#define UNROLL _Pragma("GCC unroll 16")

HOT void product(const float *a, int64_t a_stride, const float *b, int64_t k, float *c, const int rows, const int lots,
                 const int pairs)
{
    VEC sum[MOST_ROWS][32 / WIDTH];
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int l = 0; l < lots; l++)
            sum[r][l] = SET1(0.0f);
    for (int64_t i = 0; i < k; i++) {
        VEC right[32 / WIDTH];
        UNROLL for (int l = 0; l < lots; l++)
            right[l] = LOAD(b + l * WIDTH);
        b += lots * WIDTH;
        UNROLL for (int r = 0; r < rows; r++) {
            VEC left = SET1(a[r * a_stride + i]);
            UNROLL for (int l = 0; l < lots; l++)
                sum[r][l] = TIMES(pairs, left, right[l], sum[r][l]);
        }
    }
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int l = 0; l < lots; l++)
            STORE(c + (r * lots + l) * WIDTH, sum[r][l]);
}

#define CASE(n) case n: product(a, a_stride, b, k, c, n, lots, pairs); break

HOT void products(const float *a, int64_t a_stride, const float *b, int64_t k, float *c, int64_t rows,
                  const int lots, const int pairs)
{
    int64_t groups = (rows + MOST_ROWS - 1) / MOST_ROWS;
    for (; groups; groups--) {
        int64_t now = (rows + groups - 1) / groups; /* groups of nearly equal size: none is small and slow */
        switch (now) {
            CASE(1); CASE(2); CASE(3); CASE(4); CASE(5); CASE(6);
#if MOST_ROWS > 6
            CASE(7); CASE(8); CASE(9); CASE(10); CASE(11); CASE(12);
#endif
        }
        a += now * a_stride;
        c += now * lots * WIDTH;
        rows -= now;
    }
}

INSTRUCTIONS static void multiply(const float *a, int64_t a_stride, const float *b, int64_t k, int64_t panel, float *c,
                                  int64_t rows)
{
#if WIDTH == 16
    if (panel == 32) {
        products(a, a_stride, b, k, c, rows, 2, 0);
        return;
    }
#endif
    products(a, a_stride, b, k, c, rows, 16 / WIDTH, 0);
}

#ifdef PAIRS
INSTRUCTIONS static void multiply_packed(const float *a, int64_t a_stride, const float *b, int64_t k, int64_t panel,
                                         float *c, int64_t rows)
{
    if (panel == 32)
        products(a, a_stride, b, k, c, rows, 2, 1);
    else
        products(a, a_stride, b, k, c, rows, 1, 1);
}
#else
#define multiply_packed multiply
#endif

/* F(4, 4) at 0, 1, -1, 1/2, -1/2, 2 and infinity. */
HOT void forward_4_4(const VEC *x, VEC *v)
{
    VEC two = SET1(-2.0f), quarter = SET1(0.25f), more = SET1(-1.25f), half = SET1(0.5f), d[6];
    UNROLL for (int i = 0; i < 6; i++)
        d[i] = FMA(two, x[i], x[i + 1]);
    VEC less = SUB(SET1(0.0f), quarter);
    VEC e0 = FMA(less, d[1], d[3]), e1 = FMA(less, d[2], d[4]);
    VEC f0 = SUB(d[3], d[1]), f1 = SUB(d[4], d[2]);
    v[0] = FMA(quarter, d[0], FMA(more, d[2], d[4]));
    v[1] = ADD(e1, e0);
    v[2] = SUB(e1, e0);
    v[3] = FMA(half, f0, f1);
    v[4] = FMA(SUB(SET1(0.0f), half), f0, f1);
    v[5] = FMA(quarter, x[1], FMA(more, x[3], x[5]));
    v[6] = FMA(quarter, d[1], FMA(more, d[3], d[5]));
}

HOT void inverse_4_4(const VEC *m, VEC *y)
{
    VEC s = ADD(m[1], m[2]), d = SUB(m[1], m[2]), t = ADD(m[3], m[4]), e = SUB(m[3], m[4]);
    y[0] = ADD(ADD(m[0], m[5]), ADD(s, t));
    y[1] = FMA(SET1(2.0f), m[5], FMA(SET1(0.5f), e, d));
    y[2] = FMA(SET1(4.0f), m[5], FMA(SET1(0.25f), t, s));
    y[3] = ADD(m[6], FMA(SET1(8.0f), m[5], FMA(SET1(0.125f), e, d)));
}

/* F(4, 3) at 0, 1, -1, 1/2, -1/2 and infinity. */
HOT void forward_4_3(const VEC *x, VEC *v)
{
    VEC quarter = SET1(0.25f), less = SET1(-0.25f), more = SET1(-1.25f), half = SET1(0.5f);
    VEC e0 = FMA(less, x[1], x[3]), e1 = FMA(less, x[2], x[4]);
    VEC f0 = SUB(x[3], x[1]), f1 = SUB(x[4], x[2]);
    v[0] = FMA(quarter, x[0], FMA(more, x[2], x[4]));
    v[1] = ADD(e1, e0);
    v[2] = SUB(e1, e0);
    v[3] = FMA(half, f0, f1);
    v[4] = FMA(SET1(-0.5f), f0, f1);
    v[5] = FMA(quarter, x[1], FMA(more, x[3], x[5]));
}

HOT void inverse_4_3(const VEC *m, VEC *y)
{
    VEC s = ADD(m[1], m[2]), d = SUB(m[1], m[2]), t = ADD(m[3], m[4]), e = SUB(m[3], m[4]);
    y[0] = ADD(m[0], ADD(s, t));
    y[1] = FMA(SET1(0.5f), e, d);
    y[2] = FMA(SET1(0.25f), t, s);
    y[3] = ADD(m[5], FMA(SET1(0.125f), e, d));
}

/* F(3, 2) at 0, 1, -1 and infinity; F(3, 3) at 2 too: of what F(4, 4) makes of successive fours. */
HOT void forward_outer(const VEC *v, const int inputs, VEC *w)
{
    if (inputs == 4) {
        w[0] = SUB(v[2], v[0]);
        w[1] = ADD(v[2], v[1]);
        w[2] = SUB(v[2], v[1]);
        w[3] = SUB(v[3], v[1]);
    } else {
        VEC two = SET1(-2.0f), d[4];
        UNROLL for (int i = 0; i < 4; i++)
            d[i] = FMA(two, v[i], v[i + 1]);
        w[0] = SUB(d[2], d[0]);
        w[1] = ADD(d[2], d[1]);
        w[2] = SUB(d[2], d[1]);
        w[3] = SUB(v[3], v[1]);
        w[4] = SUB(d[3], d[1]);
    }
}

HOT void inverse_outer(const VEC *m, const int inputs, VEC *y)
{
    VEC s = ADD(m[1], m[2]), d = SUB(m[1], m[2]);
    if (inputs == 4) {
        y[0] = ADD(m[0], s);
        y[1] = d;
        y[2] = ADD(m[3], s);
    } else {
        y[0] = ADD(ADD(m[0], m[3]), s);
        y[1] = FMA(SET1(2.0f), m[3], d);
        y[2] = ADD(m[4], FMA(SET1(4.0f), m[3], s));
    }
}

HOT void forward_nested(const float *const *rows, int64_t at, const int inputs, VEC slope, float *v, int64_t v_stride)
{
    VEC inner[5][7];
    UNROLL for (int j = 0; j < inputs; j++) {
        VEC x[7];
        UNROLL for (int i = 0; i < 7; i++) {
            VEC raw = LOAD(rows[4 * j + i] + at);
            x[i] = MAX(MUL(slope, raw), raw);
        }
        forward_4_4(x, inner[j]);
    }
    UNROLL for (int p = 0; p < 7; p++) {
        VEC column[5], w[5];
        UNROLL for (int j = 0; j < inputs; j++)
            column[j] = inner[j][p];
        forward_outer(column, inputs, w);
        UNROLL for (int q = 0; q < inputs; q++)
            PUT(v + (q * 7 + p) * v_stride, at, w[q]);
    }
}

INSTRUCTIONS static void forward(int64_t kind, const float *const *rows, int64_t channels, float slope, float *v,
                                 int64_t v_stride)
{
    VEC factor = SET1(slope);
    for (int64_t at = 0; at < channels; at += WIDTH) {
        if (kind == MN_FAST_8)
            forward_nested(rows, at, 4, factor, v, v_stride);
        else if (kind == MN_FAST_12)
            forward_nested(rows, at, 5, factor, v, v_stride);
        else {
            VEC x[6], w[6];
            UNROLL for (int i = 0; i < 6; i++) {
                VEC raw = LOAD(rows[i] + at);
                x[i] = MAX(MUL(factor, raw), raw);
            }
            forward_4_3(x, w);
            UNROLL for (int p = 0; p < 6; p++)
                PUT(v + p * v_stride, at, w[p]);
        }
    }
}

HOT void ended(const mn_ending *end, VEC value, int64_t row, int64_t at)
{
    VEC sum = ADD(value, LOAD(end->bias + at));
    for (int i = 0; i < 2; i++)
        if (end->add[i])
            sum = ADD(sum, LOAD(end->add[i] + row + at));
    sum = MUL(sum, SET1(end->scale));
    STORE(end->out + row + at, MAX(MUL(SET1(end->slope), sum), sum));
}

HOT void inverse_nested(const mn_ending *end, const float *m, int64_t m_stride, const int inputs, const int64_t *rows,
                        int64_t at)
{
    VEC inner[5][4];
    UNROLL for (int q = 0; q < inputs; q++) {
        VEC x[7];
        UNROLL for (int p = 0; p < 7; p++)
            x[p] = LOAD(m + (q * 7 + p) * m_stride + at);
        inverse_4_4(x, inner[q]);
    }
    UNROLL for (int i = 0; i < 4; i++) {
        VEC column[5], out[3];
        UNROLL for (int q = 0; q < inputs; q++)
            column[q] = inner[q][i];
        inverse_outer(column, inputs, out);
        UNROLL for (int j = 0; j < 3; j++)
            if (rows[4 * j + i] >= 0)
                ended(end, out[j], rows[4 * j + i], at);
    }
}

INSTRUCTIONS static void inverse(const mn_ending *end, int64_t kind, const float *m, int64_t m_stride, int64_t columns,
                                 const int64_t *rows)
{
    const mn_ending held = *end;
    for (int64_t at = 0; at < columns; at += WIDTH) {
        if (kind == MN_FAST_8)
            inverse_nested(&held, m, m_stride, 4, rows, at);
        else if (kind == MN_FAST_12)
            inverse_nested(&held, m, m_stride, 5, rows, at);
        else {
            VEC x[6], out[4];
            UNROLL for (int p = 0; p < 6; p++)
                x[p] = LOAD(m + at + p * m_stride);
            inverse_4_3(x, out);
            UNROLL for (int i = 0; i < 4; i++)
                if (rows[i] >= 0)
                    ended(&held, out[i], rows[i], at);
        }
    }
}

INSTRUCTIONS static void finish(const mn_ending *end, const float *values, int64_t columns, int64_t row)
{
    for (int64_t at = 0; at < columns; at += WIDTH)
        ended(end, LOAD(values + at), row, at);
}

INSTRUCTIONS static void copy(const float *in, int64_t count, float slope, float *out)
{
    VEC factor = SET1(slope);
    int64_t at = 0;
    for (; at + WIDTH <= count; at += WIDTH) {
        VEC raw = LOAD(in + at);
        STORE(out + at, MAX(MUL(factor, raw), raw));
    }
    for (; at < count; at++)
        out[at] = slope * in[at] > in[at] ? slope * in[at] : in[at];
}

#ifdef PAIRS
INSTRUCTIONS static void copy_packed(const float *in, int64_t count, float slope, float *out)
{
    VEC factor = SET1(slope);
    for (int64_t at = 0; at < count; at += WIDTH) {
        VEC raw = LOAD(in + at);
        PUT(out, at, MAX(MUL(factor, raw), raw));
    }
}
#else
#define copy_packed copy
#endif

const mn_decode_set *NAME(void)
{
    static const mn_decode_set set = {PACKING, multiply, multiply_packed, forward, inverse, finish, copy, copy_packed};
    return &set;
}
