/* One pass over 16-bit samples: level, offset, peak, clipped samples.
 *
 * Sums are integers, so that the result does not depend on how the compiler orders them: 2^30 per square, so a partial
 * sum of 2^31 samples still fits 62 bits.
 */
#include "export.h"
#include <string.h>

MN_API void mn_scan_pcm16(const void *data, int64_t n, int32_t clip, double *out) {
    const uint8_t *bytes = data;
    int64_t squares = 0, total = 0, clipped = 0;
    int32_t high = 0, low = 0;
    while (n > 0) {
        /* blocks of 256 keep the inner sums in 32 bits, where the loop vectorises */
        int32_t m = n < 256 ? (int32_t)n : 256;
        int16_t x[256];
        memcpy(x, bytes, 2 * (size_t)m);
        int32_t sum = 0, over = 0;
        int64_t square = 0;
        int16_t top = -32768, bottom = 32767;
        for (int32_t i = 0; i < m; i++) {
            sum += x[i];
            top = x[i] > top ? x[i] : top;
            bottom = x[i] < bottom ? x[i] : bottom;
        }
        for (int32_t i = 0; i < m; i++) square += (uint32_t)(x[i] * x[i]);
        if (top >= clip || bottom <= -clip)
            for (int32_t i = 0; i < m; i++) over += x[i] >= clip || x[i] <= -clip;
        total += sum;
        squares += square;
        clipped += over;
        high = top > high ? top : high;
        low = bottom < low ? bottom : low;
        bytes += 2 * (size_t)m;
        n -= m;
    }
    out[0] = (double)squares;
    out[1] = (double)total;
    out[2] = (double)(high > -low ? high : -low);
    out[3] = (double)clipped;
}
