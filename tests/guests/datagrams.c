// SPDX-License-Identifier: Apache-2.0
// Frames between two systems, counted: a server that does what it is told, and whoever tells it. A static program for Linux guests.
//
//   frames serve                               until it is told to end
//   frames ADDRESS COMMAND...                  one command to the server there:
//     mark                                     it executes VMCALL: a VM exit of its own kind, by which a person outside knows the place
//     shell TEXT                               it runs the text, and says its exit status
//     stream COUNT SIZE NANOSECONDS            gets so many datagrams of SIZE bytes, one each so many nanoseconds (0: at once)
//     pull COUNT SIZE                          sends so many here, as fast as it may
//     busy on|off                              something of no importance keeps its processor busy
//     end
//   frames sink PORT                           takes one TCP connection to its end, says how many bytes came
//   frames source ADDRESS PORT BYTES           and this is the other end
//
// What is in the frames comes from a generator with a fixed seed.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { port = 9000, most = 9000, patience = 60 };

typedef struct {
    char kind; // 'd' data; 'm' 's' 'r' 'p' 'b' 'e' commands; 'a' the answer to one
    uint64_t sequence;
    uint64_t number[3];
    char text[512];
} __attribute__((packed)) Message;

static char noise[most];

static void fail(const char* what) {
    perror(what);
    exit(1);
}

static void fill(void) {
    uint64_t x = 0x9e3779b97f4a7c15;
    for (unsigned i = 0; i < most; ++i) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        noise[i] = (char)x;
    }
    noise[0] = 'd';
}

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int udp(unsigned own) {
    const int s = socket(AF_INET, SOCK_DGRAM, 0);
    const int size = 64 << 20;
    setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)own)};
    if (s < 0 || bind(s, (struct sockaddr*)&a, sizeof a))
        fail("socket");
    return s;
}

static struct sockaddr_in at(const char* address, unsigned where) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)where)};
    if (!inet_aton(address, &a.sin_addr))
        fail(address);
    return a;
}

static void wait_for(int s, uint64_t nanoseconds) {
    const struct timeval t = {.tv_sec = (time_t)(nanoseconds / 1000000000), .tv_usec = (suseconds_t)(nanoseconds % 1000000000 / 1000)};
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
}

// ---- the server -----------------------------------------------------------------------------------------------------

static pid_t spinner;

static void busy(int on) {
    if (spinner)
        kill(spinner, SIGKILL), waitpid(spinner, NULL, 0);
    spinner = 0;
    if (on && (spinner = fork()) == 0) {
        const struct sched_param none = {0};
        sched_setscheduler(0, SCHED_IDLE, &none);
        for (;;)
            __asm__ volatile("" ::: "memory");
    }
}

static int serve(void) {
    const int s = udp(port);
    static char buffer[most];
    Message answer = {.kind = 'a'};
    uint64_t frames = 0;
    for (;;) {
        struct sockaddr_in from;
        socklen_t length = sizeof from;
        const ssize_t n = recvfrom(s, buffer, sizeof buffer, 0, (struct sockaddr*)&from, &length);
        if (n < 1)
            continue;
        if (buffer[0] == 'd') {
            ++frames;
            continue;
        }
        Message m = {0};
        memcpy(&m, buffer, (size_t)n < sizeof m ? (size_t)n : sizeof m);
        m.text[sizeof m.text - 1] = 0;
        if (m.sequence != answer.sequence) { // a repetition gets the same answer
            answer.sequence = m.sequence;
            answer.number[0] = 0;
            switch (m.kind) {
            case 'm': __asm__ volatile("vmcall" : : "a"(~0ul) : "memory"); break;
            case 's': answer.number[0] = (uint64_t)system(m.text); break;
            case 'r': answer.number[0] = frames, frames = 0; break;
            case 'b': busy((int)m.number[0]); break;
            case 'p':
                for (uint64_t i = 0; i < m.number[0]; ++i)
                    while (sendto(s, noise, m.number[1], 0, (struct sockaddr*)&from, length) < 0 && (errno == ENOBUFS || errno == EAGAIN))
                        ;
                break;
            }
        }
        sendto(s, &answer, sizeof answer, 0, (struct sockaddr*)&from, length);
        if (m.kind == 'e')
            return 0;
    }
}

// ---- whoever tells it -----------------------------------------------------------------------------------------------

static uint64_t pulled; // data that came while an answer was waited for

static uint64_t ask(int s, const struct sockaddr_in* to, Message m) {
    m.sequence = now();
    for (unsigned turn = 0; turn < patience; ++turn) {
        const size_t size = offsetof(Message, text) + strlen(m.text) + 1;
        sendto(s, &m, size, 0, (const struct sockaddr*)to, sizeof *to);
        wait_for(s, 1000000000);
        static char buffer[most];
        ssize_t n;
        while ((n = recv(s, buffer, sizeof buffer, 0)) > 0) {
            Message a;
            memcpy(&a, buffer, sizeof a < (size_t)n ? sizeof a : (size_t)n);
            if (a.kind == 'd')
                ++pulled;
            else if (n == sizeof a && a.kind == 'a' && a.sequence == m.sequence)
                return a.number[0];
        }
    }
    fprintf(stderr, "frames: no answer\n");
    exit(1);
}

static int tell(const char* address, int count, char** words) {
    const struct sockaddr_in to = at(address, port);
    const int s = udp(0);
    const char* what = words[0];
    Message m = {.kind = what[0]};
    const uint64_t first = count > 1 ? strtoull(words[1], NULL, 0) : 0, second = count > 2 ? strtoull(words[2], NULL, 0) : 0;
    if (!strcmp(what, "mark") || !strcmp(what, "end")) {
        ask(s, &to, m);
    } else if (!strcmp(what, "busy") && count == 2) {
        m.number[0] = !strcmp(words[1], "on");
        ask(s, &to, m);
    } else if (!strcmp(what, "shell") && count == 2) {
        strncpy(m.text, words[1], sizeof m.text - 1);
        return ask(s, &to, m) != 0;
    } else if (!strcmp(what, "stream") && count == 4 && second <= most) {
        const uint64_t pause = strtoull(words[3], NULL, 0);
        m.kind = 'r';
        ask(s, &to, m); // counts from 0
        uint64_t due = now();
        for (uint64_t i = 0; i < first; ++i, due += pause) {
            const struct timespec t = {.tv_sec = (time_t)(due / 1000000000), .tv_nsec = (long)(due % 1000000000)};
            if (pause)
                clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
            while (sendto(s, noise, second, 0, (const struct sockaddr*)&to, sizeof to) < 0 && (errno == ENOBUFS || errno == EAGAIN))
                ;
        }
        usleep(20000); // throttled ones too
        printf("came %llu\n", (unsigned long long)ask(s, &to, m));
    } else if (!strcmp(what, "pull") && count == 3 && second <= most) {
        m.number[0] = first, m.number[1] = second;
        ask(s, &to, m);
        printf("came %llu\n", (unsigned long long)pulled);
    } else {
        fprintf(stderr, "frames: %s: no such command\n", what);
        return 2;
    }
    return 0;
}

// ---- a stream of bytes ----------------------------------------------------------------------------------------------

static int sink(unsigned where) {
    const int l = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)where)};
    if (l < 0 || bind(l, (struct sockaddr*)&a, sizeof a) || listen(l, 1))
        fail("listen");
    const int s = accept(l, NULL, NULL);
    static char buffer[1 << 18];
    uint64_t bytes = 0;
    ssize_t n;
    while ((n = read(s, buffer, sizeof buffer)) > 0)
        bytes += (uint64_t)n;
    printf("bytes %llu\n", (unsigned long long)bytes);
    return n < 0;
}

static int source(const char* address, unsigned where, uint64_t bytes) {
    const struct sockaddr_in to = at(address, where);
    const int s = socket(AF_INET, SOCK_STREAM, 0);
    if (s < 0 || connect(s, (const struct sockaddr*)&to, sizeof to))
        fail("connect");
    static char buffer[1 << 16];
    for (unsigned i = 0; i < sizeof buffer; ++i)
        buffer[i] = noise[i % most];
    while (bytes) {
        const ssize_t n = write(s, buffer, bytes < sizeof buffer ? bytes : sizeof buffer);
        if (n <= 0)
            fail("write");
        bytes -= (uint64_t)n;
    }
    shutdown(s, SHUT_WR);
    char last;
    return read(s, &last, 1) != 0; // until the other end has all
}

int main(int count, char** words) {
    fill();
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (count == 2 && !strcmp(words[1], "serve"))
        return serve();
    if (count == 3 && !strcmp(words[1], "sink"))
        return sink((unsigned)atoi(words[2]));
    if (count == 5 && !strcmp(words[1], "source"))
        return source(words[2], (unsigned)atoi(words[3]), strtoull(words[4], NULL, 0));
    if (count >= 3)
        return tell(words[1], count - 2, words + 2);
    fprintf(stderr, "frames: the head of frames.c says how\n");
    return 2;
}
