/* The wire between the camera and the rig process that owns the scene: fixed-size messages over a local socket.

   The camera opens three connections per device: one for frames, one for questions (clock and temperature),
   which can be asked during an exposure, and one on which the rig announces edges on the trigger input.
   The greeting on the first asks for the camera: the rig answers LINK_BUSY while another holds it, and takes it
   back when that connection ends, however it does.
   Everything is little-endian; drivers/simulated/camera/messages.py is the other end. */
#ifndef SIMCAM_LINK_H
#define SIMCAM_LINK_H

#include "platform.h"

#define LINK_MAGIC 0x31434D46U /* "FMC1" */
#define LINK_VERSION 3U
#define LINK_ANSWER_MS 2000    /* for questions that need no exposure */
#define LINK_PAYLOAD_MS 10000  /* for pixels whose exposure has ended: a rig that stops in the middle is gone */

#define LINK_MAP_HEADER 64U    /* bytes before the pixels in the mapped file; its sequence number is the first four */

enum link_kind { LINK_HELLO = 1, LINK_EXPOSE = 2, LINK_CLOCK = 3, LINK_LINE = 4, LINK_PROBE = 5 };
/* LINK_EXPOSED, if asked for, comes before the answer to LINK_EXPOSE: as soon as the sensor is no longer exposed. */
enum link_status { LINK_OK = 0, LINK_INCOMPLETE = 1, LINK_DROPPED = 2, LINK_EXPOSED = 3, LINK_BUSY = 4 };
enum { LINK_CAN_MAP = 1, LINK_HEARS_END = 2 };
enum { LINK_HELD = 1, LINK_OVERWRITTEN = 2 }; /* results beside 0 for done and -1 for a rig that is gone */

struct link_request { /* 80 bytes */
    uint32_t magic, version, kind, capabilities;
    uint64_t frame_id;
    double exposure_us, gain_db, black_level_dn;
    uint32_t binning, width, height, offset_x, offset_y, pixel_format;
    uint32_t active_lines;     /* bit n: output line n is on while the sensor is exposed */
    uint32_t binning_vertical; /* `binning` is the horizontal one */
};

/* A clock reply carries the sensor's temperature in frame_id, in millikelvin; a greeting the length of the map. */
struct link_reply { /* 48 bytes, followed by payload_length bytes unless in_map */
    uint32_t magic, version, kind, status;
    uint64_t frame_id, timestamp_ns, payload_length;
    uint32_t in_map, sequence; /* what the map begins with while these pixels lie in it */
};

struct link {
    socket_t frames, questions, lines;
    lock_t questions_lock;
    const uint8_t *map;
    size_t map_length;
};

/* Returns LINK_HELD when another holds the camera. */
int link_open(struct link *link, const char *address);
/* Asks whether somebody holds the camera, without opening it: 0, LINK_HELD or -1. */
int link_probe(const char *address);
void link_close(struct link *link);
int link_is_closed(const struct link *link);
/* The request's header fields are filled in here. Returns 0, or -1 when the rig is gone or *give_up is set. */
int link_expose(struct link *link, struct link_request *request, struct link_reply *reply, const volatile int *give_up,
                void (*exposure_ended)(void *context), void *context);
/* Takes the pixels that the reply announced; data may be NULL to discard them. Returns LINK_OVERWRITTEN when the map
   did not hold them from the beginning to the end of the copy: the data are then of no frame. */
int link_payload(struct link *link, const struct link_reply *reply, void *data, size_t size, const volatile int *give_up);
int link_clock(struct link *link, uint64_t *now_ns, double *temperature_c);
/* Waits for the next edge on the trigger input. Returns 0, or -1 when the rig is gone or *give_up is set. */
int link_line(struct link *link, const volatile int *give_up);

#endif
