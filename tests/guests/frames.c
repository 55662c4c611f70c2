// SPDX-License-Identifier: Apache-2.0
// Sends crafted Ethernet frames through a raw socket, or prints those that arrive: a program for Linux in the test guest.
//
// frames send INTERFACE HEX [COUNT]         HEX may have spaces and colons; frames are padded to 60 bytes
// frames listen INTERFACE SECONDS TYPE      prints "got SOURCE > DESTINATION vlan N HEX" of frames with this Ethertype (hexadecimal)

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { largest = 9018, least = 60, shown = 32 };

static int fail(const char* what) {
    fprintf(stderr, "frames: %s: %s\n", what, strerror(errno));
    return 1;
}

static int open_on(const char* name, int protocol) {
    const int s = socket(AF_PACKET, SOCK_RAW, htons((unsigned short)protocol));
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons((unsigned short)protocol), .sll_ifindex = (int)if_nametoindex(name)};
    if (s < 0 || !to.sll_ifindex || bind(s, (struct sockaddr*)&to, sizeof to) != 0)
        return -1;
    return s;
}

static int send_frames(const char* name, const char* text, long count) {
    static unsigned char frame[largest];
    size_t size = 0;
    for (const char* p = text; *p && size < sizeof frame;) {
        unsigned byte;
        if (*p == ' ' || *p == ':') {
            ++p;
        } else if (sscanf(p, "%2x", &byte) == 1) {
            frame[size++] = (unsigned char)byte;
            p += p[1] ? 2 : 1;
        } else {
            errno = EINVAL;
            return fail(text);
        }
    }
    if (size < least)
        size = least;
    const int s = open_on(name, 0);
    if (s < 0)
        return fail(name);
    long sent = 0;
    for (; sent < count; ++sent)
        if (send(s, frame, size, 0) != (ssize_t)size)
            return fail("send");
    printf("sent %ld\n", sent);
    return 0;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int listen_for(const char* name, double seconds, unsigned type) {
    const int s = open_on(name, ETH_P_ALL), one = 1;
    if (s < 0 || setsockopt(s, SOL_PACKET, PACKET_AUXDATA, &one, sizeof one) != 0)
        return fail(name);
    const double end = now() + seconds;
    for (double left = seconds; left > 0; left = end - now()) {
        struct pollfd waits = {.fd = s, .events = POLLIN};
        if (poll(&waits, 1, (int)(left * 1000) + 1) <= 0)
            continue;
        unsigned char f[largest] = {0}, control[256];
        struct sockaddr_ll from;
        struct iovec part = {f, sizeof f};
        struct msghdr m = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        if (recvmsg(s, &m, 0) < 14 || from.sll_pkttype == PACKET_OUTGOING || (unsigned)(f[12] << 8 | f[13]) != type)
            continue;
        int vlan = -1;
        for (struct cmsghdr* c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
            if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA) {
                struct tpacket_auxdata a;
                memcpy(&a, CMSG_DATA(c), sizeof a);
                if (a.tp_status & TP_STATUS_VLAN_VALID)
                    vlan = a.tp_vlan_tci & 0xfff;
            }
        printf("got %02x:%02x:%02x:%02x:%02x:%02x > %02x:%02x:%02x:%02x:%02x:%02x vlan %d ", f[6], f[7], f[8], f[9], f[10], f[11], f[0], f[1], f[2], f[3], f[4],
               f[5], vlan);
        for (int n = 14; n < shown; ++n)
            printf("%02x", f[n]);
        printf("\n");
        fflush(stdout);
    }
    return 0;
}

int main(int argc, char** argv) {
    if (argc >= 4 && strcmp(argv[1], "send") == 0)
        return send_frames(argv[2], argv[3], argc > 4 ? atol(argv[4]) : 1);
    if (argc == 5 && strcmp(argv[1], "listen") == 0)
        return listen_for(argv[2], atof(argv[3]), (unsigned)strtoul(argv[4], 0, 16));
    fprintf(stderr, "frames: see the head of its source\n");
    return 2;
}
