/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * load: one load generator for every broker that the benchmarks measure, so that only the broker varies.
 *
 *   load client   --endpoint E --service S [--outstanding N] [--size B] [--seconds T | --count C]
 *                 [--clients K] [--frame TEXT]... [--check echo|first|last]
 *       MDP/0.1 requests [empty][MDPC01][service][frame]...[payload]; prints requests/s and latency.
 *   load workers  --endpoint E --service S [--workers K] [--credit N]
 *       K MDP/0.1 workers that send each request back; runs until SIGTERM.
 *   load workers  --endpoint E --bare [--workers K]
 *       K echoing DEALER sockets for the back of a relay; the frames are those of the MDP client.
 *   load relay    --endpoint FRONT --back BACK [--pubsub]
 *       zmq_proxy between ROUTER and DEALER, or between PULL and PUB: the limit of the machine.
 *   load kv       --endpoint COLLECTOR --back PUBLISHER [--subscribers K] --count C [--size B] [--keys N]
 *                 [--window N]
 *       Publishes C updates [key][sequence][payload], at most N ahead of the slowest of K subscribers, and
 *       counts what reaches them.
 *   load mqtt     --endpoint PATH --count C [--subscribers K] [--size B] [--keys N] [--window N]
 *       The same through an MQTT 3.1.1 broker on a unix socket.
 *   load mqtt-publish --endpoint PATH --qos 1|2 [--outstanding N] [--seconds T | --count C]
 *                 [--retain] [--durable]
 *       Acknowledged publications, N under way.
 *
 * Every mode but workers and relay prints one JSON object. Times are in seconds, latencies in microseconds.
 */
#include "load.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

static const struct option NAMES[] = {
    {"endpoint", required_argument, NULL, 'e'}, {"back", required_argument, NULL, 'b'},
    {"service", required_argument, NULL, 's'}, {"frame", required_argument, NULL, 'f'},
    {"check", required_argument, NULL, 'c'}, {"outstanding", required_argument, NULL, 'o'},
    {"clients", required_argument, NULL, 'C'}, {"workers", required_argument, NULL, 'w'},
    {"credit", required_argument, NULL, 'r'}, {"bare", no_argument, NULL, 'B'},
    {"subscribers", required_argument, NULL, 'u'}, {"keys", required_argument, NULL, 'k'},
    {"window", required_argument, NULL, 'i'}, {"qos", required_argument, NULL, 'q'}, {"retain", no_argument, NULL, 'R'},
    {"durable", no_argument, NULL, 'D'}, {"pubsub", no_argument, NULL, 'P'},
    {"size", required_argument, NULL, 'z'}, {"count", required_argument, NULL, 'n'},
    {"seconds", required_argument, NULL, 't'}, {"warmup", required_argument, NULL, 'W'},
    {"timeout", required_argument, NULL, 'T'}, {NULL, 0, NULL, 0},
};

static const struct {
    const char *name;
    int (*run)(const struct options *);
} MODES[] = {
    {"client", run_clients}, {"workers", run_workers}, {"relay", run_relay},
    {"kv", run_key_value}, {"mqtt", run_mqtt}, {"mqtt-publish", run_mqtt_publisher},
};

static void refuse(const char *why) __attribute__((noreturn));
static void refuse(const char *why)
{
    fprintf(stderr, "load: %s; the modes and options are at the top of main.c\n", why);
    exit(2);
}

static enum check check_named(const char *name)
{
    if (strcmp(name, "echo") == 0)
        return CHECK_ECHO;
    if (strcmp(name, "first") == 0)
        return CHECK_FIRST;
    if (strcmp(name, "last") == 0)
        return CHECK_LAST;
    refuse("--check is echo, first or last");
}

static int small(const char *text, int least, int most)
{
    char *end;
    long number = strtol(text, &end, 10);

    if (*end || end == text || number < least || number > most)
        refuse("a number is out of range");
    return (int) number;
}

static void parse(struct options *options, int argc, char **argv)
{
    int name;

    while ((name = getopt_long(argc, argv, "", NAMES, NULL)) != -1) {
        switch (name) {
        case 'e': options->endpoint = optarg; break;
        case 'b': options->back = optarg; break;
        case 's': options->service = optarg; break;
        case 'f':
            if (options->frame_count == MOST_FRAMES)
                refuse("too many frames");
            options->frames[options->frame_count++] = optarg;
            break;
        case 'c': options->check = check_named(optarg); break;
        case 'o': options->outstanding = small(optarg, 1, 1 << 16); break;
        case 'C': options->clients = small(optarg, 1, MOST_SOCKETS); break;
        case 'w': options->workers = small(optarg, 1, MOST_SOCKETS); break;
        case 'r': options->credit = small(optarg, 0, 1 << 16); break;
        case 'B': options->bare = 1; break;
        case 'u': options->subscribers = small(optarg, 1, MOST_SOCKETS); break;
        case 'k': options->keys = small(optarg, 1, 1 << 20); break;
        case 'i': options->window = small(optarg, 1, 1 << 30); break;
        case 'q': options->qos = small(optarg, 0, 2); break;
        case 'R': options->retain = 1; break;
        case 'D': options->durable = 1; break;
        case 'P': options->pubsub = 1; break;
        case 'z': options->size = (size_t) small(optarg, 16, 1 << 26); break;
        case 'n': options->count = (uint64_t) small(optarg, 1, 1 << 30); break;
        case 't': options->seconds = strtod(optarg, NULL); break;
        case 'W': options->warmup_s = strtod(optarg, NULL); break;
        case 'T': options->timeout_s = strtod(optarg, NULL); break;
        default: refuse("an option is unknown");
        }
    }
    if (optind != argc || options->endpoint == NULL)
        refuse("--endpoint is missing, or a word is left over");
}

static void stop(int signal)
{
    (void) signal;
    stopped = 1;
}

int main(int argc, char **argv)
{
    struct options options = {
        .service = "echo", .outstanding = 1, .clients = 1, .workers = 1, .subscribers = 1, .keys = 1000,
        .window = 5000, .size = 16, .seconds = 1, .warmup_s = 0.2, .timeout_s = 5,
    };
    struct sigaction action = {.sa_handler = stop};

    prctl(PR_SET_PDEATHSIG, SIGTERM);       /* the benchmark that started it may be killed */
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2)
        refuse("a mode is missing");
    for (size_t i = 0; i < sizeof MODES / sizeof *MODES; i++)
        if (strcmp(argv[1], MODES[i].name) == 0) {
            parse(&options, argc - 1, argv + 1);
            return MODES[i].run(&options);
        }
    refuse("the mode is unknown");
}
