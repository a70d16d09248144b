/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Counting updates on their way to many subscribers, whatever carries them.
 *
 * An update's payload starts with [number, 8 bytes]: 0, 1, 2 ... in the order published, or PROBE for
 * what is sent only to learn that a subscription works.
 */
#ifndef RASPY_LOAD_DELIVERIES_H
#define RASPY_LOAD_DELIVERIES_H

#include "load.h"

#include <stdatomic.h>

#define PROBE UINT64_MAX
#define TOPIC_ROOM 64

/* What reached one subscriber. */
struct tally {
    uint64_t received;
    uint64_t next;              /* the number that should come next */
    uint64_t disordered;        /* updates that came twice or late, or whose sequence didn't ascend */
    uint64_t sequence;          /* the last sequence of the Clone pattern */
    int done;                   /* the last update has arrived */
};

struct span {
    uint64_t first_ns, last_ns; /* first and last delivery to any subscriber */
};

/* What the receiving thread tells the publishing one. */
struct progress {
    atomic_ullong slowest;      /* the number that the slowest subscriber waits for */
    atomic_int over;            /* nobody receives any more */
};

int topic_of(char *topic, uint64_t number, const struct options *options);  /* returns its length */
void await_window(struct progress *progress, uint64_t number, const struct options *options);
void count_update(struct tally *tally, struct span *span, uint64_t number, uint64_t of);
int report_deliveries(const struct options *options, const struct tally *tallies, const struct span *span);

#endif
