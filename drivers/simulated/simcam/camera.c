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
           PF_BITS(integer_of(device, F_PIXEL_FORMAT, 0)) / 8U;
}

static size_t aligned(size_t size) { return (size + CHUNK_ALIGNMENT - 1) / CHUNK_ALIGNMENT * CHUNK_ALIGNMENT; }

size_t camera_payload_size(const struct device *device) {
    size_t image = image_size(device);
    return integer_of(device, F_CHUNK_ACTIVE, 0) ? aligned(image) + CHUNK_BYTES : image;
}

static void update_geometry(struct device *device) {
    int64_t width_max = SENSOR_WIDTH / integer_of(device, F_BINNING_H, 0);
    int64_t height_max = SENSOR_HEIGHT / integer_of(device, F_BINNING_V, 0);
    set_integer(device, F_WIDTH_MAX, 0, width_max);
    set_integer(device, F_HEIGHT_MAX, 0, height_max);
    set_integer(device, F_WIDTH_LIMIT, 0, width_max - integer_of(device, F_OFFSET_X, 0));
    set_integer(device, F_HEIGHT_LIMIT, 0, height_max - integer_of(device, F_OFFSET_Y, 0));
    set_integer(device, F_OFFSET_X_LIMIT, 0, width_max - integer_of(device, F_WIDTH, 0));
    set_integer(device, F_OFFSET_Y_LIMIT, 0, height_max - integer_of(device, F_HEIGHT, 0));
    set_integer(device, F_PAYLOAD_SIZE, 0, (int64_t)camera_payload_size(device));
}

/* What a user set does not hold: the camera's identity, and what chooses among the sets. */
static int is_in_user_set(int id) {
    return features[id].kind != KIND_STRING && id != F_PARAMS_LOCKED && id != F_TIMESTAMP_VALUE &&
           id != F_USER_SET_SELECTOR && id != F_USER_SET_DEFAULT;
}

static void load_defaults(struct device *device) {
    int id;
    for (id = 0; id < FEATURE_COUNT; id++) {
        size_t index, count = features[id].count ? (size_t)features[id].count : 1;
        if (!is_in_user_set(id)) continue;
        for (index = 0; index < count; index++) {
            if (features[id].kind == KIND_FLOAT) set_float(device, id, features[id].reset);
            else set_integer(device, id, index, (int64_t)features[id].reset);
        }
    }
    set_integer(device, F_SENSOR_WIDTH, 0, SENSOR_WIDTH);
    set_integer(device, F_SENSOR_HEIGHT, 0, SENSOR_HEIGHT);
    set_integer(device, F_LINE_MODE, LINE_1_OUTPUT, 1);
    set_integer(device, F_LINE_MODE, LINE_2_OUTPUT, 1);
    set_integer(device, F_LINE_SOURCE, LINE_1_OUTPUT, LINE_SOURCE_EXPOSURE_ACTIVE);
    update_geometry(device);
}

static void load_user_set(struct device *device, int64_t which) {
    int id;
    load_defaults(device);
    for (id = 0; which == USER_SET_1 && device->has_user_set && id < FEATURE_COUNT; id++) {
        size_t first = feature_slot(id), count = features[id].count ? (size_t)features[id].count : 1;
        if (is_in_user_set(id)) memcpy(&device->registers[first], &device->user_set[first], count * 8);
    }
    update_geometry(device);
}

static int save_user_set(struct device *device) {
    if (integer_of(device, F_USER_SET_SELECTOR, 0) != USER_SET_1) return TL_ACCESS; /* Default is the maker's */
    memcpy(device->user_set, device->registers, sizeof device->user_set);
    device->has_user_set = 1;
    return TL_OK;
}

/* Binning sets the region back to the full picture of that direction, as most cameras do. */
static int set_binning(struct device *device, int id, int64_t binning) {
    int is_horizontal = id == F_BINNING_H;
    if (binning != 1 && binning != 2 && binning != 4 && binning != 8) return TL_VALUE;
    set_integer(device, id, 0, binning);
    set_integer(device, is_horizontal ? F_OFFSET_X : F_OFFSET_Y, 0, 0);
    if (is_horizontal) set_integer(device, F_WIDTH, 0, SENSOR_WIDTH / binning);
    else set_integer(device, F_HEIGHT, 0, SENSOR_HEIGHT / binning);
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

/* Without a rig the housing warms by 12 degrees over about ten minutes, as small cameras do. */
static double own_temperature_c(const struct device *device) {
    double seconds = (double)(monotonic_ns() - device->opened_ns) * 1e-9;
    return 30.0 + 12.0 * (1.0 - exp(-seconds / 600.0));
}

/* Clock and temperature, from the rig where there is one. Not to be called with camera_lock held. */
static int measure(struct device *device, uint64_t *now_ns, double *temperature_c) {
    *now_ns = monotonic_ns();
    *temperature_c = own_temperature_c(device);
    return device->has_rig ? link_clock(&device->link, now_ns, temperature_c) : 0;
}

static int latch_clock(struct device *device) {
    uint64_t now;
    double temperature;
    int result = measure(device, &now, &temperature);
    lock_take(&camera_lock);
    if (result != 0) device->is_lost = 1;
    else set_integer(device, F_TIMESTAMP_VALUE, 0, (int64_t)now);
    lock_drop(&camera_lock);
    return result == 0 ? TL_OK : TL_IO;
}

/* With camera_lock held. A trigger during an exposure is missed, as on a real sensor. */
static void trigger(struct device *device, int64_t source) {
    if (!device->is_acquiring || device->is_exposing || integer_of(device, F_TRIGGER_SOURCE, 0) != source) return;
    device->is_triggered = 1;
    cond_wake_all(&device->changed);
}

static void unplug(struct device *device) {
    device->unplugged_until_ns =
        monotonic_ns() + (uint64_t)integer_of(device, F_SIMULATE_UNPLUG_TIME, 0) * 1000000ULL;
    device->is_lost = 1;
    cond_wake_all(&device->changed);
}

static int execute(struct device *device, int id) {
    int result = TL_OK;
    if (id == F_TIMESTAMP_LATCH) return latch_clock(device);
    if (id == F_ACQUISITION_START) camera_set_acquiring(device, 1);
    if (id == F_ACQUISITION_STOP) camera_set_acquiring(device, 0);
    lock_take(&camera_lock);
    if (id == F_USER_SET_LOAD) load_user_set(device, integer_of(device, F_USER_SET_SELECTOR, 0));
    if (id == F_COUNTER_RESET) set_integer(device, F_COUNTER_VALUE, 0, 0);
    if (id == F_USER_SET_SAVE) result = save_user_set(device);
    if (id == F_TRIGGER_SOFTWARE) trigger(device, TRIGGER_SOFTWARE);
    if (id == F_SIMULATE_UNPLUG) unplug(device);
    lock_drop(&camera_lock);
    return result;
}

static int write_integer(struct device *device, int id, size_t index, int64_t value) {
    int result = TL_OK;
    if (!integer_is_valid(device, id, value)) return TL_VALUE;
    if (id == F_BINNING_H || id == F_BINNING_V) result = set_binning(device, id, value);
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

/* With camera_lock held. Bit n: output line n is on, `is_integrating` or not. */
static uint32_t active_lines(const struct device *device, int is_integrating) {
    uint32_t lines = 0;
    size_t line;
    for (line = LINE_1_OUTPUT; line < LINE_COUNT; line++) {
        int64_t source = integer_of(device, F_LINE_SOURCE, line);
        int is_on = source == LINE_SOURCE_EXPOSURE_ACTIVE && is_integrating;
        if (source >= LINE_SOURCE_USER_OUTPUT_0)
            is_on = integer_of(device, F_USER_OUTPUT_VALUE, (size_t)(source - LINE_SOURCE_USER_OUTPUT_0)) != 0;
        if (is_on) lines |= 1U << line;
    }
    return lines;
}

/* What changes by itself is brought up to date when it is read. */
static int refresh(struct device *device, int id) {
    uint64_t now;
    double temperature = 0.0;
    uint32_t lines;
    size_t line;
    int result = id == F_TEMPERATURE ? measure(device, &now, &temperature) : 0;
    lock_take(&camera_lock);
    if (result != 0) device->is_lost = 1;
    else if (id == F_TEMPERATURE) set_float(device, F_TEMPERATURE, temperature);
    lines = active_lines(device, device->is_integrating);
    for (line = 0; line < LINE_COUNT; line++) set_integer(device, F_LINE_STATUS, line, (lines >> line) & 1U);
    lock_drop(&camera_lock);
    return result;
}

int camera_read(struct device *device, uint64_t address, void *data, size_t size) {
    size_t index = 0, byte = 0, offset;
    int id;
    if (camera_is_gone(device)) return TL_IO;
    id = feature_at(address, &index, &byte);
    if (id < 0) return TL_ADDRESS;
    offset = (feature_slot(id) + index) * 8 + byte;
    if (offset + size > slot_count() * 8) return TL_ADDRESS;
    if ((id == F_TEMPERATURE || id == F_LINE_STATUS) && refresh(device, id) != 0) return TL_IO;
    lock_take(&camera_lock);
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
    int is_pattern, is_dropped, is_incomplete;
};

static int count_down(struct device *device, int id) {
    int64_t left = integer_of(device, id, 0);
    if (left > 0) set_integer(device, id, 0, left - 1);
    return left > 0;
}

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
    r->binning_vertical = (uint32_t)integer_of(device, F_BINNING_V, 0);
    r->active_lines = active_lines(device, 1);
    r->width = (uint32_t)integer_of(device, F_WIDTH, 0);
    r->height = (uint32_t)integer_of(device, F_HEIGHT, 0);
    r->offset_x = (uint32_t)integer_of(device, F_OFFSET_X, 0);
    r->offset_y = (uint32_t)integer_of(device, F_OFFSET_Y, 0);
    r->pixel_format = (uint32_t)integer_of(device, F_PIXEL_FORMAT, 0);
    exposure->chunk_mask = chunk_mask(device);
    exposure->generation = device->generation;
    exposure->is_pattern = !device->has_rig || integer_of(device, F_TEST_PATTERN, 0) != 0;
    exposure->is_dropped = count_down(device, F_SIMULATE_DROPPED);
    exposure->is_incomplete = count_down(device, F_SIMULATE_INCOMPLETE);
    device->is_triggered = 0;
    device->is_exposing = device->is_integrating = 1;
}

static unsigned full_scale_dn(uint32_t pixel_format) {
    if (pixel_format == PF_MONO10) return 1023U;
    if (pixel_format == PF_MONO16) return 65535U;
    return PF_BITS(pixel_format) == 8 || pixel_format == PF_RGB8 ? 255U : 4095U;
}

/* One row of the ramp in the given format; `shift` moves it. */
static void draw_row(uint8_t *row, uint32_t width, uint32_t pixel_format, const uint16_t *ramp, uint32_t shift) {
    uint32_t x;
    switch (PF_BITS(pixel_format)) {
    case 8:
        for (x = 0; x < width; x++) row[x] = (uint8_t)ramp[(x + shift) & 255U];
        break;
    case 12: /* two pixels in three bytes, least significant bits first */
        for (x = 0; x + 1 < width; x += 2, row += 3) {
            uint16_t a = ramp[(x + shift) & 255U], b = ramp[(x + 1 + shift) & 255U];
            row[0] = (uint8_t)a;
            row[1] = (uint8_t)((a >> 8) | ((b & 15U) << 4));
            row[2] = (uint8_t)(b >> 4);
        }
        break;
    case 24:
        for (x = 0; x < width; x++, row += 3) row[0] = row[1] = row[2] = (uint8_t)ramp[(x + shift) & 255U];
        break;
    default:
        for (x = 0; x < width; x++) memcpy(row + 2 * (size_t)x, &ramp[(x + shift) & 255U], 2);
    }
}

/* A ramp that moves one pixel per frame and follows exposure and gain, so that any consumer sees a living picture without a rig. */
static void draw_pattern(const struct exposure *exposure, uint8_t *out) {
    const struct link_request *r = &exposure->request;
    double brightness = r->exposure_us / 10000.0 * pow(10.0, r->gain_db / 20.0);
    unsigned max_dn = full_scale_dn(r->pixel_format);
    size_t stride = PF_SIZE(r->pixel_format, r->width);
    uint16_t ramp[256];
    uint32_t x, y;
    for (x = 0; x < 256; x++) {
        double value = r->black_level_dn + (double)x / 255.0 * 0.5 * (double)max_dn * brightness;
        ramp[x] = (uint16_t)(value > (double)max_dn ? (double)max_dn : value + 0.5);
    }
    for (y = 0; y < r->height; y++)
        draw_row(out + y * stride, r->width, r->pixel_format, ramp,
                 y + r->offset_y + r->offset_x + (uint32_t)r->frame_id);
}

static size_t expected_size(const struct link_request *r) {
    return PF_SIZE(r->pixel_format, r->width) * r->height;
}

/* Interruptible; a wait that is cut short only makes the pattern's exposure short. */
static void pause_us(struct device *device, double us) {
    uint64_t until = monotonic_ns() + (uint64_t)(us * 1000.0), now;
    lock_take(&camera_lock);
    while (!device->is_closing && (now = monotonic_ns()) < until)
        cond_wait_ms(&device->changed, &camera_lock, (until - now) / 1000000ULL + 1);
    lock_drop(&camera_lock);
}

/* With camera_lock held. Once per exposure, however often it is called. */
static void end_exposure(struct device *device) {
    if (device->is_integrating && integer_of(device, F_COUNTER_SOURCE, 0) == COUNTER_EXPOSURE_END)
        set_integer(device, F_COUNTER_VALUE, 0, integer_of(device, F_COUNTER_VALUE, 0) + 1);
    device->is_integrating = 0;
}

static void exposure_ended(void *context) {
    lock_take(&camera_lock);
    end_exposure(context);
    lock_drop(&camera_lock);
}

static int expose_pattern(struct device *device, struct exposure *exposure) {
    double temperature;
    exposure->reply.status = LINK_OK;
    exposure->reply.frame_id = exposure->request.frame_id;
    exposure->reply.payload_length = expected_size(&exposure->request);
    if (measure(device, &exposure->reply.timestamp_ns, &temperature) != 0) return -1;
    pause_us(device, exposure->request.exposure_us);
    exposure_ended(device);
    return 0;
}

static int expose(struct device *device, struct exposure *exposure) {
    int result = exposure->is_pattern
        ? expose_pattern(device, exposure)
        : link_expose(&device->link, &exposure->request, &exposure->reply, &device->is_closing, exposure_ended, device);
    if (exposure->is_incomplete) exposure->reply.status = LINK_INCOMPLETE;
    if (exposure->is_dropped) exposure->reply.status = LINK_DROPPED;
    return result;
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
    if (!exposure->is_pattern)
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
    end_exposure(device); /* a rig need not have announced it */
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
        if (result == LINK_OVERWRITTEN) {
            exposure.reply.status = LINK_INCOMPLETE;
            result = 0;
        }
        deliver(device, &exposure, buffer, result);
        keep_frame_rate(device, started_ns);
    }
}

/* Edges on the trigger input come from the rig at any time. */
static void line_thread(void *argument) {
    struct device *device = argument;
    while (!device->is_closing && link_line(&device->link, &device->is_closing) == 0) {
        lock_take(&camera_lock);
        trigger(device, TRIGGER_LINE_0);
        lock_drop(&camera_lock);
    }
}

/* ---- Opening, closing, starting ---- */

static int start_threads(struct device *device) {
    if (thread_start(&device->thread, camera_thread, device) != 0) return TL_MEMORY;
    if (!device->has_rig || thread_start(&device->line_thread, line_thread, device) == 0) return TL_OK;
    lock_take(&camera_lock);
    device->is_closing = 1;
    cond_wake_all(&device->changed);
    lock_drop(&camera_lock);
    thread_join(device->thread);
    return TL_MEMORY;
}

int camera_access_elsewhere(const struct device *device) {
    int found = device->has_rig ? link_probe(device->address) : 0;
    if (found == LINK_HELD) return ACCESS_BUSY;
    return found == 0 ? ACCESS_READWRITE : ACCESS_NONE;
}

int camera_open(struct device *device, int is_read_only) {
    int opened;
    int64_t user_set = integer_of(device, F_USER_SET_DEFAULT, 0); /* zero at first use */
    if (monotonic_ns() < device->unplugged_until_ns) return TL_IO;
    opened = device->has_rig ? link_open(&device->link, device->address) : 0;
    if (opened != 0) return opened == LINK_HELD ? TL_IN_USE : TL_IO;
    device->is_read_only = is_read_only;
    memset(device->registers, 0, sizeof device->registers);
    set_text(device, F_VENDOR, "Facet");
    set_text(device, F_MODEL, "SimCam20M");
    set_text(device, F_SERIAL, device->serial);
    set_text(device, F_FIRMWARE, "1.0.0");
    set_integer(device, F_USER_SET_DEFAULT, 0, user_set);
    load_user_set(device, user_set);
    cond_init(&device->changed);
    device->is_lost = device->is_closing = 0;
    device->is_acquiring = device->is_triggered = device->is_exposing = device->is_integrating = 0;
    device->opened_ns = monotonic_ns();
    device->remote.device = device;
    device->is_open = 1;
    if (start_threads(device) == TL_OK) return TL_OK;
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
    if (device->has_rig) {
        thread_join(device->line_thread);
        link_close(&device->link);
    }
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
