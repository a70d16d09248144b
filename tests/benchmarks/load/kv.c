/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The Clone pattern's updates [key][sequence, 8 bytes][body]: one PUSH, many SUB sockets.
 */
#include "deliveries.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <zmq.h>

#define PROBE_PAUSE_MS 10
static const char PREFIX[] = "/device/";

struct subscribers {
    const struct options *options;
    zmq_pollitem_t *items;
    struct tally *tallies;
    struct span span;
    atomic_int ready;           /* subscribers that have seen a probe */
    struct progress progress;
};

/* Takes one update; returns 0 when there is none. Frames beyond the third are not expected. */
static int take(struct subscribers *all, int index, int *probed)
{
    void *socket = all->items[index].socket;
    struct tally *tally = &all->tallies[index];
    uint64_t sequence = 0, number = 0;
    zmq_msg_t frame;
    int more = 1;

    for (int place = 0; more; place++) {
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, socket, place ? 0 : ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&frame);
            return 0;
        }
        more = zmq_msg_more(&frame);
        if (place == 1 && zmq_msg_size(&frame) == 8)
            sequence = number_from_wire(zmq_msg_data(&frame));
        if (place == 2 && zmq_msg_size(&frame) >= 8)
            number = number_from_wire(zmq_msg_data(&frame));
        zmq_msg_close(&frame);
    }
    if (number == PROBE) {
        if (!*probed) {
            *probed = 1;
            atomic_fetch_add(&all->ready, 1);
        }
        return 1;
    }
    if (tally->received && sequence <= tally->sequence)
        tally->disordered++;
    tally->sequence = sequence;
    count_update(tally, &all->span, number, all->options->count);
    return 1;
}

static void *subscribe(void *argument)
{
    struct subscribers *all = argument;
    const struct options *options = all->options;
    void *context = zmq_ctx_new();
    int *probed = allocate((size_t) options->subscribers, sizeof *probed);
    int waiting = options->subscribers;

    for (int i = 0; i < options->subscribers; i++) {
        all->items[i].socket = connect_socket(context, ZMQ_SUB, options->back);
        all->items[i].events = ZMQ_POLLIN;
        zmq_setsockopt(all->items[i].socket, ZMQ_SUBSCRIBE, PREFIX, sizeof PREFIX - 1);
    }
    while (!stopped && waiting) {
        uint64_t slowest = options->count;
        int found = zmq_poll(all->items, options->subscribers, (long) (options->timeout_s * 1000));

        if (found == 0 || (found < 0 && errno != EINTR))
            break;
        waiting = 0;
        for (int i = 0; i < options->subscribers; i++) {
            if (all->items[i].revents & ZMQ_POLLIN)
                while (take(all, i, &probed[i]))
                    ;
            waiting += !all->tallies[i].done;
            slowest = all->tallies[i].next < slowest ? all->tallies[i].next : slowest;
        }
        atomic_store(&all->progress.slowest, slowest);
    }
    atomic_store(&all->progress.over, 1);
    for (int i = 0; i < options->subscribers; i++)
        zmq_close(all->items[i].socket);
    zmq_ctx_term(context);
    free(probed);
    return NULL;
}

static void publish(void *socket, const struct options *options, unsigned char *payload, uint64_t number)
{
    char topic[TOPIC_ROOM];
    unsigned char sequence[8];
    int length = topic_of(topic, number, options);

    number_to_wire(sequence, number == PROBE ? 0 : number + 1);
    number_to_wire(payload, number);
    zmq_send(socket, topic, (size_t) length, ZMQ_SNDMORE);
    zmq_send(socket, sequence, sizeof sequence, ZMQ_SNDMORE);
    if (zmq_send(socket, payload, options->size, 0) < 0 && errno != EINTR)
        die("publish");
}

int run_key_value(const struct options *options)
{
    struct subscribers all = {.options = options};
    void *context = zmq_ctx_new(), *socket;
    unsigned char *payload = allocate(options->size, 1);
    uint64_t patience = now_ns() + to_ns(options->timeout_s);
    pthread_t thread;
    int status;

    need(options->back != NULL && options->count > 0, "--back and --count are needed");
    all.items = allocate((size_t) options->subscribers, sizeof *all.items);
    all.tallies = allocate((size_t) options->subscribers, sizeof *all.tallies);
    socket = connect_socket(context, ZMQ_PUSH, options->endpoint);
    need(pthread_create(&thread, NULL, subscribe, &all) == 0, "thread");
    while (atomic_load(&all.ready) < options->subscribers && now_ns() < patience && !stopped) {
        publish(socket, options, payload, PROBE);
        zmq_poll(NULL, 0, PROBE_PAUSE_MS);
    }
    for (uint64_t number = 0; number < options->count && !stopped; number++) {
        await_window(&all.progress, number, options);
        publish(socket, options, payload, number);
    }
    pthread_join(thread, NULL);
    status = report_deliveries(options, all.tallies, &all.span);
    zmq_close(socket);
    zmq_ctx_term(context);
    free(all.items);
    free(all.tallies);
    free(payload);
    return status;
}
