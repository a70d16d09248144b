/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the parts of the load generator share. See main.c for the modes and their options.
 */
#ifndef RASPY_LOAD_H
#define RASPY_LOAD_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#define MOST_FRAMES 16      /* extra request frames that a command line may give */
#define MOST_SOCKETS 1024   /* workers or subscribers of one process */

/* How to tell the reply of one outstanding request from that of another. */
enum check {
    CHECK_ECHO,         /* the last body frame is the request's own: checked, and timed exactly */
    CHECK_FIRST,        /* the first body frame is a status; replies are counted in order */
    CHECK_LAST,         /* the last body frame is a status; replies are counted in order */
};

struct options {
    const char *endpoint;               /* where to connect; for a relay, the front it binds */
    const char *back;                   /* the second endpoint: a relay's back, kv's publisher */
    const char *service;                /* MDP service name */
    const char *frames[MOST_FRAMES];    /* body frames before the payload */
    int frame_count;
    enum check check;                   /* how the client reads a reply */
    int outstanding;                    /* requests under way in each client */
    int clients;                        /* client threads, each with its own socket */
    int workers;                        /* worker sockets */
    int credit;                         /* requests a worker takes at once; 0: says nothing in READY */
    int bare;                           /* workers of a bare proxy: echo, no MDP */
    int subscribers;
    int keys;                           /* distinct keys or topics */
    int window;                         /* updates that may be ahead of the slowest subscriber */
    int qos;                            /* MQTT quality of service of what is published */
    int retain;                         /* publish retained messages */
    int durable;                        /* leave a persistent subscriber away, so that all is queued */
    int pubsub;                         /* the relay carries PULL to PUB instead of ROUTER to DEALER */
    size_t size;                        /* bytes of the payload */
    uint64_t count;                     /* requests or updates; 0: go by seconds */
    double seconds;                     /* how long to measure */
    double warmup_s;                    /* before measuring */
    double timeout_s;                   /* silence after which what is missing counts as lost */
};

/* Measured times, in nanoseconds, of one thread. */
struct samples {
    uint32_t *ns;
    size_t count, room;
};

extern volatile sig_atomic_t stopped;   /* set by SIGTERM and SIGINT */

uint64_t now_ns(void);
uint64_t to_ns(double seconds);
void die(const char *what) __attribute__((noreturn));       /* with errno's text */
void need(int ok, const char *what);                        /* die unless ok */
void *allocate(size_t count, size_t size);

void add_sample(struct samples *samples, uint64_t ns);
void join_samples(struct samples *into, const struct samples *from);
double percentile_us(struct samples *samples, double fraction);     /* sorts; 0 when empty */

void *connect_socket(void *context, int type, const char *endpoint);
void number_to_wire(unsigned char *wire, uint64_t number);  /* 8 bytes, network order */
uint64_t number_from_wire(const unsigned char *wire);

int run_clients(const struct options *options);
int run_workers(const struct options *options);
int run_relay(const struct options *options);
int run_key_value(const struct options *options);
int run_mqtt(const struct options *options);
int run_mqtt_publisher(const struct options *options);

#endif
