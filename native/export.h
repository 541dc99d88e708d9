/* Real-time kernels of menura. Conventions:
 * - audio is float, interleaved [frames][channels]; positions are 64-bit frame counts from the stream's start;
 * - state lives in memory of the caller (mn_X_size bytes, aligned to 16, zeroed by mn_X_init); nothing is allocated here;
 * - results depend on sample positions only, never on how the input was cut into calls;
 * - no static mutable data: any number of instances may run in parallel. */
#ifndef MENURA_EXPORT_H
#define MENURA_EXPORT_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define MN_API __declspec(dllexport)
#else
#define MN_API __attribute__((visibility("default")))
#endif

#define MN_PI 3.14159265358979323846

#endif
