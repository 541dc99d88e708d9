/* The decoder's inner loops in AVX-512, products of bfloat16. */
#include "decode.h"

#if defined(__x86_64__) || defined(_M_X64)
#include "decode_avx512.h"

#define INSTRUCTIONS __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx512bf16,fma")))
#define NAME mn_decode_avx512_bf16
#define PAIRS(a, b, c) _mm512_dpbf16_ps(c, (__m512bh)(a), (__m512bh)(b))
#define HALVE(place, a) _mm256_storeu_si256((__m256i *)(place), (__m256i)_mm512_cvtneps_pbh(a))
#include "decode_kernels.h"
#else
const mn_decode_set *mn_decode_avx512_bf16(void) { return NULL; }
#endif
