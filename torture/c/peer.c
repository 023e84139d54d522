/*
 * The other side of tests/rpcgen.rs: what rpcgen makes of torture.x, and libtirpc.
 *
 *   peer echo                   decodes each value that comes, encodes it again, and sends that back
 *   peer make SEED INDEX COUNT  sends so many values of chance of a type
 *
 * A value comes and goes as the index of its type, a length, and so many octets, all numbers big-endian. What is refused goes back
 * as the length REFUSED and nothing else.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "torture.h"

struct subject {
    size_t size;
    xdrproc_t proc;
};

/* subjects.h has a line SUBJECT(name) for each type, in the order of their indexes. */
static const struct subject subjects[] = {
#define SUBJECT(name) {sizeof(name), (xdrproc_t)xdr_##name},
#include "subjects.h"
};

enum { SUBJECT_COUNT = sizeof subjects / sizeof subjects[0], LEN_MAX = 1 << 20 };
static const uint32_t REFUSED = 0xffffffff;

static char buffer[LEN_MAX];

static void die(const char *why)
{
    fprintf(stderr, "peer: %s\n", why);
    exit(1);
}

/* Returns whether there is another number. */
static int read_number(uint32_t *number)
{
    unsigned char four[4];
    if (fread(four, 1, sizeof four, stdin) != sizeof four)
        return 0;
    *number = (uint32_t)four[0] << 24 | four[1] << 16 | four[2] << 8 | four[3];
    return 1;
}

static void write_number(uint32_t number)
{
    unsigned char four[] = {number >> 24, number >> 16, number >> 8, number};
    fwrite(four, 1, sizeof four, stdout);
}

/* Sends a value, unless it does not let itself be encoded; returns whether it did. */
static int write_value(uint32_t index, void *value)
{
    XDR encoder;
    xdrmem_create(&encoder, buffer, LEN_MAX, XDR_ENCODE);
    if (!subjects[index].proc(&encoder, value))
        return 0;
    write_number(index);
    write_number(xdr_getpos(&encoder));
    fwrite(buffer, 1, xdr_getpos(&encoder), stdout);
    return 1;
}

static void *new_value(uint32_t index)
{
    void *value = calloc(1, subjects[index].size);
    if (value == NULL)
        die("no memory");
    return value;
}

static void free_value(uint32_t index, void *value)
{
    xdr_free(subjects[index].proc, value);
    free(value);
}

static void echo(void)
{
    uint32_t index, len;
    while (read_number(&index)) {
        if (index >= SUBJECT_COUNT || !read_number(&len) || len > LEN_MAX || fread(buffer, 1, len, stdin) != len)
            die("no such type, or not so many octets");
        void *value = new_value(index);
        XDR decoder;
        xdrmem_create(&decoder, buffer, len, XDR_DECODE);
        int is_read = subjects[index].proc(&decoder, value) && xdr_getpos(&decoder) == len;
        if (!is_read || !write_value(index, value)) {
            write_number(index);
            write_number(REFUSED);
        }
        free_value(index, value);
    }
}

/* SplitMix64. */
static uint64_t state;

static uint64_t next(void)
{
    uint64_t mixed = state += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return mixed ^ mixed >> 31;
}

/*
 * A stream of chance: decoding from it makes a value. After so many numbers it has zeros only, so that lists and trees come to an
 * end, and after many more nothing at all, for what has asked for a count of millions.
 */
static int number_count, number_count_max;

static uint32_t draw(void)
{
    /* Among them floats and halves of doubles that are infinite or no numbers, some with a payload. */
    static const uint32_t edges[] = {255,        256,        0x7fffffff, 0x80000000, 0xffffffff, 0x7f800000,
                                     0x7f800001, 0xffc12345, 0x7ff00000, 0xfff00001, 0xfffffffb, 11};
    uint64_t bits = next();
    if (number_count > number_count_max)
        return 0;
    switch (bits % 8) {
    case 0: case 1: case 2: return 0;
    case 3: return 1;
    case 4: case 5: return bits / 8 % 4;
    case 6: return bits / 8 % 12;
    default: return bits / 8 % 2 ? edges[bits / 16 % (sizeof edges / sizeof edges[0])] : bits >> 32;
    }
}

static bool_t chance_number(XDR *xdrs, long *number)
{
    (void)xdrs;
    *number = (int32_t)draw();
    return ++number_count < 100000;
}

static bool_t chance_octets(XDR *xdrs, char *to, u_int len)
{
    (void)xdrs;
    if (len > 4096)
        return FALSE;
    for (u_int i = 0; i < len; i++)
        to[i] = next();
    return TRUE;
}

/* The octets are nowhere to be had at once. */
static int32_t *chance_inline(XDR *xdrs, u_int len)
{
    (void)xdrs, (void)len;
    return NULL;
}

static void make(uint32_t index, uint32_t count)
{
    static const struct xdr_ops ops = {
        .x_getlong = chance_number, .x_getbytes = chance_octets, .x_inline = chance_inline};
    while (count > 0) {
        void *value = new_value(index);
        XDR chance = {.x_op = XDR_DECODE, .x_ops = &ops};
        number_count = 0;
        number_count_max = next() % 200;
        if (subjects[index].proc(&chance, value) && write_value(index, value))
            count--;
        free_value(index, value);
    }
}

int main(int argc, char **argv)
{
    /* Whoever draws a count of millions gets no memory for it. */
    struct rlimit limit = {64 << 20, 64 << 20};
    setrlimit(RLIMIT_AS, &limit);
    if (argc == 2 && strcmp(argv[1], "echo") == 0) {
        echo();
    } else if (argc == 5 && strcmp(argv[1], "make") == 0) {
        uint32_t index = strtoul(argv[3], NULL, 10);
        if (index >= SUBJECT_COUNT)
            die("no such type");
        state = strtoull(argv[2], NULL, 10);
        make(index, strtoul(argv[4], NULL, 10));
    } else {
        die("echo, or make SEED INDEX COUNT");
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
