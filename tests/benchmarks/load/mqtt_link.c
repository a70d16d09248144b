/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mqtt_link.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BATCH 8192          /* bytes; libzmq's own in_batch_size and out_batch_size */
#define MOST_TOPIC 64       /* bytes */

void flush_link(struct link *link)
{
    for (size_t done = 0; done < link->out_used;) {
        ssize_t written = write(link->fd, link->out + done, link->out_used - done);

        if (written < 0 && errno == EAGAIN) {
            struct pollfd item = {.fd = link->fd, .events = POLLOUT};
            poll(&item, 1, -1);
            continue;
        }
        need(written >= 0, "MQTT write");
        done += (size_t) written;
    }
    link->out_used = 0;
}

/* Appends one packet's fixed header and returns where its SIZE bytes go. */
unsigned char *put_packet(struct link *link, unsigned char type, size_t size)
{
    unsigned char *place;

    if (link->out_used && link->out_used + size + 5 > BATCH)
        flush_link(link);
    link->out[link->out_used++] = type;
    for (size_t left = size;; left >>= 7) {
        link->out[link->out_used++] = (unsigned char) ((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
        if (left <= 0x7f)
            break;
    }
    place = link->out + link->out_used;
    link->out_used += size;
    return place;
}

unsigned char *put_text(unsigned char *place, const char *text, size_t length)
{
    place[0] = (unsigned char) (length >> 8);
    place[1] = (unsigned char) length;
    memcpy(place + 2, text, length);
    return place + 2 + length;
}

/* Takes the packet at OFFSET of the input and moves OFFSET behind it; returns 0 if it isn't complete. */
int take_packet(struct link *link, size_t *offset, struct packet_view *view)
{
    size_t at = *offset + 1, size = 0;

    for (int shift = 0;; shift += 7) {
        if (at >= link->in_used)
            return 0;
        size |= (size_t) (link->in[at] & 0x7f) << shift;
        if (!(link->in[at++] & 0x80))
            break;
    }
    if (link->in_used - at < size)
        return 0;
    view->type = link->in[*offset];
    view->body = link->in + at;
    view->size = size;
    *offset = at + size;
    return 1;
}

void keep_rest(struct link *link, size_t offset)
{
    link->in_used -= offset;
    memmove(link->in, link->in + offset, link->in_used);
}

/* Reads what there is, at most 8 KiB; returns 0 when there is nothing (yet). */
int fill_link(struct link *link)
{
    size_t space = link->room - link->in_used;
    ssize_t got = read(link->fd, link->in + link->in_used, space < BATCH ? space : BATCH);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    need(got > 0, "MQTT read");
    link->in_used += (size_t) got;
    return 1;
}

static void await(struct link *link, unsigned char type)
{
    struct packet_view view;
    size_t offset = 0;

    flush_link(link);
    while (!take_packet(link, &offset, &view))
        need(fill_link(link), "MQTT answer");
    if ((view.type & 0xf0) != (type & 0xf0)) {
        fprintf(stderr, "load: the MQTT broker answered with packet type 0x%02x\n", view.type);
        exit(1);
    }
    keep_rest(link, offset);
}

/* Connects with a blocking socket, so that the caller knows when CONNACK and SUBACK are in. */
void open_link(struct link *link, const struct options *options, const char *id, int clean)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    unsigned char *place;

    link->room = 2 * BATCH + 2 * options->size + 2 * MOST_TOPIC;
    link->in = allocate(link->room, 1);
    link->out = allocate(link->room, 1);
    link->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    need(link->fd >= 0 && strlen(options->endpoint) < sizeof address.sun_path, "MQTT socket path");
    strcpy(address.sun_path, options->endpoint);
    need(connect(link->fd, (struct sockaddr *) &address, sizeof address) == 0, options->endpoint);
    place = put_text(put_packet(link, CONNECT, 12 + strlen(id)), "MQTT", 4);
    memcpy(place, (unsigned char[]) {4, clean ? 2 : 0, 0, 0}, 4);       /* level, flags, no keep-alive */
    put_text(place + 4, id, strlen(id));
    await(link, CONNACK);
}

void subscribe_link(struct link *link, const char *filter, int qos)
{
    size_t length = strlen(filter);
    unsigned char *place = put_packet(link, SUBSCRIBE, 5 + length);

    place[0] = 0;
    place[1] = 1;
    place = put_text(place + 2, filter, length);
    *place = (unsigned char) qos;
    await(link, SUBACK);
}

void close_link(struct link *link)
{
    put_packet(link, DISCONNECT, 0);
    flush_link(link);
    close(link->fd);
    free(link->in);
    free(link->out);
}
