/* A closed-loop BACnet/IP load client: WINDOW confirmed requests under way from one socket, or a COV subscriber.
 *
 * Usage: bacnet_load PORT rp|rpm|cov WINDOW SECONDS FIRST COUNT
 *   rp   ReadProperty of Present_Value, analog inputs FIRST .. FIRST+COUNT-1 in turn
 *   rpm  ReadPropertyMultiple of 20 of them, Present_Value and Status_Flags each
 *   cov  subscribes to all of them (unconfirmed, WINDOW at once), then counts notifications
 * An answer is right when it is a Complex-ACK that names the objects asked for, each with a Real as Present_Value.
 * Prints: answers (or notifications) per second, median and 99th percentile of the latency in microseconds (0 for
 * cov), wrong answers, requests without an answer.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { OBJECTS = 20, IDS = 256, MOST_SAMPLES = 1 << 22, OCTETS = 1500, LOST_US = 3000000, WARM_US = 300000 };
enum { READ_PROPERTY = 12, READ_MULTIPLE = 14, SUBSCRIBE = 5 };

static int service, first, count;
static double sent_at[IDS];
static long asked[IDS];
static float samples[MOST_SAMPLES];

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec * 1e-3;
}

static int put_object(unsigned char *at, unsigned instance)
{
    at[0] = 0x0c;
    at[1] = 0;
    at[2] = instance >> 16 & 0x3f;
    at[3] = instance >> 8;
    at[4] = instance;
    return 5;
}

/* The request number `number` with this invoke id; its length. */
static int build(unsigned char *to, int invoke, long number)
{
    int at = 0;
    const unsigned char head[] = {0x81, 0x0a, 0, 0, 1, 4, 0x02, 0x75, invoke, service};
    memcpy(to, head, sizeof head);
    at = sizeof head;
    if (service == READ_PROPERTY) {
        at += put_object(to + at, first + number % count);
        to[at++] = 0x19;
        to[at++] = 85;
    } else if (service == READ_MULTIPLE) {
        for (int i = 0; i < OBJECTS; i++) {
            const unsigned char props[] = {0x1e, 0x09, 85, 0x09, 111, 0x1f};
            at += put_object(to + at, first + (number * OBJECTS + i) % count);
            memcpy(to + at, props, sizeof props);
            at += sizeof props;
        }
    } else {
        to[at++] = 0x09;
        to[at++] = 1;
        at += put_object(to + at, first + number % count);
        to[at - 5] = 0x1c;
        const unsigned char tail[] = {0x29, 0, 0x3a, 0x02, 0x58};
        memcpy(to + at, tail, sizeof tail);
        at += sizeof tail;
    }
    to[2] = at >> 8;
    to[3] = at;
    return at;
}

/* Whether the octets are the answer to request `number`: its objects in order, Present_Value and Real each. */
static int is_answer(const unsigned char *apdu, int length, long number)
{
    if (service == SUBSCRIBE)
        return apdu[0] == 0x20 && apdu[2] == SUBSCRIBE;
    if (apdu[0] != 0x30 || apdu[2] != service)
        return 0;
    int objects = service == READ_MULTIPLE ? OBJECTS : 1, at = 3;
    for (int i = 0; i < objects; i++) {
        /* The same object, then [1] 85 [3] Real [/3], or [1] [2] 85 [4] Real [/4] [2] 111 [4] bits [/4] [/1]. */
        const unsigned char one[] = {0x19, 85, 0x3e, 0x44}, many[] = {0x1e, 0x29, 85, 0x4e, 0x44};
        const unsigned char *head = service == READ_MULTIPLE ? many : one;
        int size = service == READ_MULTIPLE ? sizeof many : sizeof one;
        unsigned char object[5];
        put_object(object, first + (number * objects + i) % count);
        if (at + 5 + size + 5 > length || memcmp(apdu + at, object, 5) || memcmp(apdu + at + 5, head, size))
            return 0;
        at += 5 + size + 4 + 1;
        if (service == READ_MULTIPLE) {
            const unsigned char flags[] = {0x29, 111, 0x4e, 0x82, 0x04};
            if (at + 8 > length || memcmp(apdu + at, flags, sizeof flags))
                return 0;
            at += 8;
        }
    }
    return at == length;
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    if (argc != 7)
        return 2;
    int cov = !strcmp(argv[2], "cov"), window = atoi(argv[3]);
    double seconds = atof(argv[4]);
    first = atoi(argv[5]);
    count = atoi(argv[6]);
    service = cov ? SUBSCRIBE : !strcmp(argv[2], "rpm") ? READ_MULTIPLE : READ_PROPERTY;
    struct sockaddr_in own = {.sin_family = AF_INET}, to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    own.sin_addr.s_addr = to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_DGRAM, 0), room = 1 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(fd, (void *)&own, sizeof own) || connect(fd, (void *)&to, sizeof to)) {
        perror("socket");
        return 1;
    }
    long number = 0, right = 0, wrong = 0, lost = 0, told = 0, used = 0;
    int busy = 0, next = 0;
    double began = now_us() + WARM_US, end = began + seconds * 1e6;
    unsigned char out[OCTETS], in[OCTETS];
    while (now_us() < end) {
        while (busy < window && !(cov && number >= count)) {
            while (sent_at[next])
                next = (next + 1) % IDS;
            asked[next] = number;
            int length = build(out, next, number++);
            sent_at[next] = now_us();
            busy++;
            next = (next + 1) % IDS;
            if (send(fd, out, length, 0) < 0)
                perror("send");
        }
        struct pollfd ready = {fd, POLLIN, 0};
        poll(&ready, 1, 20);
        int length;
        while ((length = recv(fd, in, sizeof in, MSG_DONTWAIT)) > 0) {
            double at = now_us();
            if (length > 8 && in[6] == 0x10 && in[7] == 2) {
                told += at >= began;
                continue;
            }
            int invoke = in[7];
            if (length < 9 || !sent_at[invoke])
                continue;
            int good = is_answer(in + 6, length - 6, asked[invoke]);
            if (at >= began) {
                right += good;
                wrong += !good;
                if (used < MOST_SAMPLES)
                    samples[used++] = at - sent_at[invoke];
            }
            sent_at[invoke] = 0;
            busy--;
        }
        for (int i = 0; i < IDS && busy; i++)
            if (sent_at[i] && now_us() - sent_at[i] > LOST_US) {
                sent_at[i] = 0;
                busy--;
                lost++;
            }
    }
    qsort(samples, used, sizeof *samples, by_size);
    double p50 = used && !cov ? samples[used / 2] : 0, p99 = used && !cov ? samples[(long)(used * .99)] : 0;
    printf("%.1f %.1f %.1f %ld %ld\n", (cov ? told : right) / seconds, p50, p99, wrong, lost);
    return 0;
}
