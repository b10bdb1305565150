#include "link.h"

#include <stdio.h>
#include <string.h>

static void fill_header(struct link_request *request, uint32_t kind) {
    request->magic = LINK_MAGIC;
    request->version = LINK_VERSION;
    request->kind = kind;
    request->capabilities = LINK_HEARS_END | (can_map_files() ? LINK_CAN_MAP : 0);
}

static int hear(socket_t s, const struct link_request *request, struct link_reply *reply, uint64_t timeout_ms,
                const volatile int *give_up) {
    if (net_receive(s, reply, sizeof *reply, timeout_ms, give_up) != 0) return -1;
    return reply->magic == LINK_MAGIC && reply->version == LINK_VERSION && reply->kind == request->kind ? 0 : -1;
}

static int ask(socket_t s, const struct link_request *request, struct link_reply *reply, uint64_t timeout_ms,
               const volatile int *give_up) {
    if (net_send(s, request, sizeof *request) != 0) return -1;
    return hear(s, request, reply, timeout_ms, give_up);
}

/* The answer to the greeting carries the path of the mapped file; frame_id holds the file's length. */
static int greet(struct link *link) {
    struct link_request request;
    struct link_reply reply;
    char path[PATH_LENGTH];
    memset(&request, 0, sizeof request);
    fill_header(&request, LINK_HELLO);
    if (ask(link->frames, &request, &reply, LINK_ANSWER_MS, NULL) != 0) return -1;
    if (reply.status == LINK_BUSY) return LINK_HELD;
    if (reply.payload_length >= sizeof path) return -1;
    if (net_receive(link->frames, path, (size_t)reply.payload_length, LINK_ANSWER_MS, NULL) != 0) return -1;
    path[reply.payload_length] = '\0';
    if (path[0] == '\0') return 0;
    link->map_length = (size_t)reply.frame_id;
    link->map = map_file(path, link->map_length);
    return link->map ? 0 : -1;
}

int link_open(struct link *link, const char *address) {
    int greeted = -1;
    memset(link, 0, sizeof *link);
    lock_init(&link->questions_lock);
    link->questions = link->lines = NO_SOCKET;
    link->frames = net_connect(address, LINK_ANSWER_MS);
    if (link->frames != NO_SOCKET) greeted = greet(link);
    if (greeted == 0) link->questions = net_connect(address, LINK_ANSWER_MS);
    if (link->questions != NO_SOCKET) link->lines = net_connect(address, LINK_ANSWER_MS);
    if (link->lines != NO_SOCKET) return 0;
    link_close(link);
    return greeted == LINK_HELD ? LINK_HELD : -1;
}

int link_probe(const char *address) {
    struct link_request request;
    struct link_reply reply;
    socket_t s = net_connect(address, LINK_ANSWER_MS);
    int result = -1;
    if (s == NO_SOCKET) return -1;
    memset(&request, 0, sizeof request);
    fill_header(&request, LINK_PROBE);
    if (ask(s, &request, &reply, LINK_ANSWER_MS, NULL) == 0) result = reply.status == LINK_BUSY ? LINK_HELD : 0;
    net_close(s);
    return result;
}

void link_close(struct link *link) {
    net_close(link->frames);
    net_close(link->questions);
    net_close(link->lines);
    unmap_file(link->map, link->map_length);
    link->frames = link->questions = link->lines = NO_SOCKET;
    link->map = NULL;
}

int link_is_closed(const struct link *link) { return net_is_closed(link->questions); }

int link_expose(struct link *link, struct link_request *request, struct link_reply *reply, const volatile int *give_up,
                void (*exposure_ended)(void *context), void *context) {
    int result;
    fill_header(request, LINK_EXPOSE);
    result = ask(link->frames, request, reply, WAIT_FOREVER, give_up);
    while (result == 0 && reply->status == LINK_EXPOSED) {
        exposure_ended(context);
        result = hear(link->frames, request, reply, WAIT_FOREVER, give_up);
    }
    return result;
}

static int discard(socket_t s, uint64_t length, const volatile int *give_up) {
    uint8_t scrap[65536];
    while (length > 0) {
        size_t part = length < sizeof scrap ? (size_t)length : sizeof scrap;
        if (net_receive(s, scrap, part, LINK_PAYLOAD_MS, give_up) != 0) return -1;
        length -= part;
    }
    return 0;
}

/* The rig makes the sequence odd, writes, and makes it even: the same even number before and after is a whole copy. */
static int copy_from_map(const struct link *link, const struct link_reply *reply, void *data, size_t wanted) {
    if (map_sequence(link->map) != reply->sequence) return LINK_OVERWRITTEN;
    memcpy(data, link->map + LINK_MAP_HEADER, wanted);
    return map_sequence(link->map) == reply->sequence ? 0 : LINK_OVERWRITTEN;
}

int link_payload(struct link *link, const struct link_reply *reply, void *data, size_t size,
                 const volatile int *give_up) {
    size_t wanted = reply->payload_length < size ? (size_t)reply->payload_length : size;
    if (reply->in_map) {
        if (!link->map || reply->payload_length + LINK_MAP_HEADER > link->map_length) return -1;
        return data ? copy_from_map(link, reply, data, wanted) : 0;
    }
    if (!data) wanted = 0;
    if (wanted > 0 && net_receive(link->frames, data, wanted, LINK_PAYLOAD_MS, give_up) != 0) return -1;
    return discard(link->frames, reply->payload_length - wanted, give_up);
}

int link_clock(struct link *link, uint64_t *now_ns, double *temperature_c) {
    struct link_request request;
    struct link_reply reply;
    int result;
    memset(&request, 0, sizeof request);
    fill_header(&request, LINK_CLOCK);
    lock_take(&link->questions_lock);
    result = ask(link->questions, &request, &reply, LINK_ANSWER_MS, NULL);
    lock_drop(&link->questions_lock);
    if (result != 0) return result;
    *now_ns = reply.timestamp_ns;
    *temperature_c = (double)reply.frame_id / 1000.0 - 273.15;
    return 0;
}

int link_line(struct link *link, const volatile int *give_up) {
    struct link_request request;
    struct link_reply reply;
    memset(&request, 0, sizeof request);
    fill_header(&request, LINK_LINE);
    return ask(link->lines, &request, &reply, WAIT_FOREVER, give_up);
}
