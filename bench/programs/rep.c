// SPDX-License-Identifier: Apache-2.0
// A piece of bench/workload: repeated string instructions on one page and on more.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static void movsb(void* to, const void* from, long n) { __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory"); }

static void movsq(void* to, const void* from, long n) {
    n /= 8;
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

static void stosb(void* to, int value, long n) { __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(value) : "memory"); }

static void stosq(void* to, long value, long n) {
    n /= 8;
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(n) : "a"(value) : "memory");
}

static long scasb(const char* at, int value, long n) {
    const long all = n;
    __asm__ volatile("repne scasb" : "+D"(at), "+c"(n) : "a"(value) : "memory", "cc");
    return all - n;
}

static long cmpsb(const void* a, const void* b, long n) {
    const long all = n;
    __asm__ volatile("repe cmpsb" : "+S"(a), "+D"(b), "+c"(n) : : "memory", "cc");
    return all - n;
}

int main(int argc, char** argv) {
    const int times = argc > 1 ? atoi(argv[1]) : 1;
    enum { size = 1 << 20 };
    char* a = aligned_alloc(4096, size);
    char* b = aligned_alloc(4096, size);
    uint64_t sum = 0;
    stosb(a, 0, size);
    stosb(b, 0, size);
    for (int n = 0; n < 8 * times; ++n)
        for (long piece = 4096; piece <= size; piece *= 16) {
            for (long at = 0; at + piece <= size; at += piece) {
                stosb(a + at, n, piece);
                stosq(b + at, 0x0101010101010101 * (n & 127), piece);
                a[at + piece - 1] = (char)(at >> 12);
                sum += scasb(b + at, 0xff, piece) + cmpsb(a + at, b + at, piece);
                movsb(b + at, a + at, piece);
                movsq(a + at, b + at, piece);
                sum += (unsigned char)b[at + piece - 1];
            }
        }
    printf("%llu\n", (unsigned long long)sum);
}
