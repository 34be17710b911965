/* A closed-loop Modbus TCP load client: CONNECTIONS connections with one FC3 request each under way.
 *
 * Usage: modbus_load PORT CONNECTIONS QUANTITY SECONDS
 * Prints: requests per second, median and 99th percentile of the latency in microseconds, wrong answers.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FIRST = 1000, WARM_MS = 100, MOST_SAMPLES = 1 << 22, EVENTS = 256 };

typedef struct {
    int fd;
    uint16_t transaction;
    double sent;
    int length;
    unsigned char bytes[600];
} Client;

static int quantity;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void ask(Client *client)
{
    unsigned char request[12] = {0, 0, 0, 0, 0, 6, 1, 3, FIRST >> 8, FIRST & 255, quantity >> 8, quantity & 255};
    client->transaction++;
    request[0] = client->transaction >> 8;
    request[1] = client->transaction & 255;
    client->length = 0;
    client->sent = now();
    if (write(client->fd, request, sizeof request) != sizeof request) {
        perror("write");
        exit(1);
    }
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

int main(int count, char **arguments)
{
    if (count != 5)
        return 2;
    int connections = atoi(arguments[2]), epoll = epoll_create1(0);
    quantity = atoi(arguments[3]);
    int expected = 9 + 2 * quantity;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    Client *clients = calloc((size_t)connections, sizeof *clients);
    float *latencies = malloc(MOST_SAMPLES * sizeof *latencies);
    size_t samples = 0;
    long wrong = 0, answered = 0;

    for (int i = 0; i < connections; i++) {
        int one = 1;
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        clients[i].fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(clients[i].fd, (struct sockaddr *)&address, sizeof address) != 0) {
            perror("connect");
            return 1;
        }
        setsockopt(clients[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        fcntl(clients[i].fd, F_SETFL, O_NONBLOCK);
        epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &event);
        ask(&clients[i]);
    }
    double start = now() + WARM_MS / 1000.0, end = start + atof(arguments[4]);
    while (now() < end) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, 2000);
        if (ready == 0) {
            fprintf(stderr, "no answer for 2 s\n");
            return 1;
        }
        for (int j = 0; j < ready; j++) {
            Client *c = &clients[events[j].data.u32];
            ssize_t got = read(c->fd, c->bytes + c->length, sizeof c->bytes - (size_t)c->length);
            if (got <= 0) {
                fprintf(stderr, "the connection was closed\n");
                return 1;
            }
            c->length += (int)got;
            int refused = c->length >= 9 && (c->bytes[7] & 0x80);
            if (c->length < expected && !refused)
                continue;
            wrong += refused || c->length != expected || c->bytes[7] != 3 || c->bytes[8] != 2 * quantity ||
                     (c->bytes[0] << 8 | c->bytes[1]) != c->transaction;
            double at = now();
            if (at >= start) {
                answered++;
                if (samples < MOST_SAMPLES)
                    latencies[samples++] = (float)((at - c->sent) * 1e6);
            }
            ask(c);
        }
    }
    qsort(latencies, samples, sizeof *latencies, by_size);
    printf("%.0f %.1f %.1f %ld\n", (double)answered / (now() - start), samples ? latencies[samples / 2] : 0,
           samples ? latencies[(size_t)((double)samples * 0.99)] : 0, wrong);
    return 0;
}
