/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Clock, memory, samples and socket set-up of the load generator.
 */
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

volatile sig_atomic_t stopped;

uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
}

uint64_t to_ns(double seconds)
{
    return (uint64_t) (seconds * 1e9);
}

void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, zmq_strerror(errno));
    exit(1);
}

void need(int ok, const char *what)
{
    if (!ok)
        die(what);
}

void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);

    need(memory != NULL, "memory");
    return memory;
}

void add_sample(struct samples *samples, uint64_t ns)
{
    if (samples->count == samples->room) {
        samples->room = samples->room ? samples->room * 2 : 1 << 16;
        samples->ns = realloc(samples->ns, samples->room * sizeof *samples->ns);
        need(samples->ns != NULL, "memory");
    }
    samples->ns[samples->count++] = ns < UINT32_MAX ? (uint32_t) ns : UINT32_MAX;
}

void join_samples(struct samples *into, const struct samples *from)
{
    for (size_t i = 0; i < from->count; i++)
        add_sample(into, from->ns[i]);
}

static int by_value(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *) left, b = *(const uint32_t *) right;

    return (a > b) - (a < b);
}

double percentile_us(struct samples *samples, double fraction)
{
    if (samples->count == 0)
        return 0;
    qsort(samples->ns, samples->count, sizeof *samples->ns, by_value);
    return samples->ns[(size_t) (fraction * (double) (samples->count - 1))] / 1e3;
}

/* No high-water marks: what is lost must be lost by the broker. Closing drops what is unsent. */
void *connect_socket(void *context, int type, const char *endpoint)
{
    void *socket = zmq_socket(context, type);
    int none = 0;

    need(socket != NULL, "socket");
    zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(socket, ZMQ_RCVHWM, &none, sizeof none);
    need(zmq_connect(socket, endpoint) == 0, endpoint);
    return socket;
}

void number_to_wire(unsigned char *wire, uint64_t number)
{
    for (int i = 7; i >= 0; i--, number >>= 8)
        wire[i] = (unsigned char) number;
}

uint64_t number_from_wire(const unsigned char *wire)
{
    uint64_t number = 0;

    for (int i = 0; i < 8; i++)
        number = number << 8 | wire[i];
    return number;
}
