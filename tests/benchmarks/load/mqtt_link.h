/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * An MQTT 3.1.1 client (OASIS standard, 2014) as economical as libzmq: it reads and writes 8 KiB at a time,
 * so that what is measured is the broker.
 */
#ifndef RASPY_LOAD_MQTT_LINK_H
#define RASPY_LOAD_MQTT_LINK_H

#include "load.h"

enum packet { CONNECT = 0x10, CONNACK = 0x20, PUBLISH = 0x30, PUBACK = 0x40, PUBREC = 0x50, PUBREL = 0x62,
              PUBCOMP = 0x70, SUBSCRIBE = 0x82, SUBACK = 0x90, DISCONNECT = 0xe0 };

struct link {
    int fd;
    unsigned char *in, *out;            /* unparsed input, unsent output */
    size_t in_used, out_used, room;
};

/* One packet of the input. */
struct packet_view {
    unsigned char type;                 /* first byte, flags included */
    unsigned char *body;
    size_t size;
};

void open_link(struct link *link, const struct options *options, const char *id, int clean);
void close_link(struct link *link);
void subscribe_link(struct link *link, const char *filter, int qos);

unsigned char *put_packet(struct link *link, unsigned char type, size_t size);
unsigned char *put_text(unsigned char *place, const char *text, size_t length);
void flush_link(struct link *link);

int fill_link(struct link *link);
int take_packet(struct link *link, size_t *offset, struct packet_view *view);
void keep_rest(struct link *link, size_t offset);

#endif
