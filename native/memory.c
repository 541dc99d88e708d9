/* Memory handed out of one block, rings, and the inner product. */
#include "menura.h"

#include <math.h>
#include <string.h>

#define LINE 64 /* bytes: a cache line, and what the widest SIMD load wants */

mn_arena mn_arena_over(void *memory)
{
    mn_arena arena = {memory, 0};
    arena.used = (LINE - ((uintptr_t)memory & (LINE - 1))) & (LINE - 1);
    if (!memory)
        arena.used = LINE; /* measured for the worst alignment */
    return arena;
}

void *mn_take(mn_arena *arena, size_t bytes)
{
    void *taken = arena->base ? arena->base + arena->used : NULL;
    arena->used += (bytes + LINE - 1) & ~(size_t)(LINE - 1);
    return taken;
}

void mn_ring_take(mn_ring *ring, mn_arena *arena, int64_t at_least)
{
    int64_t size = 64;
    while (size < at_least)
        size *= 2;
    ring->size = size;
    ring->data = mn_take(arena, (size_t)(2 * size) * sizeof(float));
}

void mn_ring_clear(mn_ring *ring)
{
    memset(ring->data, 0, (size_t)(2 * ring->size) * sizeof(float));
}

/* Neither NaN nor infinity nor a value whose square would overflow may enter a state. */
float mn_clean(float x)
{
    const float most = 1024.0f;
    if (!isfinite(x))
        return 0.0f;
    return x > most ? most : x < -most ? -most : x;
}

float mn_dot(const float *a, const float *b, int n)
{
    /* Sixteen separate sums: the order of additions is written down, so the
     * compiler may use SIMD without being allowed to reorder anything. */
    float sum[16] = {0};
    int i = 0;
    for (; i + 16 <= n; i += 16)
        for (int k = 0; k < 16; k++)
            sum[k] += a[i + k] * b[i + k];
    for (int k = 0; i < n; i++, k++)
        sum[k] += a[i] * b[i];
    for (int width = 8; width > 0; width /= 2)
        for (int k = 0; k < width; k++)
            sum[k] += sum[k + width];
    return sum[0];
}
