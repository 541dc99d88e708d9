/* The decoder's inner loops in NEON. */
#include "decode.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#define INSTRUCTIONS
#define NAME mn_decode_neon
#define VEC float32x4_t
#define WIDTH 4
#define MOST_ROWS 6
#define LOAD vld1q_f32
#define STORE vst1q_f32
#define SET1 vdupq_n_f32
#define ADD vaddq_f32
#define SUB vsubq_f32
#define MUL vmulq_f32
#define MAX vmaxq_f32
#define FMA(a, b, c) vfmaq_f32(c, a, b)
#include "decode_kernels.h"
#else
const mn_decode_set *mn_decode_neon(void) { return NULL; }
#endif
