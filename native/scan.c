/* One pass over 16-bit samples: level, offset, peak, clipped samples.
 *
 * Sums are integers, so that the result does not depend on how the compiler orders them: 2^30 per square, so a partial
 * sum of 2^31 samples still fits 62 bits.
 */
#include "export.h"
#include <math.h>
#include <string.h>

static void scan(const uint8_t *bytes, int64_t n, int32_t clip, double *out) {
    int64_t squares = 0, total = 0, clipped = 0;
    int32_t high = -32768, low = 32767;
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
    out[6] = 0.5 * ((double)high + (double)low);
}

MN_API void mn_scan_pcm16(const void *data, int64_t n, int32_t clip, double *out) {
    double all[7];
    scan(data, n, clip, all);
    memcpy(out, all, 4 * sizeof(double));
}

/* The same, for a chunk that may be no samples at all (4: an Ogg page, version 0, or the start of WebM), with RMS
 * (out[4]) and mean (out[5]) in -1..1, and what is remarkable about it. limits: magnitude from which a sample is
 * clipped, share of clipped samples, least offset, least offset relative to the level, least peak. */
MN_API int32_t mn_inspect_pcm16(const void *data, int64_t n, const double *limits, double *out) {
    if (n >= 3 && (memcmp(data, "OggS", 5) == 0 || memcmp(data, "\x1a\x45\xdf\xa3", 4) == 0)) return 4;
    scan(data, n, (int32_t)limits[0], out);
    double level = sqrt(out[0] / (double)n) / 32768.0, mean = out[1] / (double)n / 32768.0;
    /* one and a half periods have a mean, and a lopsided wave has its middle off zero: an offset has both */
    double middle = out[6] / 32768.0, offset = mean * middle > 0.0 ? fmin(fabs(mean), fabs(middle)) : 0.0;
    out[4] = level;
    out[5] = mean;
    if (out[3] > limits[1] * (double)n && out[3] > 2.0) return 1;
    if (offset >= limits[2] && offset >= limits[3] * level) return 2;
    if (out[2] < limits[4]) return 3;
    return 0;
}
