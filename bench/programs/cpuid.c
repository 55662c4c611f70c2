// SPDX-License-Identifier: Apache-2.0
// A piece of bench/workload: CPUID, which in a guest of a hypervisor is a VM exit and a VM entry, and natively an instruction.
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
    const int times = argc > 1 ? atoi(argv[1]) : 1;
    unsigned long same = 0;
    for (int n = 0; n < 20000 * times; ++n) {
        unsigned a = 0, b, c = 0, d;
        __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
        same += b != 0;
    }
    printf("%lu\n", same);
}
