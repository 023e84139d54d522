/* A client of calc.x: client udp|tcp PORT, with one call after the other, each told in a line. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calc.h"

static const char *transport;
static struct sockaddr_in address;

static CLIENT *create(unsigned long program, unsigned long version) {
    struct sockaddr_in server = address;
    int socket = RPC_ANYSOCK;
    struct timeval wait = {1, 0};
    CLIENT *client = strcmp(transport, "udp") == 0 ? clntudp_create(&server, program, version, wait, &socket)
                                                   : clnttcp_create(&server, program, version, &socket, 0, 0);
    if (client == NULL) {
        clnt_pcreateerror("create");
        exit(1);
    }
    return client;
}

static void told(const char *name, CLIENT *client, enum clnt_stat status) {
    struct rpc_err error;
    clnt_geterr(client, &error);
    printf("%s %d", name, status);
    if (status == RPC_PROGVERSMISMATCH) {
        printf(" %u %u", (unsigned)error.re_vers.low, (unsigned)error.re_vers.high);
    }
    printf("\n");
}

static enum clnt_stat call(CLIENT *client, unsigned long procedure, xdrproc_t encode, void *argument, xdrproc_t decode,
    void *result) {
    struct timeval timeout = {20, 0};
    return clnt_call(client, procedure, encode, argument, decode, result, timeout);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        return 2;
    }
    transport = argv[1];
    address.sin_family = AF_INET;
    address.sin_port = htons(atoi(argv[2]));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    CLIENT *client = create(CALC, CALC_V1);
    pair both = {40, 2};
    int sum = 0;
    told("null", client, call(client, 0, (xdrproc_t)xdr_void, NULL, (xdrproc_t)xdr_void, NULL));
    told("add", client, call(client, ADD, (xdrproc_t)xdr_pair, &both, (xdrproc_t)xdr_int, &sum));
    printf("sum %d\n", sum);

    /* Over TCP, more than one fragment each way. */
    octets text, echo = {0, NULL};
    text.octets_len = strcmp(transport, "udp") == 0 ? 5000 : 300000;
    text.octets_val = malloc(text.octets_len);
    for (u_int index = 0; index < text.octets_len; index++) {
        text.octets_val[index] = 'a' + index % 23;
    }
    told("echo", client, call(client, ECHO, (xdrproc_t)xdr_octets, &text, (xdrproc_t)xdr_octets, &echo));
    printf("same %d\n", echo.octets_len == text.octets_len && memcmp(echo.octets_val, text.octets_val, text.octets_len) == 0);

    told("procedure", client, call(client, 99, (xdrproc_t)xdr_void, NULL, (xdrproc_t)xdr_void, NULL));
    told("garbage", client, call(client, ADD, (xdrproc_t)xdr_int, &sum, (xdrproc_t)xdr_int, &sum));
    client->cl_auth = authunix_create_default();
    told("sys", client, call(client, ADD, (xdrproc_t)xdr_pair, &both, (xdrproc_t)xdr_int, &sum));

    client = create(CALC, 7);
    told("version", client, call(client, 0, (xdrproc_t)xdr_void, NULL, (xdrproc_t)xdr_void, NULL));
    client = create(CALC + 1, 1);
    told("program", client, call(client, 0, (xdrproc_t)xdr_void, NULL, (xdrproc_t)xdr_void, NULL));
    client = create(CALC, CALC_V2);
    pair swapped = {0, 0};
    told("swap", client, call(client, SWAP, (xdrproc_t)xdr_pair, &both, (xdrproc_t)xdr_pair, &swapped));
    printf("swapped %d %d\n", swapped.a, swapped.b);
    return 0;
}
