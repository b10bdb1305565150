/* One simulated camera: its registers, its buffers, and the thread that exposes. */
#ifndef SIMCAM_CAMERA_H
#define SIMCAM_CAMERA_H

#include "features.h"
#include "gentl.h"
#include "link.h"
#include "platform.h"

#define MAX_BUFFERS 64
#define MAX_DEVICES 16
#define MAX_SLOTS 160
#define CHUNK_ALIGNMENT 16
#define CHUNK_BYTES (CHUNK_COUNT * CHUNK_ALIGNMENT)

enum buffer_state { BUFFER_ABSENT, BUFFER_UNQUEUED, BUFFER_INPUT, BUFFER_FILLING, BUFFER_OUTPUT };

struct picture { /* what is known about the pixels in a buffer */
    uint64_t frame_id, timestamp_ns;
    uint32_t width, height, offset_x, offset_y, pixel_format, chunk_mask;
    size_t image_size, filled;
    size_t chunk_offset;
    int has_data, is_incomplete, is_cut;
};

struct buffer {
    uint8_t *base;
    size_t size;
    void *user;
    int is_ours;        /* allocated here, to be freed here */
    enum buffer_state state;
    uint64_t order;     /* lowest is first in its queue */
    struct picture picture;
};

struct device;

struct event { struct device *device; int is_registered, kills; uint64_t fired; };

struct stream {
    struct device *device;
    int is_open, is_started;
    struct buffer buffers[MAX_BUFFERS];
    struct event event;
    uint64_t next_order, started_frames, delivered, underruns;
};

struct port { struct device *device; };

struct device {
    char serial[TEXT_LENGTH], address[PATH_LENGTH];
    int is_used, is_listed, has_rig, is_open, is_read_only, has_user_set;
    volatile int is_lost, is_closing;
    struct port remote;
    struct stream stream;
    struct link link;
    uint64_t registers[MAX_SLOTS], user_set[MAX_SLOTS]; /* a saved user set outlives closing */
    uint64_t unplugged_until_ns;
    cond_t changed;
    thread_t thread, line_thread;
    int is_acquiring, is_triggered;
    int is_exposing;        /* from the trigger to the frame: no other trigger is taken */
    int is_integrating;     /* the sensor gathers light */
    unsigned generation;    /* goes up with each start and stop: an exposure from before is thrown away */
    uint64_t next_frame_id, opened_ns;
};

/* One lock for all state; never held while pixels are copied or the rig is asked. */
extern lock_t camera_lock;

/* TL_OK, TL_IN_USE when another process has it open, or TL_IO. */
int camera_open(struct device *device, int is_read_only);
/* Of one that is not open here: whether another process has it open, by GenTL's numbers. */
int camera_access_elsewhere(const struct device *device);
void camera_close(struct device *device);
int camera_is_gone(struct device *device);
int camera_read(struct device *device, uint64_t address, void *data, size_t size);
int camera_write(struct device *device, uint64_t address, const void *data, size_t size);
size_t camera_payload_size(const struct device *device);
void camera_set_acquiring(struct device *device, int on);

/* With camera_lock held. */
struct buffer *first_buffer(struct stream *stream, enum buffer_state state);
int count_buffers(const struct stream *stream, enum buffer_state state);
void enqueue(struct stream *stream, struct buffer *buffer, enum buffer_state state);
void wait_for_fills(struct device *device);

#endif
