/* simcam: a GenTL 1.5 producer for the simulated camera. One system, one interface, a device per rig endpoint.

   FACET_SIMCAM_ENDPOINTS names a folder; each NAME.endpoint in it holds a serial number and, on the next line, the
   rig's address. It is read anew at every device list update, so that a restarted rig is found. One process at a
   time has a camera open; one that opens it read only has its registers, and writes none. Without the variable
   there is one device that makes a pattern of its own. Handles point into static tables and are checked against
   them, so that a stale or foreign handle is refused and never followed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "camera.h"

#define API EXPORT int32_t CALL
#define ENDPOINTS_VARIABLE "FACET_SIMCAM_ENDPOINTS"
#define PATTERN_SERIAL "PATTERN-1"
#define TL_TYPE "Custom" /* neither GEV nor U3V: consumers then ask DSGetBufferChunkData where the chunks are */
#define VERSION_TEXT "1.0.0"

static int library_users, system_is_open, interface_is_open;
static char the_system, the_interface; /* their addresses are the handles */
static struct device devices[MAX_DEVICES];
static THREAD_LOCAL int32_t last_error;
static THREAD_LOCAL char last_text[256];

static int32_t fail(int32_t code, const char *text) {
    last_error = code;
    snprintf(last_text, sizeof last_text, "%s", text);
    return code;
}

#define REQUIRE(condition, code, text) do { if (!(condition)) return fail(code, text); } while (0)
#define REQUIRE_LIBRARY() REQUIRE(library_users > 0, TL_NOT_INITIALIZED, "GCInitLib has not been called")

/* ---- Handles ---- */

static struct device *as_device(const void *handle) {
    int i;
    for (i = 0; i < MAX_DEVICES; i++)
        if (handle == &devices[i] && devices[i].is_open) return &devices[i];
    return NULL;
}

static struct device *as_remote(const void *handle) {
    int i;
    for (i = 0; i < MAX_DEVICES; i++)
        if (handle == &devices[i].remote && devices[i].is_open) return &devices[i];
    return NULL;
}

static struct stream *as_stream(const void *handle) {
    int i;
    for (i = 0; i < MAX_DEVICES; i++)
        if (handle == &devices[i].stream && devices[i].is_open && devices[i].stream.is_open) return &devices[i].stream;
    return NULL;
}

static struct event *as_event(const void *handle) {
    int i;
    for (i = 0; i < MAX_DEVICES; i++)
        if (handle == &devices[i].stream.event && devices[i].stream.event.is_registered)
            return &devices[i].stream.event;
    return NULL;
}

static struct buffer *as_buffer(struct stream *stream, const void *handle) {
    int i;
    for (i = 0; i < MAX_BUFFERS; i++)
        if (handle == &stream->buffers[i] && stream->buffers[i].state != BUFFER_ABSENT) return &stream->buffers[i];
    return NULL;
}

static int is_system(const void *handle) { return handle == &the_system && system_is_open; }
static int is_interface(const void *handle) { return handle == &the_interface && interface_is_open; }

/* ---- Answers ---- */

static int32_t give(const void *value, size_t size, int32_t kind, int32_t *type, void *out, size_t *out_size) {
    REQUIRE(out_size, TL_PARAMETER, "no place for the size");
    if (type) *type = kind;
    if (!out) {
        *out_size = size;
        return TL_OK;
    }
    REQUIRE(*out_size >= size, TL_TOO_SMALL, "the buffer is too small for the answer");
    memcpy(out, value, size);
    *out_size = size;
    return TL_OK;
}

static int32_t give_text(const char *text, int32_t *type, void *out, size_t *size) {
    return give(text, strlen(text) + 1, TYPE_STRING, type, out, size);
}

static int32_t give_i32(int32_t value, int32_t *type, void *out, size_t *size) {
    return give(&value, sizeof value, TYPE_I32, type, out, size);
}

static int32_t give_u32(uint32_t value, int32_t *type, void *out, size_t *size) {
    return give(&value, sizeof value, TYPE_U32, type, out, size);
}

static int32_t give_u64(uint64_t value, int32_t *type, void *out, size_t *size) {
    return give(&value, sizeof value, TYPE_U64, type, out, size);
}

static int32_t give_size(size_t value, int32_t *type, void *out, size_t *size) {
    return give(&value, sizeof value, TYPE_SIZE, type, out, size);
}

static int32_t give_bool(int value, int32_t *type, void *out, size_t *size) {
    uint8_t byte = value ? 1 : 0;
    return give(&byte, sizeof byte, TYPE_BOOL8, type, out, size);
}

static int32_t give_pointer(const void *value, int32_t *type, void *out, size_t *size) {
    return give(&value, sizeof value, TYPE_POINTER, type, out, size);
}

/* ---- Library ---- */

API GCInitLib(void) {
    REQUIRE(library_users == 0, TL_IN_USE, "the library is initialised already");
    REQUIRE(slot_count() <= MAX_SLOTS, TL_ERROR, "more registers than MAX_SLOTS");
    REQUIRE(net_init() == 0, TL_ERROR, "the network could not be initialised");
    lock_init(&camera_lock);
    library_users = 1;
    return TL_OK;
}

API GCGetLastError(int32_t *code, char *text, size_t *size) {
    REQUIRE_LIBRARY();
    REQUIRE(code, TL_PARAMETER, "no place for the code");
    *code = last_error;
    return give_text(last_text, NULL, text, size);
}

static int32_t system_info(int32_t command, int32_t *type, void *out, size_t *size) {
    switch (command) {
    case 0: return give_text("simcam", type, out, size);
    case 1: return give_text("Facet", type, out, size);
    case 2: return give_text("Simulated camera producer", type, out, size);
    case 3: return give_text(VERSION_TEXT, type, out, size);
    case 4: return give_text(TL_TYPE, type, out, size);
    case 5: case 6: return give_text("simcam.cti", type, out, size);
    case 7: return give_text("Facet simulated camera", type, out, size);
    case 8: return give_i32(1, type, out, size); /* UTF-8 */
    case 9: return give_u32(1, type, out, size);
    case 10: return give_u32(5, type, out, size);
    default: return fail(TL_NOT_IMPLEMENTED, "unknown system information");
    }
}

API GCGetInfo(int32_t command, int32_t *type, void *out, size_t *size) {
    return system_info(command, type, out, size);
}

API TLGetInfo(void *tl, int32_t command, int32_t *type, void *out, size_t *size) {
    REQUIRE(is_system(tl), TL_HANDLE, "not an open system");
    return system_info(command, type, out, size);
}

API TLOpen(void **tl) {
    REQUIRE_LIBRARY();
    REQUIRE(tl, TL_PARAMETER, "no place for the handle");
    REQUIRE(!system_is_open, TL_IN_USE, "the system is open already");
    system_is_open = 1;
    *tl = &the_system;
    return TL_OK;
}

API TLUpdateInterfaceList(void *tl, uint8_t *changed, uint64_t timeout) {
    (void)timeout;
    REQUIRE(is_system(tl), TL_HANDLE, "not an open system");
    if (changed) *changed = 0;
    return TL_OK;
}

API TLGetNumInterfaces(void *tl, uint32_t *count) {
    REQUIRE(is_system(tl), TL_HANDLE, "not an open system");
    REQUIRE(count, TL_PARAMETER, "no place for the count");
    *count = 1;
    return TL_OK;
}

#define INTERFACE_ID "simcam-0"

API TLGetInterfaceID(void *tl, uint32_t index, char *id, size_t *size) {
    REQUIRE(is_system(tl), TL_HANDLE, "not an open system");
    REQUIRE(index == 0, TL_INDEX, "there is one interface");
    return give_text(INTERFACE_ID, NULL, id, size);
}

static int32_t interface_info(int32_t command, int32_t *type, void *out, size_t *size) {
    switch (command) {
    case 0: return give_text(INTERFACE_ID, type, out, size);
    case 1: return give_text("Facet simulated rig", type, out, size);
    case 2: return give_text(TL_TYPE, type, out, size);
    default: return fail(TL_NOT_IMPLEMENTED, "unknown interface information");
    }
}

API TLGetInterfaceInfo(void *tl, const char *id, int32_t command, int32_t *type, void *out, size_t *size) {
    REQUIRE(is_system(tl), TL_HANDLE, "not an open system");
    REQUIRE(id && strcmp(id, INTERFACE_ID) == 0, TL_ID, "no such interface");
    return interface_info(command, type, out, size);
}

API IFGetInfo(void *iface, int32_t command, int32_t *type, void *out, size_t *size) {
    REQUIRE(is_interface(iface), TL_HANDLE, "not an open interface");
    return interface_info(command, type, out, size);
}

API TLOpenInterface(void *tl, const char *id, void **iface) {
    REQUIRE(is_system(tl), TL_HANDLE, "not an open system");
    REQUIRE(id && strcmp(id, INTERFACE_ID) == 0, TL_ID, "no such interface");
    REQUIRE(iface, TL_PARAMETER, "no place for the handle");
    REQUIRE(!interface_is_open, TL_IN_USE, "the interface is open already");
    interface_is_open = 1;
    *iface = &the_interface;
    return TL_OK;
}

API IFGetParentTL(void *iface, void **tl) {
    REQUIRE(is_interface(iface), TL_HANDLE, "not an open interface");
    REQUIRE(tl, TL_PARAMETER, "no place for the handle");
    *tl = &the_system;
    return TL_OK;
}

/* ---- The device list ---- */

static struct device *slot_for(const char *serial) {
    struct device *unused = NULL;
    int i;
    for (i = 0; i < MAX_DEVICES; i++) {
        if (devices[i].is_used && strcmp(devices[i].serial, serial) == 0) return &devices[i];
        if (!unused && !devices[i].is_listed && !devices[i].is_open) unused = &devices[i];
    }
    return unused;
}

static void list_device(const char *serial, const char *address) {
    struct device *device = slot_for(serial);
    if (!device) return;
    device->is_listed = device->is_used = 1;
    if (!device->is_open && monotonic_ns() < device->unplugged_until_ns) {
        device->is_listed = 0;
        return;
    }
    if (device->is_open) return; /* an open device keeps the connection that it has */
    snprintf(device->serial, sizeof device->serial, "%s", serial);
    snprintf(device->address, sizeof device->address, "%s", address ? address : "");
    device->has_rig = address != NULL;
}

/* Without its end; 0 for an empty one. */
static int read_line(FILE *file, char *line, int size) {
    if (!fgets(line, size, file)) return 0;
    line[strcspn(line, "\r\n")] = '\0';
    return line[0] != '\0';
}

static void read_endpoint(const char *path, void *context) {
    char serial[TEXT_LENGTH], address[PATH_LENGTH];
    FILE *file = fopen(path, "r");
    (void)context;
    if (!file) return;
    if (read_line(file, serial, sizeof serial) && read_line(file, address, sizeof address)) list_device(serial, address);
    fclose(file);
}

static uint32_t listed_count(void) {
    uint32_t count = 0;
    int i;
    for (i = 0; i < MAX_DEVICES; i++) count += devices[i].is_listed ? 1U : 0U;
    return count;
}

static struct device *listed_device(const char *id) {
    int i;
    for (i = 0; i < MAX_DEVICES; i++)
        if (id && devices[i].is_listed && strcmp(devices[i].serial, id) == 0) return &devices[i];
    return NULL;
}

API IFUpdateDeviceList(void *iface, uint8_t *changed, uint64_t timeout) {
    char folder[PATH_LENGTH];
    int i;
    (void)timeout;
    REQUIRE(is_interface(iface), TL_HANDLE, "not an open interface");
    lock_take(&camera_lock);
    for (i = 0; i < MAX_DEVICES; i++) devices[i].is_listed = devices[i].is_open;
    if (environment_value(ENDPOINTS_VARIABLE, folder, sizeof folder))
        for_each_file(folder, ".endpoint", read_endpoint, NULL);
    else
        list_device(PATTERN_SERIAL, NULL);
    lock_drop(&camera_lock);
    if (changed) *changed = 1; /* a device's address may have changed even when the names have not */
    return TL_OK;
}

API IFGetNumDevices(void *iface, uint32_t *count) {
    REQUIRE(is_interface(iface), TL_HANDLE, "not an open interface");
    REQUIRE(count, TL_PARAMETER, "no place for the count");
    *count = listed_count();
    return TL_OK;
}

API IFGetDeviceID(void *iface, uint32_t index, char *id, size_t *size) {
    int i;
    REQUIRE(is_interface(iface), TL_HANDLE, "not an open interface");
    for (i = 0; i < MAX_DEVICES; i++)
        if (devices[i].is_listed && index-- == 0) return give_text(devices[i].serial, NULL, id, size);
    return fail(TL_INDEX, "there are fewer devices");
}

static int32_t access_status(struct device *device) {
    if (!device->is_open) return camera_access_elsewhere(device);
    if (camera_is_gone(device)) return ACCESS_NONE;
    return device->is_read_only ? ACCESS_OPEN_READONLY : ACCESS_OPEN_READWRITE;
}

static int32_t device_info(struct device *device, int32_t command, int32_t *type, void *out, size_t *size) {
    switch (command) {
    case 0: case 7: return give_text(device->serial, type, out, size);
    case 1: return give_text("Facet", type, out, size);
    case 2: return give_text("SimCam20M", type, out, size);
    case 3: return give_text(TL_TYPE, type, out, size);
    case 4: return give_text("Facet SimCam20M", type, out, size);
    case 5: return give_i32(access_status(device), type, out, size);
    case 6: return give_text("", type, out, size);
    case 8: return give_text(VERSION_TEXT, type, out, size);
    case 9: return give_u64(1000000000ULL, type, out, size);
    default: return fail(TL_NOT_IMPLEMENTED, "unknown device information");
    }
}

API IFGetDeviceInfo(void *iface, const char *id, int32_t command, int32_t *type, void *out, size_t *size) {
    struct device *device = listed_device(id);
    REQUIRE(is_interface(iface), TL_HANDLE, "not an open interface");
    REQUIRE(device, TL_ID, "no such device");
    return device_info(device, command, type, out, size);
}

API IFOpenDevice(void *iface, const char *id, int32_t flags, void **handle) {
    struct device *device = listed_device(id);
    int opened;
    REQUIRE(is_interface(iface), TL_HANDLE, "not an open interface");
    REQUIRE(device, TL_ID, "no such device");
    REQUIRE(handle && flags > 1, TL_PARAMETER, "no place for the handle, or no access asked for");
    REQUIRE(!device->is_open, TL_IN_USE, "the device is open already");
    opened = camera_open(device, flags == OPEN_READONLY);
    REQUIRE(opened != TL_IN_USE, TL_IN_USE, "another program has the device open");
    REQUIRE(opened == TL_OK, TL_IO, "the rig behind this device does not answer");
    *handle = device;
    return TL_OK;
}

/* ---- The device ---- */

API DevGetInfo(void *handle, int32_t command, int32_t *type, void *out, size_t *size) {
    struct device *device = as_device(handle);
    REQUIRE(device, TL_HANDLE, "not an open device");
    return device_info(device, command, type, out, size);
}

API DevGetPort(void *handle, void **port) {
    struct device *device = as_device(handle);
    REQUIRE(device, TL_HANDLE, "not an open device");
    REQUIRE(port, TL_PARAMETER, "no place for the handle");
    *port = &device->remote;
    return TL_OK;
}

API DevGetParentIF(void *handle, void **iface) {
    REQUIRE(as_device(handle), TL_HANDLE, "not an open device");
    REQUIRE(iface, TL_PARAMETER, "no place for the handle");
    *iface = &the_interface;
    return TL_OK;
}

API DevGetNumDataStreams(void *handle, uint32_t *count) {
    REQUIRE(as_device(handle), TL_HANDLE, "not an open device");
    REQUIRE(count, TL_PARAMETER, "no place for the count");
    *count = 1;
    return TL_OK;
}

#define STREAM_ID "stream-0"

API DevGetDataStreamID(void *handle, uint32_t index, char *id, size_t *size) {
    REQUIRE(as_device(handle), TL_HANDLE, "not an open device");
    REQUIRE(index == 0, TL_INDEX, "there is one stream");
    return give_text(STREAM_ID, NULL, id, size);
}

API DevOpenDataStream(void *handle, const char *id, void **stream) {
    struct device *device = as_device(handle);
    REQUIRE(device, TL_HANDLE, "not an open device");
    REQUIRE(id && strcmp(id, STREAM_ID) == 0, TL_ID, "no such stream");
    REQUIRE(stream, TL_PARAMETER, "no place for the handle");
    REQUIRE(!device->stream.is_open, TL_IN_USE, "the stream is open already");
    memset(&device->stream, 0, sizeof device->stream);
    device->stream.device = device;
    device->stream.event.device = device;
    device->stream.is_open = 1;
    *stream = &device->stream;
    return TL_OK;
}

/* ---- The stream ---- */

static void stop_stream(struct stream *stream) {
    stream->is_started = 0;
    stream->device->generation++;
    wait_for_fills(stream->device);
}

static void forget_buffer(struct buffer *buffer) {
    if (buffer->is_ours) free(buffer->base);
    memset(buffer, 0, sizeof *buffer);
}

static int32_t close_stream(struct stream *stream) {
    int i;
    lock_take(&camera_lock);
    stop_stream(stream);
    for (i = 0; i < MAX_BUFFERS; i++) forget_buffer(&stream->buffers[i]);
    stream->is_open = stream->event.is_registered = 0;
    cond_wake_all(&stream->device->changed);
    lock_drop(&camera_lock);
    return TL_OK;
}

API DSClose(void *handle) {
    struct stream *stream = as_stream(handle);
    REQUIRE(stream, TL_HANDLE, "not an open stream");
    return close_stream(stream);
}

API DevClose(void *handle) {
    struct device *device = as_device(handle);
    REQUIRE(device, TL_HANDLE, "not an open device");
    if (device->stream.is_open) close_stream(&device->stream);
    camera_close(device);
    return TL_OK;
}

API IFClose(void *iface) {
    int i;
    REQUIRE(is_interface(iface), TL_HANDLE, "not an open interface");
    for (i = 0; i < MAX_DEVICES; i++)
        if (devices[i].is_open) DevClose(&devices[i]);
    interface_is_open = 0;
    return TL_OK;
}

API TLClose(void *tl) {
    REQUIRE(is_system(tl), TL_HANDLE, "not an open system");
    if (interface_is_open) IFClose(&the_interface);
    system_is_open = 0;
    return TL_OK;
}

API GCCloseLib(void) {
    REQUIRE_LIBRARY();
    if (system_is_open) TLClose(&the_system);
    library_users = 0;
    return TL_OK;
}

API DSGetParentDev(void *handle, void **device) {
    struct stream *stream = as_stream(handle);
    REQUIRE(stream, TL_HANDLE, "not an open stream");
    REQUIRE(device, TL_PARAMETER, "no place for the handle");
    *device = stream->device;
    return TL_OK;
}

API DSGetInfo(void *handle, int32_t command, int32_t *type, void *out, size_t *size) {
    struct stream *stream = as_stream(handle);
    int queued, awaiting;
    REQUIRE(stream, TL_HANDLE, "not an open stream");
    lock_take(&camera_lock);
    queued = count_buffers(stream, BUFFER_INPUT);
    awaiting = count_buffers(stream, BUFFER_OUTPUT);
    lock_drop(&camera_lock);
    switch (command) {
    case 0: return give_text(STREAM_ID, type, out, size);
    case 1: return give_u64(stream->delivered, type, out, size);
    case 2: return give_u64(stream->underruns, type, out, size);
    case 3: return give_size((size_t)(MAX_BUFFERS - count_buffers(stream, BUFFER_ABSENT)), type, out, size);
    case 4: return give_size((size_t)queued, type, out, size);
    case 5: return give_size((size_t)awaiting, type, out, size);
    case 6: return give_u64(stream->started_frames, type, out, size);
    case 7: return give_size(camera_payload_size(stream->device), type, out, size);
    case 8: return give_bool(stream->is_started, type, out, size);
    case 9: return give_bool(1, type, out, size);
    case 10: return give_text(TL_TYPE, type, out, size);
    case 11: return give_size(CHUNK_COUNT, type, out, size);
    case 12: return give_size(1, type, out, size);
    case 13: return give_size(1, type, out, size);
    default: return fail(TL_NOT_IMPLEMENTED, "unknown stream information");
    }
}

static int32_t announce(void *handle, void *base, size_t size, void *user, int is_ours, void **out) {
    struct stream *stream = as_stream(handle);
    struct buffer *buffer = NULL;
    int i;
    REQUIRE(stream, TL_HANDLE, "not an open stream");
    REQUIRE(base && size && out, TL_PARAMETER, "no memory, no size, or no place for the handle");
    for (i = 0; i < MAX_BUFFERS && !buffer; i++)
        if (stream->buffers[i].state == BUFFER_ABSENT) buffer = &stream->buffers[i];
    REQUIRE(buffer, TL_MEMORY, "no more buffers can be announced");
    memset(buffer, 0, sizeof *buffer);
    buffer->base = base;
    buffer->size = size;
    buffer->user = user;
    buffer->is_ours = is_ours;
    buffer->state = BUFFER_UNQUEUED;
    *out = buffer;
    return TL_OK;
}

API DSAnnounceBuffer(void *handle, void *base, size_t size, void *user, void **out) {
    return announce(handle, base, size, user, 0, out);
}

API DSAllocAndAnnounceBuffer(void *handle, size_t size, void *user, void **out) {
    int32_t result;
    void *base = calloc(1, size);
    REQUIRE(base, TL_MEMORY, "no memory for the buffer");
    result = announce(handle, base, size, user, 1, out);
    if (result != TL_OK) free(base);
    return result;
}

API DSRevokeBuffer(void *handle, void *which, void **base, void **user) {
    struct stream *stream = as_stream(handle);
    struct buffer *buffer = stream ? as_buffer(stream, which) : NULL;
    REQUIRE(stream, TL_HANDLE, "not an open stream");
    REQUIRE(buffer, TL_BUFFER, "not an announced buffer");
    REQUIRE(buffer->state == BUFFER_UNQUEUED, TL_BUSY, "the buffer is in a queue");
    if (base) *base = buffer->is_ours ? NULL : buffer->base;
    if (user) *user = buffer->user;
    forget_buffer(buffer);
    return TL_OK;
}

API DSQueueBuffer(void *handle, void *which) {
    struct stream *stream = as_stream(handle);
    struct buffer *buffer = stream ? as_buffer(stream, which) : NULL;
    int32_t result = TL_OK;
    REQUIRE(stream, TL_HANDLE, "not an open stream");
    REQUIRE(buffer, TL_BUFFER, "not an announced buffer");
    lock_take(&camera_lock);
    if (buffer->state == BUFFER_UNQUEUED) enqueue(stream, buffer, BUFFER_INPUT);
    else result = TL_IN_USE;
    lock_drop(&camera_lock);
    return result == TL_OK ? TL_OK : fail(result, "the buffer is in a queue already");
}

static void move_all(struct stream *stream, enum buffer_state from, enum buffer_state to) {
    struct buffer *buffer;
    while (from != to && (buffer = first_buffer(stream, from)) != NULL) enqueue(stream, buffer, to);
}

API DSFlushQueue(void *handle, int32_t operation) {
    struct stream *stream = as_stream(handle);
    REQUIRE(stream, TL_HANDLE, "not an open stream");
    REQUIRE(operation >= FLUSH_IN_TO_OUT && operation <= FLUSH_ALL_DISCARD, TL_PARAMETER, "unknown flush");
    lock_take(&camera_lock);
    wait_for_fills(stream->device);
    if (operation == FLUSH_IN_TO_OUT) move_all(stream, BUFFER_INPUT, BUFFER_OUTPUT);
    if (operation == FLUSH_OUT_DISCARD || operation == FLUSH_ALL_DISCARD)
        move_all(stream, BUFFER_OUTPUT, BUFFER_UNQUEUED);
    if (operation == FLUSH_ALL_DISCARD) move_all(stream, BUFFER_INPUT, BUFFER_UNQUEUED);
    if (operation == FLUSH_ALL_TO_IN) move_all(stream, BUFFER_OUTPUT, BUFFER_INPUT);
    if (operation == FLUSH_ALL_TO_IN || operation == FLUSH_UNQUEUED_TO_IN)
        move_all(stream, BUFFER_UNQUEUED, BUFFER_INPUT);
    lock_drop(&camera_lock);
    return TL_OK;
}

API DSStartAcquisition(void *handle, int32_t flags, uint64_t count) {
    struct stream *stream = as_stream(handle);
    (void)flags;
    (void)count;
    REQUIRE(stream, TL_HANDLE, "not an open stream");
    REQUIRE(!stream->is_started, TL_IN_USE, "the stream is started already");
    lock_take(&camera_lock);
    stream->is_started = 1;
    stream->device->generation++;
    stream->delivered = stream->underruns = stream->started_frames = 0;
    cond_wake_all(&stream->device->changed);
    lock_drop(&camera_lock);
    return TL_OK;
}

API DSStopAcquisition(void *handle, int32_t flags) {
    struct stream *stream = as_stream(handle);
    (void)flags;
    REQUIRE(stream, TL_HANDLE, "not an open stream");
    REQUIRE(stream->is_started, TL_IN_USE, "the stream is not started");
    lock_take(&camera_lock);
    stop_stream(stream);
    lock_drop(&camera_lock);
    return TL_OK;
}

/* ---- Buffers ---- */

static int32_t picture_info(const struct buffer *buffer, int32_t command, int32_t *type, void *out, size_t *size) {
    const struct picture *p = &buffer->picture;
    switch (command) {
    case 3: case 28: return give_u64(p->timestamp_ns, type, out, size);
    case 9: case 27: return give_size(p->filled, type, out, size);
    case 10: return give_size(p->width, type, out, size);
    case 11: case 22: return give_size(p->height, type, out, size);
    case 12: return give_size(p->offset_x, type, out, size);
    case 13: return give_size(p->offset_y, type, out, size);
    case 14: case 15: case 18: return give_size(0, type, out, size); /* no padding, the image comes first */
    case 16: return give_u64(p->frame_id, type, out, size);
    case 17: return give_bool(p->has_data, type, out, size);
    case 19: return give_size(PAYLOAD_IMAGE, type, out, size);
    case 20: return give_u64(p->pixel_format, type, out, size);
    case 21: return give_u64(NAMESPACE_PFNC_32, type, out, size);
    case 23: return give_size(p->chunk_mask ? CHUNK_BYTES : 0, type, out, size);
    case 26: return give_i32(ENDIAN_LITTLE, type, out, size);
    case 29: return give_bool(p->is_cut, type, out, size);
    case 30: return give_bool(p->chunk_mask != 0, type, out, size);
    default: return fail(TL_NOT_IMPLEMENTED, "unknown buffer information");
    }
}

API DSGetBufferInfo(void *handle, void *which, int32_t command, int32_t *type, void *out, size_t *size) {
    struct stream *stream = as_stream(handle);
    struct buffer *buffer = stream ? as_buffer(stream, which) : NULL;
    REQUIRE(stream, TL_HANDLE, "not an open stream");
    REQUIRE(buffer, TL_BUFFER, "not an announced buffer");
    switch (command) {
    case 0: return give_pointer(buffer->base, type, out, size);
    case 1: return give_size(buffer->size, type, out, size);
    case 2: return give_pointer(buffer->user, type, out, size);
    case 4: return give_bool(buffer->state == BUFFER_OUTPUT, type, out, size);
    case 5: return give_bool(buffer->state != BUFFER_UNQUEUED, type, out, size);
    case 6: return give_bool(buffer->state == BUFFER_FILLING, type, out, size);
    case 7: return give_bool(buffer->picture.is_incomplete, type, out, size);
    case 8: return give_text(TL_TYPE, type, out, size);
    default: break;
    }
    REQUIRE(buffer->picture.has_data, TL_NO_DATA, "the buffer holds no picture yet");
    return picture_info(buffer, command, type, out, size);
}

API DSGetBufferChunkData(void *handle, void *which, chunk_entry *list, size_t *count) {
    struct stream *stream = as_stream(handle);
    struct buffer *buffer = stream ? as_buffer(stream, which) : NULL;
    size_t present = 0, i, at = 0;
    REQUIRE(stream, TL_HANDLE, "not an open stream");
    REQUIRE(buffer, TL_BUFFER, "not an announced buffer");
    REQUIRE(count, TL_PARAMETER, "no place for the count");
    REQUIRE(buffer->picture.chunk_mask, TL_NO_DATA, "the buffer holds no chunks");
    for (i = 0; i < CHUNK_COUNT; i++) present += (buffer->picture.chunk_mask >> i) & 1U;
    REQUIRE(!list || *count >= present, TL_TOO_SMALL, "the list is too short");
    for (i = 0; list && i < CHUNK_COUNT; i++) {
        if (!((buffer->picture.chunk_mask >> i) & 1U)) continue;
        list[at].id = chunk_id((int)i);
        list[at].offset = (ptrdiff_t)(buffer->picture.chunk_offset + i * CHUNK_ALIGNMENT);
        list[at++].length = 8;
    }
    *count = present;
    return TL_OK;
}

API DSGetBufferID(void *handle, uint32_t index, void **out) {
    struct stream *stream = as_stream(handle);
    int i;
    REQUIRE(stream, TL_HANDLE, "not an open stream");
    REQUIRE(out, TL_PARAMETER, "no place for the handle");
    for (i = 0; i < MAX_BUFFERS; i++) {
        if (stream->buffers[i].state == BUFFER_ABSENT || index-- > 0) continue;
        *out = &stream->buffers[i];
        return TL_OK;
    }
    return fail(TL_INDEX, "there are fewer buffers");
}

API DSGetNumBufferParts(void *handle, void *which, uint32_t *count) {
    struct stream *stream = as_stream(handle);
    REQUIRE(stream, TL_HANDLE, "not an open stream");
    REQUIRE(as_buffer(stream, which), TL_BUFFER, "not an announced buffer");
    REQUIRE(count, TL_PARAMETER, "no place for the count");
    *count = 0; /* one plain image, no parts */
    return TL_OK;
}

API DSGetBufferPartInfo(void *handle, void *which, uint32_t part, int32_t command, int32_t *type, void *out,
                        size_t *size) {
    struct stream *stream = as_stream(handle);
    (void)part; (void)command; (void)type; (void)out; (void)size;
    REQUIRE(stream, TL_HANDLE, "not an open stream");
    REQUIRE(as_buffer(stream, which), TL_BUFFER, "not an announced buffer");
    return fail(TL_INDEX, "the buffer has no parts");
}

API DSAnnounceCompositeBuffer(void *handle, size_t count, void **segments, void *user, void **out) {
    (void)handle; (void)count; (void)segments; (void)user; (void)out;
    return fail(TL_NOT_IMPLEMENTED, "no composite buffers");
}

API DSGetBufferSegmentInfo(void *handle, void *which, uint32_t segment, int32_t command, int32_t *type, void *out,
                           size_t *size) {
    (void)handle; (void)which; (void)segment; (void)command; (void)type; (void)out; (void)size;
    return fail(TL_NOT_IMPLEMENTED, "no buffer segments");
}

API DSGetNumBufferSegments(void *handle, void *which, uint32_t *count) {
    (void)handle; (void)which; (void)count;
    return fail(TL_NOT_IMPLEMENTED, "no buffer segments");
}

API DSGetNumFlows(void *handle, uint32_t *count) {
    (void)handle; (void)count;
    return fail(TL_NOT_IMPLEMENTED, "no flows");
}

API DSGetFlowInfo(void *handle, uint32_t flow, int32_t command, int32_t *type, void *out, size_t *size) {
    (void)handle; (void)flow; (void)command; (void)type; (void)out; (void)size;
    return fail(TL_NOT_IMPLEMENTED, "no flows");
}

/* ---- Events ---- */

API GCRegisterEvent(void *module, int32_t which, void **event) {
    struct stream *stream = as_stream(module);
    REQUIRE(event, TL_PARAMETER, "no place for the handle");
    REQUIRE(stream && which == EVENT_NEW_BUFFER, TL_NOT_IMPLEMENTED, "only streams have events: new buffer");
    REQUIRE(!stream->event.is_registered, TL_IN_USE, "the event is registered already");
    memset(&stream->event, 0, sizeof stream->event);
    stream->event.device = stream->device;
    stream->event.is_registered = 1;
    *event = &stream->event;
    return TL_OK;
}

API GCUnregisterEvent(void *module, int32_t which) {
    struct stream *stream = as_stream(module);
    REQUIRE(stream && which == EVENT_NEW_BUFFER, TL_NOT_IMPLEMENTED, "only streams have events: new buffer");
    REQUIRE(stream->event.is_registered, TL_HANDLE, "the event is not registered");
    lock_take(&camera_lock);
    stream->event.is_registered = 0;
    cond_wake_all(&stream->device->changed);
    lock_drop(&camera_lock);
    return TL_OK;
}

static uint64_t remaining_ms(uint64_t started_ns, uint64_t timeout) {
    uint64_t elapsed = (monotonic_ns() - started_ns) / 1000000ULL;
    if (timeout == WAIT_FOREVER) return WAIT_FOREVER;
    return elapsed >= timeout ? 0 : timeout - elapsed;
}

/* With camera_lock held; gives it up while waiting. */
static int32_t wait_for_output(struct event *event, uint64_t timeout, struct buffer **found) {
    struct device *device = event->device;
    uint64_t started = monotonic_ns();
    for (;;) {
        uint64_t left;
        if (!event->is_registered) return TL_ABORT;
        if (event->kills > 0) { event->kills--; return TL_ABORT; }
        if ((*found = first_buffer(&device->stream, BUFFER_OUTPUT)) != NULL) return TL_OK;
        if ((left = remaining_ms(started, timeout)) == 0) return TL_TIMEOUT;
        cond_wait_ms(&device->changed, &camera_lock, left);
    }
}

API EventGetData(void *handle, void *data, size_t *size, uint64_t timeout) {
    struct event *event = as_event(handle);
    struct buffer *buffer = NULL;
    new_buffer_data answer;
    int32_t result;
    REQUIRE(event, TL_HANDLE, "not a registered event");
    REQUIRE(data && size, TL_PARAMETER, "no place for the data");
    REQUIRE(*size >= sizeof answer, TL_TOO_SMALL, "the buffer is too small for the event");
    lock_take(&camera_lock);
    result = wait_for_output(event, timeout, &buffer);
    if (result == TL_OK) {
        buffer->state = BUFFER_UNQUEUED;
        event->device->stream.delivered++;
        answer.buffer = buffer;
        answer.user = buffer->user;
    }
    lock_drop(&camera_lock);
    if (result != TL_OK) return fail(result, result == TL_TIMEOUT ? "no new buffer in time" : "the wait was ended");
    return give(&answer, sizeof answer, TYPE_POINTER, NULL, data, size);
}

API EventGetDataInfo(void *handle, const void *in, size_t in_size, int32_t command, int32_t *type, void *out,
                     size_t *size) {
    new_buffer_data data;
    REQUIRE(as_event(handle), TL_HANDLE, "not a registered event");
    REQUIRE(in && in_size >= sizeof data, TL_PARAMETER, "not the data of a new buffer event");
    memcpy(&data, in, sizeof data);
    if (command == 0) return give_pointer(data.buffer, type, out, size);
    if (command == 1) return give_pointer(data.user, type, out, size);
    return fail(TL_NOT_IMPLEMENTED, "unknown event data information");
}

API EventGetInfo(void *handle, int32_t command, int32_t *type, void *out, size_t *size) {
    struct event *event = as_event(handle);
    int waiting;
    REQUIRE(event, TL_HANDLE, "not a registered event");
    lock_take(&camera_lock);
    waiting = count_buffers(&event->device->stream, BUFFER_OUTPUT);
    lock_drop(&camera_lock);
    switch (command) {
    case 0: return give_i32(EVENT_NEW_BUFFER, type, out, size);
    case 1: return give_size((size_t)waiting, type, out, size);
    case 2: return give_u64(event->fired, type, out, size);
    case 3: case 4: return give_size(sizeof(new_buffer_data), type, out, size);
    default: return fail(TL_NOT_IMPLEMENTED, "unknown event information");
    }
}

API EventFlush(void *handle) {
    struct event *event = as_event(handle);
    REQUIRE(event, TL_HANDLE, "not a registered event");
    lock_take(&camera_lock);
    move_all(&event->device->stream, BUFFER_OUTPUT, BUFFER_UNQUEUED);
    lock_drop(&camera_lock);
    return TL_OK;
}

API EventKill(void *handle) {
    struct event *event = as_event(handle);
    REQUIRE(event, TL_HANDLE, "not a registered event");
    lock_take(&camera_lock);
    event->kills++;
    cond_wake_all(&event->device->changed);
    lock_drop(&camera_lock);
    return TL_OK;
}

/* ---- Ports ---- */

struct port_view {
    const char *name, *id_feature, *id, *module; /* id_feature is NULL for the camera itself */
    struct device *device;
};

static int view_port(const void *handle, struct port_view *view) {
    struct stream *stream;
    memset(view, 0, sizeof *view);
    if (is_system(handle)) { view->name = view->module = "TLSystem"; view->id_feature = "TLID"; view->id = "simcam"; }
    else if (is_interface(handle)) {
        view->name = view->module = "TLInterface";
        view->id_feature = "InterfaceID";
        view->id = INTERFACE_ID;
    } else if ((view->device = as_device(handle)) != NULL) {
        view->name = view->module = "TLDevice";
        view->id_feature = "DeviceID";
        view->id = view->device->serial;
    } else if ((view->device = as_remote(handle)) != NULL) {
        view->name = "Device";
        view->module = "TLRemoteDevice";
        view->id = view->device->serial;
    } else if ((stream = as_stream(handle)) != NULL) {
        view->device = stream->device;
        view->name = view->module = "TLDataStream";
        view->id_feature = "StreamID";
        view->id = STREAM_ID;
    } else return 0;
    return 1;
}

static const char *port_xml(const struct port_view *view, size_t *size) {
    return view->id_feature ? module_xml(view->name, view->id_feature, size) : camera_xml(size);
}

static int32_t read_document(const struct port_view *view, uint64_t address, void *data, size_t size) {
    size_t length = 0, offset = (size_t)(address - XML_ADDRESS);
    const char *xml = port_xml(view, &length);
    REQUIRE(xml && offset < length, TL_ADDRESS, "beyond the end of the description");
    memset(data, 0, size);
    memcpy(data, xml + offset, size < length - offset ? size : length - offset);
    return TL_OK;
}

static int32_t read_id(const struct port_view *view, uint64_t address, void *data, size_t size) {
    char field[TEXT_LENGTH] = {0};
    REQUIRE(address + size <= sizeof field, TL_ADDRESS, "no such register");
    snprintf(field, sizeof field, "%s", view->id);
    memcpy(data, field + address, size);
    return TL_OK;
}

API GCReadPort(void *handle, uint64_t address, void *data, size_t *size) {
    struct port_view view;
    int32_t result;
    REQUIRE(view_port(handle, &view), TL_HANDLE, "not a port");
    REQUIRE(data && size, TL_PARAMETER, "no place for the data");
    if (address >= XML_ADDRESS) return read_document(&view, address, data, *size);
    if (view.id_feature) return read_id(&view, address, data, *size);
    result = camera_read(view.device, address, data, *size);
    return result == TL_OK ? TL_OK : fail(result, result == TL_IO ? "the camera is gone" : "no such register");
}

API GCWritePort(void *handle, uint64_t address, const void *data, size_t *size) {
    struct port_view view;
    int32_t result;
    REQUIRE(view_port(handle, &view), TL_HANDLE, "not a port");
    REQUIRE(data && size, TL_PARAMETER, "no data");
    REQUIRE(!view.id_feature, TL_ACCESS, "this port is read only");
    REQUIRE(!view.device->is_read_only, TL_ACCESS, "the device was opened read only");
    result = camera_write(view.device, address, data, *size);
    return result == TL_OK ? TL_OK : fail(result, result == TL_IO ? "the camera is gone" : "the camera refused the value");
}

API GCReadPortStacked(void *handle, port_entry *entries, size_t *count) {
    size_t i;
    REQUIRE(entries && count, TL_PARAMETER, "no entries");
    for (i = 0; i < *count; i++) {
        int32_t result = GCReadPort(handle, entries[i].address, entries[i].data, &entries[i].size);
        if (result == TL_OK) continue;
        *count = i;
        return result;
    }
    return TL_OK;
}

API GCWritePortStacked(void *handle, port_entry *entries, size_t *count) {
    size_t i;
    REQUIRE(entries && count, TL_PARAMETER, "no entries");
    for (i = 0; i < *count; i++) {
        int32_t result = GCWritePort(handle, entries[i].address, entries[i].data, &entries[i].size);
        if (result == TL_OK) continue;
        *count = i;
        return result;
    }
    return TL_OK;
}

API GCGetPortInfo(void *handle, int32_t command, int32_t *type, void *out, size_t *size) {
    struct port_view view;
    REQUIRE(view_port(handle, &view), TL_HANDLE, "not a port");
    switch (command) {
    case 0: return give_text(view.id, type, out, size);
    case 1: return give_text("Facet", type, out, size);
    case 2: return give_text("SimCam20M", type, out, size);
    case 3: return give_text(TL_TYPE, type, out, size);
    case 4: return give_text(view.module, type, out, size);
    case 5: case 7: return give_bool(1, type, out, size);
    case 6: case 9: case 10: return give_bool(0, type, out, size);
    case 8: return give_bool(!view.id_feature && !view.device->is_read_only, type, out, size);
    case 11: return give_text(VERSION_TEXT, type, out, size);
    case 12: return give_text(view.name, type, out, size);
    default: return fail(TL_NOT_IMPLEMENTED, "unknown port information");
    }
}

API GCGetNumPortURLs(void *handle, uint32_t *count) {
    struct port_view view;
    REQUIRE(view_port(handle, &view), TL_HANDLE, "not a port");
    REQUIRE(count, TL_PARAMETER, "no place for the count");
    *count = 1;
    return TL_OK;
}

static int32_t url_info(const struct port_view *view, int32_t command, int32_t *type, void *out, size_t *size) {
    char file[TEXT_LENGTH], url[256];
    size_t length = 0;
    port_xml(view, &length);
    snprintf(file, sizeof file, "simcam_%s.xml", view->module);
    snprintf(url, sizeof url, "Local:///%s;%llx;%llx?SchemaVersion=1.1.0", file, (unsigned long long)XML_ADDRESS,
             (unsigned long long)length);
    switch (command) {
    case 0: return give_text(url, type, out, size);
    case 1: case 2: case 3: return give_i32(1, type, out, size);
    case 4: case 5: return give_i32(0, type, out, size);
    case 7: return give_u64(XML_ADDRESS, type, out, size);
    case 8: return give_u64(length, type, out, size);
    case 9: return give_i32(0, type, out, size); /* local */
    case 10: return give_text(file, type, out, size);
    default: return fail(TL_NOT_IMPLEMENTED, "unknown URL information");
    }
}

API GCGetPortURLInfo(void *handle, uint32_t index, int32_t command, int32_t *type, void *out, size_t *size) {
    struct port_view view;
    REQUIRE(view_port(handle, &view), TL_HANDLE, "not a port");
    REQUIRE(index == 0, TL_INDEX, "there is one description");
    return url_info(&view, command, type, out, size);
}

API GCGetPortURL(void *handle, char *url, size_t *size) {
    struct port_view view;
    REQUIRE(view_port(handle, &view), TL_HANDLE, "not a port");
    return url_info(&view, 0, NULL, url, size);
}
