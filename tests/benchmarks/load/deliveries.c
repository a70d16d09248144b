/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "deliveries.h"

#include <stdio.h>
#include <unistd.h>

#define WINDOW_PAUSE_US 100

/* A key as long as a real one: /device/HOST/NAME/DEVICE/COMMAND. */
int topic_of(char *topic, uint64_t number, const struct options *options)
{
    unsigned key = (unsigned) (number == PROBE ? 0 : 1 + number % (uint64_t) options->keys);

    return snprintf(topic, TOPIC_ROOM, "/device/bench/fake/lamp%07u/value", key);
}

/* Keeps the publisher at most --window updates ahead of the slowest subscriber: what is measured is the rate
 * that a broker sustains, not how much it can hoard. */
void await_window(struct progress *progress, uint64_t number, const struct options *options)
{
    while (!stopped && !atomic_load(&progress->over)
           && number >= atomic_load(&progress->slowest) + (uint64_t) options->window)
        usleep(WINDOW_PAUSE_US);
}

void count_update(struct tally *tally, struct span *span, uint64_t number, uint64_t of)
{
    uint64_t now = now_ns();

    if (tally->received++ == 0 && span->first_ns == 0)
        span->first_ns = now;
    span->last_ns = now;
    if (number < tally->next)
        tally->disordered++;
    else
        tally->next = number + 1;
    tally->done = tally->next == of;
}

/* Prints the counts; returns 0 if everything arrived once and in order. */
int report_deliveries(const struct options *options, const struct tally *tallies, const struct span *span)
{
    uint64_t deliveries = 0, disordered = 0, due = options->count * (uint64_t) options->subscribers;
    double seconds = (double) (span->last_ns - span->first_ns) / 1e9, rate;

    for (int i = 0; i < options->subscribers; i++) {
        deliveries += tallies[i].received;
        disordered += tallies[i].disordered;
    }
    rate = seconds > 0 ? (double) deliveries / seconds : 0;
    printf("{\"rate\": %.1f, \"updates_per_s\": %.1f, \"deliveries\": %llu, \"lost\": %llu, \"disordered\": %llu,"
           " \"seconds\": %.3f}\n",
           rate, rate / options->subscribers, (unsigned long long) deliveries,
           (unsigned long long) (due > deliveries ? due - deliveries : 0), (unsigned long long) disordered, seconds);
    return deliveries == due && disordered == 0 ? 0 : 1;
}
