/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Updates through an MQTT broker: to many subscribers at QoS 0, or acknowledged at QoS 1 and 2.
 */
#include "deliveries.h"
#include "mqtt_link.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char FILTER[] = "/device/#";

static void publish(struct link *link, const struct options *options, uint64_t number, int id)
{
    char topic[TOPIC_ROOM];
    size_t length = (size_t) topic_of(topic, number, options);
    unsigned char type = (unsigned char) (PUBLISH | options->qos << 1 | options->retain);
    unsigned char *place = put_packet(link, type, 2 + length + (options->qos ? 2 : 0) + options->size);

    place = put_text(place, topic, length);
    if (options->qos) {
        *place++ = (unsigned char) (id >> 8);
        *place++ = (unsigned char) id;
    }
    memset(place, 0, options->size);
    number_to_wire(place, number);
}

struct subscribers {
    const struct options *options;
    struct link *links;
    struct pollfd *items;
    struct tally *tallies;
    struct span span;
    struct progress progress;
};

static void *receive(void *argument)
{
    struct subscribers *all = argument;
    const struct options *options = all->options;
    int waiting = options->subscribers, timeout_ms = (int) (options->timeout_s * 1000);

    while (!stopped && waiting && poll(all->items, (nfds_t) options->subscribers, timeout_ms) > 0) {
        uint64_t slowest = options->count;

        waiting = 0;
        for (int i = 0; i < options->subscribers; i++) {
            struct link *link = &all->links[i];
            struct packet_view view;

            if (all->items[i].revents && fill_link(link)) {
                size_t offset = 0;

                while (take_packet(link, &offset, &view))
                    if ((view.type & 0xf0) == PUBLISH && view.size >= options->size)
                        count_update(&all->tallies[i], &all->span,
                                     number_from_wire(view.body + view.size - options->size), options->count);
                keep_rest(link, offset);
            }
            waiting += !all->tallies[i].done;
            slowest = all->tallies[i].next < slowest ? all->tallies[i].next : slowest;
        }
        atomic_store(&all->progress.slowest, slowest);
    }
    atomic_store(&all->progress.over, 1);
    return NULL;
}

int run_mqtt(const struct options *options)
{
    struct subscribers all = {.options = options};
    struct link publisher = {0};
    pthread_t thread;
    char id[32];
    int status;

    need(options->count > 0, "--count is missing");
    all.links = allocate((size_t) options->subscribers, sizeof *all.links);
    all.items = allocate((size_t) options->subscribers, sizeof *all.items);
    all.tallies = allocate((size_t) options->subscribers, sizeof *all.tallies);
    for (int i = 0; i < options->subscribers; i++) {
        snprintf(id, sizeof id, "subscriber-%d", i);
        open_link(&all.links[i], options, id, 1);
        subscribe_link(&all.links[i], FILTER, 0);
        fcntl(all.links[i].fd, F_SETFL, O_NONBLOCK);
        all.items[i].fd = all.links[i].fd;
        all.items[i].events = POLLIN;
    }
    open_link(&publisher, options, "publisher", 1);
    need(pthread_create(&thread, NULL, receive, &all) == 0, "thread");
    for (uint64_t number = 0; number < options->count && !stopped; number++) {
        if (number >= atomic_load(&all.progress.slowest) + (uint64_t) options->window) {
            flush_link(&publisher);
            await_window(&all.progress, number, options);
        }
        publish(&publisher, options, number, 0);
    }
    flush_link(&publisher);
    pthread_join(thread, NULL);
    status = report_deliveries(options, all.tallies, &all.span);
    close_link(&publisher);
    for (int i = 0; i < options->subscribers; i++)
        close_link(&all.links[i]);
    free(all.links);
    free(all.items);
    free(all.tallies);
    return status;
}

/* QoS 1: PUBLISH, PUBACK. QoS 2: PUBLISH, PUBREC, PUBREL, PUBCOMP. Each packet id is a slot, from 1. */
int run_mqtt_publisher(const struct options *options)
{
    struct link link = {0}, away = {0};
    struct samples samples = {0};
    uint64_t *sent_ns = allocate((size_t) options->outstanding + 1, sizeof *sent_ns);
    uint64_t sent = 0, acknowledged = 0, wanted = options->count ? options->count : UINT64_MAX;
    uint64_t start, last;

    need(options->qos > 0, "--qos 1 or 2");
    if (options->durable) {
        open_link(&away, options, "away", 0);
        subscribe_link(&away, FILTER, options->qos);
        close_link(&away);
    }
    open_link(&link, options, "publisher", 1);
    start = last = now_ns();
    for (int id = 1; id <= options->outstanding && sent < wanted; id++) {
        sent_ns[id] = now_ns();
        publish(&link, options, sent++, id);
    }
    flush_link(&link);
    while (!stopped && acknowledged < sent && fill_link(&link)) {
        struct packet_view view;
        size_t offset = 0;

        while (take_packet(&link, &offset, &view)) {
            int kind = view.type & 0xf0, id = view.size >= 2 ? view.body[0] << 8 | view.body[1] : 0;

            if (kind == PUBREC)
                memcpy(put_packet(&link, PUBREL, 2), view.body, 2);
            if ((kind != PUBACK && kind != PUBCOMP) || id > options->outstanding)
                continue;
            last = now_ns();
            acknowledged++;
            add_sample(&samples, last - sent_ns[id]);
            if (sent < wanted && (options->count || last - start < to_ns(options->seconds))) {
                sent_ns[id] = last;
                publish(&link, options, sent++, id);
            }
        }
        keep_rest(&link, offset);
        flush_link(&link);
    }
    printf("{\"rate\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"requests\": %llu, \"lost\": %llu}\n",
           last > start ? (double) acknowledged * 1e9 / (double) (last - start) : 0,
           percentile_us(&samples, 0.50), percentile_us(&samples, 0.99), (unsigned long long) acknowledged,
           (unsigned long long) (sent - acknowledged));
    close_link(&link);
    free(samples.ns);
    free(sent_ns);
    return sent == acknowledged ? 0 : 1;
}
