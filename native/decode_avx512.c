/* The decoder's inner loops in AVX-512. */
#include "decode.h"

#if defined(__x86_64__) || defined(_M_X64)
#include "decode_avx512.h"

#define INSTRUCTIONS __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,fma")))
#define NAME mn_decode_avx512
#include "decode_kernels.h"
#else
const mn_decode_set *mn_decode_avx512(void) { return NULL; }
#endif
