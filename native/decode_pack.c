/* A convolution's weights as the decoder's steps read them. */
#include "decode.h"

#include <string.h>

#define MOST_TAPS 12
#define MOST_POINTS 35

static const double FOUR[] = {0, 1, -1, 0.5, -0.5, 2}, THREE[] = {0, 1, -1, 0.5, -0.5}, OUTER_3[] = {0, 1, -1, 2},
                    OUTER_2[] = {0, 1, -1};

/* What taps make of a point: its powers over its distances to the others; the last is infinity, the last tap. */
static void kernel_row(const double *points, int finite, int point, int taps, double *row)
{
    double distance = 1, power = 1;
    memset(row, 0, sizeof *row * taps);
    if (point == finite) {
        row[taps - 1] = 1;
        return;
    }
    for (int i = 0; i < finite; i++)
        distance *= i == point ? 1 : points[point] - points[i];
    for (int i = 0; i < taps; i++, power *= points[point])
        row[i] = power / distance;
}

static int nested(const double *outer, int outer_finite, int outer_taps, double (*matrix)[MOST_TAPS])
{
    double a[3], b[4];
    for (int q = 0; q <= outer_finite; q++)
        for (int p = 0; p < 7; p++) {
            kernel_row(outer, outer_finite, q, outer_taps, a);
            kernel_row(FOUR, 6, p, 4, b);
            for (int i = 0; i < 4 * outer_taps; i++)
                matrix[q * 7 + p][i] = a[i / 4] * b[i % 4];
        }
    return (outer_finite + 1) * 7;
}

static int kernel_matrix(int64_t kind, double (*matrix)[MOST_TAPS])
{
    memset(matrix, 0, sizeof *matrix * MOST_POINTS);
    if (kind == MN_FAST_8)
        return nested(OUTER_2, 3, 2, matrix);
    if (kind == MN_FAST_12)
        return nested(OUTER_3, 4, 3, matrix);
    for (int p = 0; p < 6; p++)
        kernel_row(THREE, 5, p, 3, matrix[p]);
    return 6;
}

/* The nearest of bfloat16, in the upper half of a float; what is not a number stays so. */
static uint16_t halved(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 1);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* Where a column of a row is, rows two by two: [row / 2][column][2]. */
static int64_t pair_of(int64_t row, int64_t column, int64_t panel) { return (row / 2 * panel + column) * 2 + row % 2; }

/* Floats of one group's packed weights. */
MN_API int64_t mn_decode_pack_size(int64_t kind, int64_t taps, int64_t in_channels, int64_t columns, int64_t packing)
{
    static const int64_t points[] = {0, 6, 28, 35};
    return (kind == MN_DIRECT ? taps : points[kind & 3]) * in_channels * columns / packing;
}

/* Pack weights [outputs][inputs][taps] as [panel][tap or point][in_channels][column], filled up with zeros; with a
 * packing of 2 as bfloat16, [panel][tap or point][in_channels / 2][column][2]. */
MN_API void mn_decode_pack(int64_t kind, const float *weights, int64_t outputs, int64_t inputs, int64_t taps,
                           int64_t in_channels, int64_t columns, int64_t panel, int64_t packing, float *packed)
{
    double matrix[MOST_POINTS][MOST_TAPS], held[MOST_TAPS][MN_MOST_PANEL], sum[MN_MOST_PANEL];
    int64_t points = kind == MN_DIRECT ? taps : kernel_matrix(kind, matrix);
    memset(packed, 0, sizeof *packed * mn_decode_pack_size(kind, taps, in_channels, columns, packing));
    int64_t size = points * in_channels * panel / packing;
    for (int64_t first = 0; first < outputs; first += panel, packed += size) {
        uint16_t *halves = (uint16_t *)packed;
        int64_t width = outputs - first < panel ? outputs - first : panel;
        for (int64_t i = 0; i < inputs; i++) {
            const float *from = weights + (first * inputs + i) * taps;
            if (kind == MN_DIRECT) {
                for (int64_t p = 0; p < points; p++)
                    for (int64_t o = 0; o < width; o++)
                        if (packing == 2)
                            halves[pair_of(p * in_channels + i, o, panel)] = halved(from[o * inputs * taps + p]);
                        else
                            packed[(p * in_channels + i) * panel + o] = from[o * inputs * taps + p];
                continue;
            }
            memset(held, 0, sizeof held);
            for (int64_t o = 0; o < width; o++)
                for (int64_t t = 0; t < taps; t++)
                    held[t][o] = from[o * inputs * taps + t];
            for (int64_t p = 0; p < points; p++) {
                memset(sum, 0, sizeof sum);
                for (int64_t t = 0; t < taps; t++)
                    for (int64_t o = 0; o < MN_MOST_PANEL; o++)
                        sum[o] += matrix[p][t] * held[t][o];
                for (int64_t o = 0; o < width; o++)
                    if (packing == 2)
                        halves[pair_of(p * in_channels + i, o, panel)] = halved((float)sum[o]);
                    else
                        packed[(p * in_channels + i) * panel + o] = (float)sum[o];
            }
        }
    }
}
