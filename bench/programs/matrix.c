// SPDX-License-Identifier: Apache-2.0
// A piece of bench/workload: products of matrices of doubles, by SSE2 and by AVX2 with FMA, as a compiler writes them.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { size = 128 };

typedef double Matrix[size][size];

// The same loops twice, compiled for two kinds of processor.
#define PRODUCT(name, kind)                                                                                                                      \
    __attribute__((noinline, target(kind), optimize("O3", "fast-math"))) static void name(Matrix to, Matrix a, Matrix b) {                        \
        for (int i = 0; i < size; ++i) {                                                                                                         \
            for (int j = 0; j < size; ++j)                                                                                                       \
                to[i][j] = 0;                                                                                                                    \
            for (int k = 0; k < size; ++k)                                                                                                       \
                for (int j = 0; j < size; ++j)                                                                                                   \
                    to[i][j] += a[i][k] * b[k][j];                                                                                               \
        }                                                                                                                                        \
    }

PRODUCT(by_sse2, "sse2")
PRODUCT(by_avx2, "avx2,fma")

static Matrix a, b, c;

int main(int argc, char** argv) {
    const int times = argc > 1 ? atoi(argv[1]) : 1;
    uint32_t seed = 1;
    for (int i = 0; i < size; ++i)
        for (int j = 0; j < size; ++j) {
            a[i][j] = (double)(seed = seed * 1664525u + 1013904223u) / 4294967296.0;
            b[i][j] = (double)(seed = seed * 1664525u + 1013904223u) / 4294967296.0 / size;
        }
    for (int n = 0; n < 40 * times; ++n) {
        by_sse2(c, a, b);
        by_avx2(a, c, b); // a row of b sums up to about a half: what is added below does not grow beyond bounds
        for (int i = 0; i < size; ++i)
            for (int j = 0; j < size; ++j)
                a[i][j] = a[i][j] + c[i][j] / 2 + b[j][i];
    }
    uint64_t sum = 0, bits;
    for (int i = 0; i < size; ++i)
        for (int j = 0; j < size; ++j) {
            memcpy(&bits, &a[i][j], sizeof bits);
            sum = sum * 31 + bits;
        }
    printf("%llx %g\n", (unsigned long long)sum, a[3][5]);
}
