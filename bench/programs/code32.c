// SPDX-License-Identifier: Apache-2.0
// flags: -m32 -ffreestanding -nostdlib -fno-pic -fno-stack-protector
// A piece of bench/workload: a program of 32-bit code in compatibility mode. It sorts, hashes and calls, and needs no C library.

static int call(int number, int a, int b, int c) {
    int result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
    return result;
}

static unsigned numbers[4096];

static void sort(unsigned* a, int low, int high) {
    while (low < high) {
        const unsigned pivot = a[low + (high - low) / 2];
        int i = low - 1, k = high + 1;
        for (;;) {
            while (a[++i] < pivot) {}
            while (a[--k] > pivot) {}
            if (i >= k)
                break;
            const unsigned t = a[i];
            a[i] = a[k];
            a[k] = t;
        }
        sort(a, low, k);
        low = k + 1;
    }
}

static unsigned hash(const unsigned char* at, unsigned size) {
    unsigned h = 2166136261u;
    while (size--)
        h = (h ^ *at++) * 16777619u;
    return h;
}

static unsigned ackermann(unsigned m, unsigned n) { return m == 0 ? n + 1 : n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1)); }

__attribute__((used)) static void start(const int* stack) {
    int times = 1;
    if (stack[0] > 1) {
        times = 0;
        for (const char* at = (const char*)stack[2]; *at; ++at)
            times = times * 10 + (*at - '0');
    }
    unsigned seed = 1, sum = 0;
    for (int n = 0; n < 200 * times; ++n) {
        for (unsigned i = 0; i < 4096; ++i)
            numbers[i] = seed = seed * 1664525u + 1013904223u;
        sort(numbers, 0, 4095);
        for (unsigned i = 1; i < 4096; ++i)
            sum += numbers[i - 1] > numbers[i]; // never
        sum = sum * 31 + hash((const unsigned char*)numbers, sizeof numbers) + ackermann(2, 60 + (numbers[7] & 7));
    }
    char text[9];
    for (int n = 0; n < 8; ++n)
        text[n] = "0123456789abcdef"[sum >> (28 - 4 * n) & 15];
    text[8] = '\n';
    call(4, 1, (int)text, 9);
    call(1, 0, 0, 0);
}

__asm__(".globl _start\n_start:\n\tmov %esp, %eax\n\tpush %eax\n\tcall start\n");
