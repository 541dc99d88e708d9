/* The decoder's inner loops in AVX-512, fast convolutions in bfloat16. */
#include "decode.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>

#define INSTRUCTIONS __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx512bf16,fma")))
#define NAME mn_decode_avx512_bf16
#define VEC __m512
#define WIDTH 16
#define MOST_ROWS 12
#define LOAD _mm512_loadu_ps
#define STORE _mm512_storeu_ps
#define SET1 _mm512_set1_ps
#define ADD _mm512_add_ps
#define SUB _mm512_sub_ps
#define MUL _mm512_mul_ps
#define MAX _mm512_max_ps
#define FMA _mm512_fmadd_ps
#define PAIRS(a, b, c) _mm512_dpbf16_ps(c, (__m512bh)(a), (__m512bh)(b))
#define HALVE(place, a) _mm256_storeu_si256((__m256i *)(place), (__m256i)_mm512_cvtneps_pbh(a))
#include "decode_kernels.h"
#else
const mn_decode_set *mn_decode_avx512_bf16(void) { return NULL; }
#endif
