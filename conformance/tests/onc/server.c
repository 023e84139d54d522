/* A server of calc.x: prints its UDP and its TCP port, and serves until its standard input ends. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "calc.h"

void calc_1(struct svc_req *request, SVCXPRT *transport);
void calc_2(struct svc_req *request, SVCXPRT *transport);

int *add_1_svc(pair *argument, struct svc_req *request) {
    static int sum;
    (void)request;
    sum = argument->a + argument->b;
    return &sum;
}

octets *echo_1_svc(octets *argument, struct svc_req *request) {
    (void)request;
    return argument;
}

pair *swap_2_svc(pair *argument, struct svc_req *request) {
    static pair swapped;
    (void)request;
    swapped.a = argument->b;
    swapped.b = argument->a;
    return &swapped;
}

int main(void) {
    SVCXPRT *transports[2];
    transports[0] = svcudp_create(RPC_ANYSOCK);
    transports[1] = svctcp_create(RPC_ANYSOCK, 0, 0);
    for (int index = 0; index < 2; index++) {
        /* No protocol: no portmapper is told. */
        if (transports[index] == NULL || !svc_register(transports[index], CALC, CALC_V1, calc_1, 0)
            || !svc_register(transports[index], CALC, CALC_V2, calc_2, 0)) {
            return 1;
        }
    }
    printf("%d %d\n", transports[0]->xp_port, transports[1]->xp_port);
    fflush(stdout);
    for (;;) {
        struct pollfd ready[1024];
        int count = svc_max_pollfd;
        for (int index = 0; index < count; index++) {
            ready[index] = svc_pollfd[index];
        }
        ready[count].fd = STDIN_FILENO;
        ready[count].events = POLLIN;
        ready[count].revents = 0;
        int ready_count = poll(ready, count + 1, -1);
        if (ready_count < 0 || ready[count].revents != 0) {
            return 0;
        }
        svc_getreq_poll(ready, ready_count);
    }
}
