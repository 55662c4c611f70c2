// SPDX-License-Identifier: Apache-2.0
// Pieces of bench/workload that are work of the kernel: kernel getpid|faults|pipe TIMES.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/// System calls that do next to nothing.
static long getpid_loop(int times) {
    long same = 0;
    const long self = syscall(SYS_getpid);
    for (int n = 0; n < 200000 * times; ++n)
        same += syscall(SYS_getpid) == self;
    return same;
}

/// Memory that is mapped, touched page by page, and unmapped.
static long faults(int times) {
    enum { size = 4 << 20 };
    long zeros = 0;
    for (int n = 0; n < 20 * times; ++n) {
        char* const at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at == MAP_FAILED)
            return -1;
        madvise(at, size, MADV_NOHUGEPAGE);
        for (long page = 0; page < size; page += 4096) {
            zeros += at[page] == 0;
            at[page + 8] = 1;
        }
        munmap(at, size);
    }
    return zeros;
}

/// A byte that goes to another process and back.
static long ping_pong(int times) {
    int to[2], from[2];
    char byte = 0;
    long sum = 0;
    if (pipe(to) || pipe(from))
        return -1;
    const pid_t other = fork();
    if (other == 0) {
        close(to[1]);
        while (read(to[0], &byte, 1) == 1) {
            ++byte;
            if (write(from[1], &byte, 1) != 1)
                break;
        }
        _exit(0);
    }
    for (int n = 0; n < 10000 * times; ++n) {
        if (write(to[1], &byte, 1) != 1 || read(from[0], &byte, 1) != 1)
            return -1;
        sum += (unsigned char)byte;
    }
    close(to[1]);
    waitpid(other, NULL, 0);
    return sum;
}

int main(int argc, char** argv) {
    static const struct {
        const char* name;
        long (*run)(int times);
    } pieces[] = {{"getpid", getpid_loop}, {"faults", faults}, {"pipe", ping_pong}};
    for (unsigned n = 0; argc == 3 && n < sizeof pieces / sizeof *pieces; ++n)
        if (strcmp(argv[1], pieces[n].name) == 0)
            return printf("%ld\n", pieces[n].run(atoi(argv[2]))) < 0;
    fprintf(stderr, "kernel: want getpid, faults or pipe, and how many times\n");
    return 2;
}
