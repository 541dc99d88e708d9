/* The decoder's inner loops in AVX2. */
#include "decode.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>

#define INSTRUCTIONS __attribute__((target("avx2,fma")))
#define NAME mn_decode_avx2
#define VEC __m256
#define WIDTH 8
#define MOST_ROWS 6
#define LOAD _mm256_loadu_ps
#define STORE _mm256_storeu_ps
#define SET1 _mm256_set1_ps
#define ADD _mm256_add_ps
#define SUB _mm256_sub_ps
#define MUL _mm256_mul_ps
#define MAX _mm256_max_ps
#define FMA _mm256_fmadd_ps
#include "decode_kernels.h"
#else
const mn_decode_set *mn_decode_avx2(void) { return NULL; }
#endif
