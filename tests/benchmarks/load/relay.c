/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The anchors: what libzmq itself carries from one socket to another, without a broker's work.
 */
#include "load.h"

#include <zmq.h>

int run_relay(const struct options *options)
{
    void *context = zmq_ctx_new();
    void *front = zmq_socket(context, options->pubsub ? ZMQ_PULL : ZMQ_ROUTER);
    void *back = zmq_socket(context, options->pubsub ? ZMQ_PUB : ZMQ_DEALER);
    int none = 0;

    need(front != NULL && back != NULL, "socket");
    zmq_setsockopt(front, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(back, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(back, ZMQ_SNDHWM, &none, sizeof none);       /* a PUB would drop, not wait */
    need(options->back != NULL, "--back is missing");
    need(zmq_bind(front, options->endpoint) == 0, options->endpoint);
    need(zmq_bind(back, options->back) == 0, options->back);
    signal(SIGTERM, SIG_DFL);               /* zmq_proxy waits on when a signal has a handler */
    zmq_proxy(front, back, NULL);
    die("relay");
}
