/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * MDP/0.1 clients (RFC 7): a thread and a DEALER each, a fixed number of requests under way.
 *
 * The payload starts with [time sent, 8 bytes][slot, 8 bytes], so that an echoed reply tells which of
 * the outstanding requests it answers, however the workers reorder them.
 */
#include "load.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

static const char MDPC01[] = "MDPC01";

struct client {
    const struct options *options;
    void *socket;
    pthread_t thread;
    unsigned char *payload;
    uint64_t *sent_ns;          /* of each slot; 0: free */
    uint64_t oldest;            /* slot of the oldest request, where replies are taken in order */
    uint64_t sent, answered;    /* from the start, warm-up included */
    uint64_t wrong;             /* replies that answer nothing that is outstanding */
    uint64_t refused;           /* replies whose status is not 200 */
    uint64_t measured, first_ns, last_ns;
    struct samples samples;
};

/* What one reply said. */
struct reply {
    int echoed;                 /* the last body frame has a payload's size */
    uint64_t sent_ns, slot;
    int ok;                     /* the status frame asked for is 200 */
};

static void send_request(struct client *client, uint64_t slot)
{
    const struct options *options = client->options;
    uint64_t now = now_ns();

    client->sent_ns[slot] = now;
    number_to_wire(client->payload, now);
    number_to_wire(client->payload + 8, slot);
    zmq_send_const(client->socket, "", 0, ZMQ_SNDMORE);
    zmq_send_const(client->socket, MDPC01, 6, ZMQ_SNDMORE);
    zmq_send(client->socket, options->service, strlen(options->service), ZMQ_SNDMORE);
    for (int i = 0; i < options->frame_count; i++)
        zmq_send(client->socket, options->frames[i], strlen(options->frames[i]), ZMQ_SNDMORE);
    need(zmq_send(client->socket, client->payload, options->size, 0) >= 0, "send");
    client->sent++;
}

/* Reads a reply [empty][MDPC01][service][body]...; returns 0 after a silence. */
static int receive_reply(struct client *client, struct reply *reply)
{
    const struct options *options = client->options;
    zmq_msg_t frame;
    int more = 1, status = 0;

    memset(reply, 0, sizeof *reply);
    for (int number = 0; more; number++) {
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, client->socket, 0) < 0) {
            zmq_msg_close(&frame);
            return 0;
        }
        more = zmq_msg_more(&frame);
        if (number >= 3) {
            unsigned char *data = zmq_msg_data(&frame);
            size_t size = zmq_msg_size(&frame);

            status = size == 3 && memcmp(data, "200", 3) == 0;
            if (number == 3 && options->check == CHECK_FIRST)
                reply->ok = status;
            if (!more && size == options->size) {
                reply->echoed = 1;
                reply->sent_ns = number_from_wire(data);
                reply->slot = number_from_wire(data + 8);
            }
        }
        zmq_msg_close(&frame);
    }
    if (options->check == CHECK_LAST)
        reply->ok = status;
    return 1;
}

/* Finds the request that a reply answers; returns its slot, or -1. */
static int64_t match(struct client *client, const struct reply *reply)
{
    uint64_t slots = (uint64_t) client->options->outstanding, slot;

    if (client->options->check == CHECK_ECHO) {
        slot = reply->slot;
        if (!reply->echoed || slot >= slots || client->sent_ns[slot] != reply->sent_ns)
            return -1;
    } else {
        if (!reply->ok)
            client->refused++;
        slot = client->oldest;
        client->oldest = (slot + 1) % slots;
    }
    return (int64_t) slot;
}

static void *converse(void *argument)
{
    struct client *client = argument;
    const struct options *options = client->options;
    uint64_t start = now_ns(), measure = start + (options->count ? 0 : to_ns(options->warmup_s));
    uint64_t end = options->count ? UINT64_MAX : measure + to_ns(options->seconds);
    uint64_t wanted = options->count ? options->count : UINT64_MAX, now = start;
    struct reply reply;

    client->first_ns = measure;
    while (client->sent < (uint64_t) options->outstanding && client->sent < wanted)
        send_request(client, client->sent);
    while (!stopped && client->answered < client->sent && receive_reply(client, &reply)) {
        int64_t slot = match(client, &reply);

        if (slot < 0) {
            client->wrong++;
            continue;
        }
        now = now_ns();
        client->answered++;
        if (now >= measure && now < end) {
            if (client->measured++ == 0 && !options->count)
                client->first_ns = now;
            client->last_ns = now;
            add_sample(&client->samples, now - client->sent_ns[slot]);
        }
        client->sent_ns[slot] = 0;
        if (client->sent < wanted && now < end)
            send_request(client, (uint64_t) slot);
    }
    zmq_close(client->socket);
    return NULL;
}

/* Prints what all the clients saw; returns 0 if every request was answered. */
static int report(struct client *clients, int count)
{
    struct samples samples = {0};
    uint64_t sent = 0, answered = 0, wrong = 0, refused = 0;
    double rate = 0;

    for (int i = 0; i < count; i++) {
        struct client *client = &clients[i];

        sent += client->sent;
        answered += client->answered;
        wrong += client->wrong;
        refused += client->refused;
        if (client->last_ns > client->first_ns)
            rate += (double) client->measured * 1e9 / (double) (client->last_ns - client->first_ns);
        join_samples(&samples, &client->samples);
    }
    printf("{\"rate\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"requests\": %llu, \"lost\": %llu,"
           " \"wrong\": %llu, \"refused\": %llu}\n",
           rate, percentile_us(&samples, 0.50), percentile_us(&samples, 0.99), (unsigned long long) answered,
           (unsigned long long) (sent - answered), (unsigned long long) wrong, (unsigned long long) refused);
    free(samples.ns);
    return sent == answered ? 0 : 1;
}

int run_clients(const struct options *options)
{
    struct client *clients = allocate((size_t) options->clients, sizeof *clients);
    void *context = zmq_ctx_new();
    int timeout_ms = (int) (options->timeout_s * 1000), status;

    for (int i = 0; i < options->clients; i++) {
        clients[i].options = options;
        clients[i].socket = connect_socket(context, ZMQ_DEALER, options->endpoint);
        clients[i].payload = allocate(options->size, 1);
        clients[i].sent_ns = allocate((size_t) options->outstanding, sizeof *clients[i].sent_ns);
        zmq_setsockopt(clients[i].socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
    }
    for (int i = 0; i < options->clients; i++)
        need(pthread_create(&clients[i].thread, NULL, converse, &clients[i]) == 0, "thread");
    for (int i = 0; i < options->clients; i++)
        pthread_join(clients[i].thread, NULL);
    status = report(clients, options->clients);
    for (int i = 0; i < options->clients; i++) {
        free(clients[i].payload);
        free(clients[i].sent_ns);
        free(clients[i].samples.ns);
    }
    free(clients);
    zmq_ctx_term(context);
    return status;
}
