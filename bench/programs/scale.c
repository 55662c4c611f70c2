// SPDX-License-Identifier: Apache-2.0
// For bench/scaling: scale code|memory|processes|workers SIZE. Each does the same amount of work whatever the size is, between marker lines;
// what it prepares for that lies before them.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static uint32_t seed = 1;

static uint32_t next(void) {
    seed ^= seed << 13;
    seed ^= seed >> 17;
    return seed ^= seed << 5;
}

static void mark(const char* kind, long size, const char* what, uint64_t result) {
    char line[100];
    const int length = snprintf(line, sizeof line, "SCALE %s %ld %s %llx\n", kind, size, what, (unsigned long long)result);
    if (write(1, line, (size_t)length) != length)
        _exit(1);
}

static char* map(size_t size, int rights) {
    char* const at = mmap(NULL, size, PROT_READ | PROT_WRITE | rights, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) {
        perror("scale");
        _exit(1);
    }
    return at;
}

/// SIZE KiB of functions that are called one after the other, all of them, in an order of no pattern: 4 million calls, after so many of each
/// that all have become hot.
static uint64_t code(long size) {
    enum { bytes = 64, calls = 4000000, warm = 120 };
    const unsigned count = (unsigned)(size * 1024 / bytes);
    char* const at = map((size_t)count * bytes, PROT_EXEC);
    unsigned* const order = malloc(count * sizeof *order);
    for (unsigned n = 0; n < count; ++n) {
        // lea eax,[rdi+rdi*4+n]; test al,1; je +3; add eax,n+1; xor eax,7; ret
        unsigned char f[] = {0x8d, 0x84, 0xbf, 0, 0, 0, 0, 0xa8, 0x01, 0x74, 0x05, 0x05, 0, 0, 0, 0, 0x83, 0xf0, 0x07, 0xc3};
        const unsigned more = n + 1;
        memcpy(f + 3, &n, 4);
        memcpy(f + 12, &more, 4);
        memcpy(at + (size_t)n * bytes, f, sizeof f);
        order[n] = n;
    }
    for (unsigned n = count - 1; n > 0; --n) {
        const unsigned other = next() % (n + 1), kept = order[n];
        order[n] = order[other];
        order[other] = kept;
    }
    unsigned value = 1;
    const unsigned before = warm * count;
    for (unsigned n = 0, k = 0; n < before + calls; ++n, k = k + 1 == count ? 0 : k + 1) {
        if (n == before)
            mark("code", size, "begin", 0);
        value = ((unsigned (*)(unsigned))(at + (size_t)order[k] * bytes))(value);
    }
    return value;
}

/// Two million words read and written anywhere in SIZE MiB that have been touched before.
static uint64_t memory(long size) {
    enum { accesses = 2000000 };
    const size_t words = (size_t)size << 17;
    uint64_t* const at = (uint64_t*)map(words * 8, 0);
    madvise(at, words * 8, MADV_NOHUGEPAGE);
    for (size_t n = 0; n < words; n += 512)
        at[n] = n;
    uint64_t sum = 0;
    mark("memory", size, "begin", 0);
    for (unsigned n = 0; n < accesses; ++n) {
        uint64_t* const word = at + ((uint64_t)next() << 7 ^ next()) % words;
        sum += *word;
        *word = sum;
    }
    return sum;
}

/// SIZE processes in a ring, all alive: a number goes from one to the next, 20,000 hops; each writes to 16 pages of its own on the way.
static uint64_t processes(long size) {
    enum { hops = 20000, pages = 16 };
    int first[2], from, to[2];
    if (pipe(first))
        return 0;
    from = first[0];
    for (long n = 0; n < size; ++n) {
        if (pipe(to))
            return 0;
        if (fork() == 0) {
            close(to[0]);
            close(first[1]);
            char* const own = map(pages * 4096, 0);
            uint32_t value;
            while (read(from, &value, sizeof value) == sizeof value) {
                for (int page = 0; page < pages; ++page)
                    value += (unsigned)++own[page * 4096];
                if (write(to[1], &value, sizeof value) != sizeof value)
                    break;
            }
            _exit(0);
        }
        close(from);
        close(to[1]);
        from = to[0];
    }
    uint32_t value = 1;
    const long rounds = hops / size > 0 ? hops / size : 1;
    for (long n = -1; n < rounds; ++n) { // once around, so that all have begun
        if (n == 0)
            mark("processes", size, "begin", 0);
        if (write(first[1], &value, sizeof value) != sizeof value || read(from, &value, sizeof value) != sizeof value)
            return 0;
    }
    close(first[1]);
    const uint64_t result = value;
    mark("processes", size, "end", result);
    while (wait(NULL) > 0) {}
    return result;
}

/// Sixteen workers with the same work each, on however many processors there are; SIZE is only told.
static uint64_t workers(long size) {
    enum { count = 16, steps = 3000000 };
    uint32_t* const results = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    mark("workers", size, "begin", 0);
    for (int n = 0; n < count; ++n)
        if (fork() == 0) {
            seed = (uint32_t)n + 1;
            uint32_t sum = 0, table[256] = {0};
            for (int k = 0; k < steps; ++k)
                sum += table[next() & 255] += (uint32_t)k;
            results[n] = sum;
            _exit(0);
        }
    while (wait(NULL) > 0) {}
    uint64_t sum = 0;
    for (int n = 0; n < count; ++n)
        sum = sum * 31 + results[n];
    return sum;
}

int main(int argc, char** argv) {
    static const struct {
        const char* name;
        uint64_t (*run)(long size);
    } kinds[] = {{"code", code}, {"memory", memory}, {"processes", processes}, {"workers", workers}};
    for (unsigned n = 0; argc == 3 && n < sizeof kinds / sizeof *kinds; ++n)
        if (strcmp(argv[1], kinds[n].name) == 0) {
            const long size = atol(argv[2]);
            const uint64_t result = kinds[n].run(size);
            if (kinds[n].run != processes)
                mark(kinds[n].name, size, "end", result);
            return 0;
        }
    fprintf(stderr, "scale: want code, memory, processes or workers, and a size\n");
    return 2;
}
