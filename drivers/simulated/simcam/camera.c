#include "camera.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

lock_t camera_lock;

/* ---- Registers ---- */

static uint64_t *slot_of(struct device *device, int id, size_t index) {
    return &device->registers[feature_slot(id) + index];
}

static int64_t integer_of(const struct device *device, int id, size_t index) {
    int64_t value;
    memcpy(&value, &device->registers[feature_slot(id) + index], sizeof value);
    return value;
}

static double float_of(const struct device *device, int id) {
    double value;
    memcpy(&value, &device->registers[feature_slot(id)], sizeof value);
    return value;
}

static void set_integer(struct device *device, int id, size_t index, int64_t value) {
    memcpy(slot_of(device, id, index), &value, sizeof value);
}

static void set_float(struct device *device, int id, double value) {
    memcpy(slot_of(device, id, 0), &value, sizeof value);
}

static void set_text(struct device *device, int id, const char *text) {
    char field[TEXT_LENGTH] = {0};
    snprintf(field, sizeof field, "%s", text);
    memcpy(slot_of(device, id, 0), field, sizeof field);
}

static size_t image_size(const struct device *device) {
    return (size_t)integer_of(device, F_WIDTH, 0) * (size_t)integer_of(device, F_HEIGHT, 0) *
           PF_BYTES(integer_of(device, F_PIXEL_FORMAT, 0));
}

static size_t aligned(size_t size) { return (size + CHUNK_ALIGNMENT - 1) / CHUNK_ALIGNMENT * CHUNK_ALIGNMENT; }

size_t camera_payload_size(const struct device *device) {
    size_t image = image_size(device);
    return integer_of(device, F_CHUNK_ACTIVE, 0) ? aligned(image) + CHUNK_BYTES : image;
}

static void update_geometry(struct device *device) {
    int64_t binning = integer_of(device, F_BINNING_H, 0);
    int64_t width_max = SENSOR_WIDTH / binning, height_max = SENSOR_HEIGHT / binning;
    set_integer(device, F_WIDTH_MAX, 0, width_max);
    set_integer(device, F_HEIGHT_MAX, 0, height_max);
    set_integer(device, F_WIDTH_LIMIT, 0, width_max - integer_of(device, F_OFFSET_X, 0));
    set_integer(device, F_HEIGHT_LIMIT, 0, height_max - integer_of(device, F_OFFSET_Y, 0));
    set_integer(device, F_OFFSET_X_LIMIT, 0, width_max - integer_of(device, F_WIDTH, 0));
    set_integer(device, F_OFFSET_Y_LIMIT, 0, height_max - integer_of(device, F_HEIGHT, 0));
    set_integer(device, F_PAYLOAD_SIZE, 0, (int64_t)camera_payload_size(device));
}

static void load_defaults(struct device *device) {
    int id;
    for (id = 0; id < FEATURE_COUNT; id++) {
        size_t index, count = features[id].count ? (size_t)features[id].count : 1;
        if (features[id].kind == KIND_STRING || id == F_PARAMS_LOCKED || id == F_TIMESTAMP_VALUE) continue;
        for (index = 0; index < count; index++) {
            if (features[id].kind == KIND_FLOAT) set_float(device, id, features[id].reset);
            else set_integer(device, id, index, (int64_t)features[id].reset);
        }
    }
    set_integer(device, F_SENSOR_WIDTH, 0, SENSOR_WIDTH);
    set_integer(device, F_SENSOR_HEIGHT, 0, SENSOR_HEIGHT);
    set_integer(device, F_LINE_MODE, LINE_1_OUTPUT, 1);
    set_integer(device, F_LINE_SOURCE, LINE_1_OUTPUT, LINE_SOURCE_EXPOSURE_ACTIVE);
    update_geometry(device);
}

/* Binning keeps the region at the full picture, as most cameras do; both directions go together. */
static int set_binning(struct device *device, int64_t binning) {
    if (binning != 1 && binning != 2 && binning != 4 && binning != 8) return TL_VALUE;
    set_integer(device, F_BINNING_H, 0, binning);
    set_integer(device, F_BINNING_V, 0, binning);
    set_integer(device, F_OFFSET_X, 0, 0);
    set_integer(device, F_OFFSET_Y, 0, 0);
    set_integer(device, F_WIDTH, 0, SENSOR_WIDTH / binning);
    set_integer(device, F_HEIGHT, 0, SENSOR_HEIGHT / binning);
    return TL_OK;
}

static int64_t limit_of(const struct device *device, int id) {
    int other;
    if (!features[id].max_feature) return (int64_t)features[id].max;
    for (other = 0; other < FEATURE_COUNT; other++)
        if (strcmp(features[other].name, features[id].max_feature) == 0) return integer_of(device, other, 0);
    return 0;
}

static int integer_is_valid(const struct device *device, int id, int64_t value) {
    const struct feature *f = &features[id];
    const struct enum_entry *entry;
    if (f->kind == KIND_ENUM) {
        for (entry = f->entries; entry->name; entry++)
            if (entry->value == value) return 1;
        return 0;
    }
    if (value < (int64_t)f->min || value > limit_of(device, id)) return 0;
    return f->inc <= 1 || (value - (int64_t)f->min) % (int64_t)f->inc == 0;
}

static int latch_clock(struct device *device) {
    uint64_t now = monotonic_ns();
    int result = device->has_rig ? link_clock(&device->link, &now) : 0;
    lock_take(&camera_lock);
    if (result != 0) device->is_lost = 1;
    else set_integer(device, F_TIMESTAMP_VALUE, 0, (int64_t)now);
    lock_drop(&camera_lock);
    return result == 0 ? TL_OK : TL_IO;
}

static int execute(struct device *device, int id) {
    if (id == F_TIMESTAMP_LATCH) return latch_clock(device);
    if (id == F_ACQUISITION_START) camera_set_acquiring(device, 1);
    if (id == F_ACQUISITION_STOP) camera_set_acquiring(device, 0);
    lock_take(&camera_lock);
    if (id == F_USER_SET_LOAD) load_defaults(device);
    if (id == F_TRIGGER_SOFTWARE && device->is_acquiring && !device->is_exposing) {
        device->is_triggered = 1; /* a trigger during an exposure is missed, as on a real sensor */
        cond_wake_all(&device->changed);
    }
    lock_drop(&camera_lock);
    return TL_OK;
}

static int write_integer(struct device *device, int id, size_t index, int64_t value) {
    int result = TL_OK;
    if (!integer_is_valid(device, id, value)) return TL_VALUE;
    if (id == F_BINNING_H || id == F_BINNING_V) result = set_binning(device, value);
    else set_integer(device, id, index, value);
    update_geometry(device);
    cond_wake_all(&device->changed); /* TriggerMode may have been switched off: free running begins */
    return result;
}

static int write_float(struct device *device, int id, double value) {
    if (!(value >= features[id].min && value <= features[id].max)) return TL_VALUE;
    set_float(device, id, value);
    return TL_OK;
}

int camera_write(struct device *device, uint64_t address, const void *data, size_t size) {
    size_t index = 0, byte = 0;
    int id = feature_at(address, &index, &byte), result;
    int64_t integer;
    double number;
    if (camera_is_gone(device)) return TL_IO;
    if (id < 0 || byte != 0 || size != 8) return TL_ADDRESS;
    if (strcmp(features[id].access, "RO") == 0) return TL_ACCESS;
    if (features[id].locked && integer_of(device, F_PARAMS_LOCKED, 0)) return TL_ACCESS;
    if (features[id].kind == KIND_COMMAND) return execute(device, id);
    memcpy(&integer, data, 8);
    memcpy(&number, data, 8);
    lock_take(&camera_lock);
    result = features[id].kind == KIND_FLOAT ? write_float(device, id, number)
                                             : write_integer(device, id, index, integer);
    lock_drop(&camera_lock);
    return result;
}

/* The housing warms by 12 degrees over about ten minutes, as small cameras do. */
static double temperature_c(const struct device *device) {
    double seconds = (double)(monotonic_ns() - device->opened_ns) * 1e-9;
    return 30.0 + 12.0 * (1.0 - exp(-seconds / 600.0));
}

int camera_read(struct device *device, uint64_t address, void *data, size_t size) {
    size_t index = 0, byte = 0, offset;
    int id;
    if (camera_is_gone(device)) return TL_IO;
    id = feature_at(address, &index, &byte);
    if (id < 0) return TL_ADDRESS;
    offset = (feature_slot(id) + index) * 8 + byte;
    if (offset + size > slot_count() * 8) return TL_ADDRESS;
    lock_take(&camera_lock);
    set_float(device, F_TEMPERATURE, temperature_c(device));
    set_integer(device, F_LINE_STATUS, LINE_1_OUTPUT,
                device->is_exposing && integer_of(device, F_LINE_SOURCE, LINE_1_OUTPUT) == LINE_SOURCE_EXPOSURE_ACTIVE);
    memcpy(data, (const uint8_t *)device->registers + offset, size);
    lock_drop(&camera_lock);
    return TL_OK;
}

/* ---- Buffers ---- */

struct buffer *first_buffer(struct stream *stream, enum buffer_state state) {
    struct buffer *first = NULL;
    int i;
    for (i = 0; i < MAX_BUFFERS; i++)
        if (stream->buffers[i].state == state && (!first || stream->buffers[i].order < first->order))
            first = &stream->buffers[i];
    return first;
}

int count_buffers(const struct stream *stream, enum buffer_state state) {
    int i, count = 0;
    for (i = 0; i < MAX_BUFFERS; i++) count += stream->buffers[i].state == state;
    return count;
}

void enqueue(struct stream *stream, struct buffer *buffer, enum buffer_state state) {
    buffer->state = state;
    buffer->order = ++stream->next_order;
    cond_wake_all(&stream->device->changed);
}

void wait_for_fills(struct device *device) {
    while (count_buffers(&device->stream, BUFFER_FILLING) > 0) cond_wait_ms(&device->changed, &camera_lock, 100);
}

/* ---- The thread that exposes ---- */

struct exposure {
    struct link_request request;
    struct link_reply reply;
    uint32_t chunk_mask;
    unsigned generation;
};

static int is_free_running(struct device *device) { return integer_of(device, F_TRIGGER_MODE, 0) == 0; }

static int may_expose(struct device *device) {
    return device->is_acquiring && device->stream.is_started && !device->is_lost &&
           (device->is_triggered || is_free_running(device));
}

static uint32_t chunk_mask(const struct device *device) {
    uint32_t mask = 0;
    size_t i;
    if (!integer_of(device, F_CHUNK_ACTIVE, 0)) return 0;
    for (i = 0; i < CHUNK_COUNT; i++)
        if (integer_of(device, F_CHUNK_ENABLE, i)) mask |= 1U << i;
    return mask;
}

static void prepare(struct device *device, struct exposure *exposure) {
    struct link_request *r = &exposure->request;
    memset(exposure, 0, sizeof *exposure);
    r->frame_id = device->next_frame_id++;
    r->exposure_us = float_of(device, F_EXPOSURE_TIME);
    r->gain_db = float_of(device, F_GAIN);
    r->black_level_dn = float_of(device, F_BLACK_LEVEL);
    r->binning = (uint32_t)integer_of(device, F_BINNING_H, 0);
    r->width = (uint32_t)integer_of(device, F_WIDTH, 0);
    r->height = (uint32_t)integer_of(device, F_HEIGHT, 0);
    r->offset_x = (uint32_t)integer_of(device, F_OFFSET_X, 0);
    r->offset_y = (uint32_t)integer_of(device, F_OFFSET_Y, 0);
    r->pixel_format = (uint32_t)integer_of(device, F_PIXEL_FORMAT, 0);
    exposure->chunk_mask = chunk_mask(device);
    exposure->generation = device->generation;
    device->is_triggered = 0;
    device->is_exposing = 1;
}

/* Without a rig: a ramp that moves one pixel per frame and follows exposure and gain, so that any consumer sees life. */
static void draw_pattern(const struct exposure *exposure, uint8_t *out) {
    const struct link_request *r = &exposure->request;
    double brightness = r->exposure_us / 10000.0 * pow(10.0, r->gain_db / 20.0);
    unsigned max_dn = PF_MAX_DN(r->pixel_format);
    unsigned bytes = PF_BYTES(r->pixel_format);
    uint16_t ramp[256];
    uint32_t x, y;
    for (x = 0; x < 256; x++) {
        double value = r->black_level_dn + (double)x / 255.0 * 0.5 * (double)max_dn * brightness;
        ramp[x] = (uint16_t)(value > (double)max_dn ? (double)max_dn : value + 0.5);
    }
    for (y = 0; y < r->height; y++) {
        uint32_t shift = y + r->offset_y + r->offset_x + (uint32_t)r->frame_id;
        uint8_t *row = out + (size_t)y * r->width * bytes;
        if (bytes == 1)
            for (x = 0; x < r->width; x++) row[x] = (uint8_t)ramp[(x + shift) & 255U];
        else
            for (x = 0; x < r->width; x++) memcpy(row + 2 * (size_t)x, &ramp[(x + shift) & 255U], 2);
    }
}

static size_t expected_size(const struct link_request *r) {
    return (size_t)r->width * r->height * PF_BYTES(r->pixel_format);
}

/* Interruptible; a wait that is cut short only makes the pattern's exposure short. */
static void pause_us(struct device *device, double us) {
    uint64_t until = monotonic_ns() + (uint64_t)(us * 1000.0), now;
    lock_take(&camera_lock);
    while (!device->is_closing && (now = monotonic_ns()) < until)
        cond_wait_ms(&device->changed, &camera_lock, (until - now) / 1000000ULL + 1);
    lock_drop(&camera_lock);
}

static int expose(struct device *device, struct exposure *exposure) {
    if (device->has_rig) return link_expose(&device->link, &exposure->request, &exposure->reply, &device->is_closing);
    exposure->reply.status = LINK_OK;
    exposure->reply.frame_id = exposure->request.frame_id;
    exposure->reply.timestamp_ns = monotonic_ns();
    exposure->reply.payload_length = expected_size(&exposure->request);
    pause_us(device, exposure->request.exposure_us);
    return 0;
}

static struct buffer *take_buffer(struct device *device, const struct exposure *exposure) {
    struct buffer *buffer = NULL;
    lock_take(&camera_lock);
    if (device->generation == exposure->generation && exposure->reply.status != LINK_DROPPED) {
        buffer = first_buffer(&device->stream, BUFFER_INPUT);
        if (buffer) buffer->state = BUFFER_FILLING;
        else device->stream.underruns++;
    }
    lock_drop(&camera_lock);
    return buffer;
}

static int fill(struct device *device, const struct exposure *exposure, struct buffer *buffer) {
    if (device->has_rig)
        return link_payload(&device->link, &exposure->reply, buffer ? buffer->base : NULL,
                            buffer ? buffer->size : 0, &device->is_closing);
    if (buffer && buffer->size >= expected_size(&exposure->request)) draw_pattern(exposure, buffer->base);
    return 0;
}

static void put_chunks(struct buffer *buffer, const struct exposure *exposure) {
    struct picture *p = &buffer->picture;
    uint8_t *at;
    p->chunk_offset = aligned(p->image_size);
    p->chunk_mask = 0;
    if (!exposure->chunk_mask || p->is_incomplete || p->chunk_offset + CHUNK_BYTES > buffer->size) return;
    at = buffer->base + p->chunk_offset;
    memcpy(at + CHUNK_TIMESTAMP * CHUNK_ALIGNMENT, &p->timestamp_ns, 8);
    memcpy(at + CHUNK_FRAME_ID * CHUNK_ALIGNMENT, &p->frame_id, 8);
    memcpy(at + CHUNK_EXPOSURE * CHUNK_ALIGNMENT, &exposure->request.exposure_us, 8);
    memcpy(at + CHUNK_GAIN * CHUNK_ALIGNMENT, &exposure->request.gain_db, 8);
    p->chunk_mask = exposure->chunk_mask;
    p->filled = p->chunk_offset + CHUNK_BYTES;
}

static void describe(struct buffer *buffer, const struct exposure *exposure) {
    const struct link_request *r = &exposure->request;
    struct picture *p = &buffer->picture;
    memset(p, 0, sizeof *p);
    p->frame_id = exposure->reply.frame_id;
    p->timestamp_ns = exposure->reply.timestamp_ns;
    p->width = r->width;
    p->height = r->height;
    p->offset_x = r->offset_x;
    p->offset_y = r->offset_y;
    p->pixel_format = r->pixel_format;
    p->image_size = expected_size(r);
    p->filled = exposure->reply.payload_length < buffer->size ? (size_t)exposure->reply.payload_length : buffer->size;
    p->is_cut = exposure->reply.payload_length > buffer->size;
    p->is_incomplete = exposure->reply.status != LINK_OK || p->filled < p->image_size;
    p->has_data = 1;
    put_chunks(buffer, exposure);
}

/* The camera is ready for the next trigger before the consumer can see this frame. */
static void deliver(struct device *device, const struct exposure *exposure, struct buffer *buffer, int result) {
    if (buffer && result == 0) describe(buffer, exposure);
    lock_take(&camera_lock);
    device->is_exposing = 0;
    if (result != 0 && !device->is_closing) device->is_lost = 1;
    if (buffer && (result != 0 || device->generation != exposure->generation)) {
        enqueue(&device->stream, buffer, BUFFER_INPUT);
    } else if (buffer) {
        device->stream.started_frames++;
        device->stream.event.fired++;
        enqueue(&device->stream, buffer, BUFFER_OUTPUT);
    }
    cond_wake_all(&device->changed);
    lock_drop(&camera_lock);
}

static void keep_frame_rate(struct device *device, uint64_t started_ns) {
    double elapsed_us = (double)(monotonic_ns() - started_ns) / 1000.0;
    double period_us = 1e6 / float_of(device, F_FRAME_RATE);
    if (is_free_running(device) && elapsed_us < period_us) pause_us(device, period_us - elapsed_us);
}

static void camera_thread(void *argument) {
    struct device *device = argument;
    struct exposure exposure;
    struct buffer *buffer;
    uint64_t started_ns;
    int result;
    for (;;) {
        lock_take(&camera_lock);
        while (!device->is_closing && !may_expose(device)) cond_wait_ms(&device->changed, &camera_lock, WAIT_FOREVER);
        if (!device->is_closing) prepare(device, &exposure);
        lock_drop(&camera_lock);
        if (device->is_closing) return;
        started_ns = monotonic_ns();
        result = expose(device, &exposure);
        buffer = result == 0 ? take_buffer(device, &exposure) : NULL;
        if (result == 0) result = fill(device, &exposure, buffer);
        deliver(device, &exposure, buffer, result);
        keep_frame_rate(device, started_ns);
    }
}

/* ---- Opening, closing, starting ---- */

int camera_open(struct device *device) {
    if (device->has_rig && link_open(&device->link, device->host, device->service) != 0) return TL_IO;
    memset(device->registers, 0, sizeof device->registers);
    set_text(device, F_VENDOR, "Facet");
    set_text(device, F_MODEL, "SimCam20M");
    set_text(device, F_SERIAL, device->serial);
    set_text(device, F_FIRMWARE, "1.0.0");
    load_defaults(device);
    cond_init(&device->changed);
    device->is_lost = device->is_closing = 0;
    device->is_acquiring = device->is_triggered = device->is_exposing = 0;
    device->opened_ns = monotonic_ns();
    device->remote.device = device;
    device->is_open = 1;
    if (thread_start(&device->thread, camera_thread, device) == 0) return TL_OK;
    device->is_open = 0;
    if (device->has_rig) link_close(&device->link);
    return TL_MEMORY;
}

void camera_close(struct device *device) {
    lock_take(&camera_lock);
    device->is_closing = 1;
    cond_wake_all(&device->changed);
    lock_drop(&camera_lock);
    thread_join(device->thread);
    if (device->has_rig) link_close(&device->link);
    device->is_open = 0;
}

/* Asks the connection too: a rig that has ended is noticed while nothing is being exposed. */
int camera_is_gone(struct device *device) {
    if (!device->is_lost && device->has_rig && link_is_closed(&device->link)) device->is_lost = 1;
    return device->is_lost;
}

void camera_set_acquiring(struct device *device, int on) {
    lock_take(&camera_lock);
    if (on && !device->is_acquiring) device->next_frame_id = 1;
    device->is_acquiring = on;
    device->is_triggered = 0;
    device->generation++;
    cond_wake_all(&device->changed);
    lock_drop(&camera_lock);
}
