/*
 * What rpcgen makes of mixed.x, in loops of its own.
 *
 * Reads octets from its first argument, a file. Then, for each line "encode COUNT" or "decode COUNT" on standard input, does so as
 * often and writes the nanoseconds it took.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mixed.h"

static long long nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void decode(char *octets, u_int len, mixed *value)
{
    XDR xdr;
    memset(value, 0, sizeof *value);
    xdrmem_create(&xdr, octets, len, XDR_DECODE);
    if (!xdr_mixed(&xdr, value)) {
        abort();
    }
    xdr_destroy(&xdr);
}

static void encode(char *out, u_int room, mixed *value)
{
    XDR xdr;
    xdrmem_create(&xdr, out, room, XDR_ENCODE);
    if (!xdr_mixed(&xdr, value)) {
        abort();
    }
    xdr_destroy(&xdr);
}

int main(int argc, char **argv)
{
    static char octets[1 << 16], out[1 << 16];
    FILE *file = fopen(argc > 1 ? argv[1] : "", "rb");
    if (file == NULL) {
        perror("octets");
        return 1;
    }
    u_int len = (u_int)fread(octets, 1, sizeof octets, file);
    fclose(file);

    mixed value;
    decode(octets, len, &value);
    encode(out, sizeof out, &value);
    if (memcmp(octets, out, len) != 0) {
        fprintf(stderr, "C encodes other octets\n");
        return 1;
    }

    char what[16];
    unsigned long count;
    while (scanf("%15s %lu", what, &count) == 2) {
        long long start = nanoseconds();
        if (strcmp(what, "encode") == 0) {
            for (unsigned long round = 0; round < count; round++) {
                encode(out, sizeof out, &value);
            }
        } else {
            for (unsigned long round = 0; round < count; round++) {
                mixed copy;
                decode(octets, len, &copy);
                xdr_free((xdrproc_t)xdr_mixed, (char *)&copy);
            }
        }
        printf("%lld\n", nanoseconds() - start);
        fflush(stdout);
    }
    return 0;
}
