/* A libmodbus server for comparisons: one map of as many registers as coils, holding and input alike.
 *
 * Usage: libmodbus_server PORT SIZE   (port 0: any free one).
 * Prints the port once it listens on 127.0.0.1; ends with its parent.
 * One thread and select(), the way libmodbus's own documentation serves several clients.
 */
#include <arpa/inet.h>
#include <modbus/modbus.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WAITING = 512 };

static int listening_port(int listener)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    if (getsockname(listener, (struct sockaddr *)&address, &length) != 0)
        return -1;
    return ntohs(address.sin_port);
}

/* libmodbus refuses port 0 on some versions, so the listener is made here. */
static int listen_on(int port)
{
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, WAITING) != 0)
        return -1;
    return listener;
}

int main(int count, char **arguments)
{
    modbus_t *context = modbus_new_tcp("127.0.0.1", 0);
    int size = count == 3 ? atoi(arguments[2]) : 0;
    modbus_mapping_t *map = modbus_mapping_new(size, 0, size, 0);
    int listener = listen_on(count == 3 ? atoi(arguments[1]) : 0), highest = listener;
    fd_set all;
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (size <= 0 || context == NULL || map == NULL || listener < 0)
        return 1;
    map->nb_input_registers = size;
    map->tab_input_registers = map->tab_registers;
    map->nb_input_bits = size;
    map->tab_input_bits = map->tab_bits;
    printf("%d\n", listening_port(listener));
    fflush(stdout);
    FD_ZERO(&all);
    FD_SET(listener, &all);
    for (;;) {
        fd_set ready = all;
        if (select(highest + 1, &ready, NULL, NULL, NULL) < 0)
            return 1;
        for (int socket = 0; socket <= highest; socket++) {
            if (!FD_ISSET(socket, &ready))
                continue;
            if (socket == listener) {
                int client = accept(listener, NULL, NULL), one = 1;
                if (client < 0)
                    continue;
                setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                FD_SET(client, &all);
                highest = client > highest ? client : highest;
                continue;
            }
            modbus_set_socket(context, socket);
            int length = modbus_receive(context, query);
            if (length > 0)
                modbus_reply(context, query, length, map);
            else if (length < 0) {
                close(socket);
                FD_CLR(socket, &all);
            }
        }
    }
}
