/* What the decoder's inner loops are written in where vectors have 512 bits. */
#ifndef MENURA_DECODE_AVX512_H
#define MENURA_DECODE_AVX512_H

#include <immintrin.h>

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

#endif
