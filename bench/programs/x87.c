// SPDX-License-Identifier: Apache-2.0
// A piece of bench/workload: arithmetic in long double, which compilers do on the x87.
#include <stdio.h>
#include <stdlib.h>

/// Steps until the point leaves the circle.
static int steps(long double a, long double b) {
    long double x = 0, y = 0;
    int n = 0;
    while (n < 200 && x * x + y * y < 4) {
        const long double t = x * x - y * y + a;
        y = 2 * x * y + b;
        x = t;
        ++n;
    }
    return n;
}

/// Solves a small system of equations by elimination.
static long double solve(int seed) {
    enum { size = 12 };
    long double m[size][size + 1];
    for (int i = 0; i < size; ++i)
        for (int k = 0; k <= size; ++k)
            m[i][k] = (long double)((i * 31 + k * 17 + seed) % 97 + 1) / (i + k + 1) + (i == k ? 100 : 0);
    for (int i = 0; i < size; ++i)
        for (int r = 0; r < size; ++r) {
            if (r == i)
                continue;
            const long double f = m[r][i] / m[i][i];
            for (int k = i; k <= size; ++k)
                m[r][k] -= f * m[i][k];
        }
    long double sum = 0;
    for (int i = 0; i < size; ++i) {
        long double root = __builtin_fabsl(m[i][size] / m[i][i]);
        __asm__("fsqrt" : "+t"(root));
        sum += root;
    }
    return sum;
}

int main(int argc, char** argv) {
    const int times = argc > 1 ? atoi(argv[1]) : 1;
    long total = 0;
    long double sum = 0;
    for (int n = 0; n < 40 * times; ++n) {
        for (int i = 0; i < 40; ++i)
            for (int k = 0; k < 40; ++k)
                total += steps((i - 28) / 14.0L, (k - 20) / 14.0L + n * 1e-5L);
        for (int i = 0; i < 40; ++i)
            sum += solve(n * 40 + i);
    }
    printf("%ld %ld %La\n", total, (long)(sum * 1000), sum);
}
