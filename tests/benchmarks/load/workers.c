/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * MDP/0.1 workers (RFC 7), or echoing sockets behind a bare relay: many sockets, one thread.
 */
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define HEARTBEAT_S 1.0

enum command { READY = 1, REQUEST, REPLY, HEARTBEAT, DISCONNECT };

static const char MDPW01[] = "MDPW01";

static void send_header(void *socket, enum command command, int more)
{
    unsigned char code = (unsigned char) command;

    zmq_send_const(socket, "", 0, ZMQ_SNDMORE);
    zmq_send_const(socket, MDPW01, 6, ZMQ_SNDMORE);
    zmq_send(socket, &code, 1, more ? ZMQ_SNDMORE : 0);
}

/* [empty][MDPW01][1][service], and our fifth frame: how many requests this worker takes at once. */
static void send_ready(void *socket, const struct options *options)
{
    char credit[16];
    int length = snprintf(credit, sizeof credit, "%d", options->credit);

    send_header(socket, READY, 1);
    zmq_send(socket, options->service, strlen(options->service), options->credit ? ZMQ_SNDMORE : 0);
    if (options->credit)
        zmq_send(socket, credit, (size_t) length, 0);
}

static void drop_rest(void *socket, int more)
{
    zmq_msg_t frame;

    while (more) {
        zmq_msg_init(&frame);
        more = zmq_msg_recv(&frame, socket, 0) >= 0 && zmq_msg_more(&frame);
        zmq_msg_close(&frame);
    }
}

/* Passes the frames that are left of a message back to where it came from. */
static void echo_rest(void *socket, int more)
{
    zmq_msg_t frame;

    while (more) {
        zmq_msg_init(&frame);
        need(zmq_msg_recv(&frame, socket, 0) >= 0, "receive");
        more = zmq_msg_more(&frame);
        need(zmq_msg_send(&frame, socket, more ? ZMQ_SNDMORE : 0) >= 0, "send");
    }
}

/* Serves one message: [empty][MDPW01][command]..., or anything when bare; returns 0 when there is none. */
static int serve_one(void *socket, const struct options *options)
{
    zmq_msg_t frame;
    int more, command = 0;

    zmq_msg_init(&frame);
    if (zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&frame);
        return 0;
    }
    more = zmq_msg_more(&frame);
    if (options->bare) {
        zmq_msg_send(&frame, socket, more ? ZMQ_SNDMORE : 0);
        echo_rest(socket, more);
        return 1;
    }
    zmq_msg_close(&frame);
    for (int number = 1; more && number <= 2; number++) {
        zmq_msg_init(&frame);
        zmq_msg_recv(&frame, socket, 0);
        more = zmq_msg_more(&frame);
        if (number == 2 && zmq_msg_size(&frame) == 1)
            command = *(unsigned char *) zmq_msg_data(&frame);
        zmq_msg_close(&frame);
    }
    if (command == REQUEST && more) {
        send_header(socket, REPLY, 1);
        echo_rest(socket, more);
    } else {
        drop_rest(socket, more);
        if (command == DISCONNECT)
            send_ready(socket, options);
    }
    return 1;
}

int run_workers(const struct options *options)
{
    void *context = zmq_ctx_new();
    zmq_pollitem_t *items = allocate((size_t) options->workers, sizeof *items);
    uint64_t beat = now_ns() + to_ns(HEARTBEAT_S);

    for (int i = 0; i < options->workers; i++) {
        items[i].socket = connect_socket(context, ZMQ_DEALER, options->endpoint);
        items[i].events = ZMQ_POLLIN;
        if (!options->bare)
            send_ready(items[i].socket, options);
    }
    while (!stopped) {
        if (zmq_poll(items, options->workers, 200) < 0 && errno != EINTR)
            die("poll");
        for (int i = 0; i < options->workers; i++)
            if (items[i].revents & ZMQ_POLLIN)
                while (serve_one(items[i].socket, options))
                    ;
        if (!options->bare && now_ns() > beat) {
            for (int i = 0; i < options->workers; i++)
                send_header(items[i].socket, HEARTBEAT, 0);
            beat = now_ns() + to_ns(HEARTBEAT_S);
        }
    }
    for (int i = 0; i < options->workers; i++) {
        int linger_ms = 200;

        zmq_setsockopt(items[i].socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
        if (!options->bare)
            send_header(items[i].socket, DISCONNECT, 0);
        zmq_close(items[i].socket);
    }
    free(items);
    zmq_ctx_term(context);
    return 0;
}
