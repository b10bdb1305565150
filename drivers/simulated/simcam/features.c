#include "features.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gentl.h"

#define ENTRIES(name, ...) static const struct enum_entry name[] = {__VA_ARGS__, {NULL, 0}}
ENTRIES(off, {"Off", 0});
ENTRIES(off_on, {"Off", 0}, {"On", 1});
ENTRIES(average, {"Average", 0});
ENTRIES(pixel_formats, {"Mono8", PF_MONO8}, {"Mono10", PF_MONO10}, {"Mono12", PF_MONO12}, {"Mono12p", PF_MONO12P},
        {"Mono16", PF_MONO16}, {"BayerGR8", PF_BAYER_GR8}, {"BayerRG8", PF_BAYER_RG8}, {"BayerGB8", PF_BAYER_GB8},
        {"BayerBG8", PF_BAYER_BG8}, {"BayerGR12", PF_BAYER_GR12}, {"BayerRG12", PF_BAYER_RG12},
        {"BayerGB12", PF_BAYER_GB12}, {"BayerBG12", PF_BAYER_BG12}, {"BayerGR12p", PF_BAYER_GR12P},
        {"BayerRG12p", PF_BAYER_RG12P}, {"BayerGB12p", PF_BAYER_GB12P}, {"BayerBG12p", PF_BAYER_BG12P},
        {"RGB8", PF_RGB8});
ENTRIES(test_patterns, {"Off", 0}, {"GreyHorizontalRampMoving", 1});
ENTRIES(continuous, {"Continuous", 0});
ENTRIES(frame_start, {"FrameStart", 0});
ENTRIES(trigger_sources, {"Software", TRIGGER_SOFTWARE}, {"Line0", TRIGGER_LINE_0});
ENTRIES(rising_edge, {"RisingEdge", 0});
ENTRIES(timed, {"Timed", 0});
ENTRIES(all, {"All", 0});
ENTRIES(lines, {"Line0", LINE_0_INPUT}, {"Line1", LINE_1_OUTPUT}, {"Line2", LINE_2_OUTPUT});
ENTRIES(line_modes, {"Input", 0}, {"Output", 1});
ENTRIES(line_sources, {"Off", LINE_SOURCE_OFF}, {"ExposureActive", LINE_SOURCE_EXPOSURE_ACTIVE},
        {"UserOutput0", LINE_SOURCE_USER_OUTPUT_0}, {"UserOutput1", LINE_SOURCE_USER_OUTPUT_1});
ENTRIES(user_outputs, {"UserOutput0", 0}, {"UserOutput1", 1});
ENTRIES(counters, {"Counter0", 0});
ENTRIES(counter_sources, {"Off", COUNTER_OFF}, {"ExposureEnd", COUNTER_EXPOSURE_END});
ENTRIES(chunk_names, {"Timestamp", CHUNK_TIMESTAMP}, {"FrameID", CHUNK_FRAME_ID}, {"ExposureTime", CHUNK_EXPOSURE},
        {"Gain", CHUNK_GAIN});
ENTRIES(user_sets, {"Default", 0}, {"UserSet1", USER_SET_1});

const struct chunk chunks[CHUNK_COUNT] = {
    {"ChunkTimestamp", KIND_INTEGER}, {"ChunkFrameID", KIND_INTEGER}, {"ChunkExposureTime", KIND_FLOAT},
    {"ChunkGain", KIND_FLOAT}};

#define DEVICE "DeviceControl"
#define FORMAT "ImageFormatControl"
#define ACQUISITION "AcquisitionControl"
#define ANALOG "AnalogControl"
#define DIGITAL_IO "DigitalIOControl"
#define COUNTER "CounterAndTimerControl"
#define CHUNK "ChunkDataControl"
#define USER_SET "UserSetControl"
#define TRANSPORT "TransportLayerControl"
#define SIMULATION "SimulationControl"
#define NO_LIMIT 9.0e15
#define TEXT(n) {.name = n, .category = DEVICE, .access = "RO", .kind = KIND_STRING, .count = TEXT_LENGTH / 8}
#define COMMAND(n, c) {.name = n, .category = c, .access = "WO", .kind = KIND_COMMAND, .max = 1}
#define READ_ONLY(n, c, h) \
    {.name = n, .category = c, .access = "RO", .kind = KIND_INTEGER, .max = NO_LIMIT, .inc = 1, .hidden = h}
#define CHOICE(n, c, e) {.name = n, .category = c, .access = "RW", .kind = KIND_ENUM, .entries = e}
#define SIDE(n, limit, step, full) \
    {.name = n, .category = FORMAT, .access = "RW", .kind = KIND_INTEGER, .min = MIN_SIDE, .max_feature = limit, \
     .inc = step, .reset = full, .locked = 1}
#define OFFSET(n, limit, step) \
    {.name = n, .category = FORMAT, .access = "RW", .kind = KIND_INTEGER, .max_feature = limit, .inc = step, .locked = 1}
#define BINNING(n) \
    {.name = n, .category = FORMAT, .access = "RW", .kind = KIND_INTEGER, .min = 1, .max = 8, .inc = 1, .reset = 1, \
     .locked = 1}

const struct feature features[FEATURE_COUNT] = {
    [F_VENDOR] = TEXT("DeviceVendorName"),
    [F_MODEL] = TEXT("DeviceModelName"),
    [F_SERIAL] = TEXT("DeviceSerialNumber"),
    [F_FIRMWARE] = TEXT("DeviceFirmwareVersion"),
    [F_TEMPERATURE] = {.name = "DeviceTemperature", .category = DEVICE, .access = "RO", .kind = KIND_FLOAT,
                       .min = -50, .max = 150, .unit = "C"},
    [F_TIMESTAMP_LATCH] = COMMAND("TimestampLatch", DEVICE),
    [F_TIMESTAMP_VALUE] = {.name = "TimestampLatchValue", .category = DEVICE, .access = "RO", .kind = KIND_INTEGER,
                           .max = NO_LIMIT, .inc = 1, .unit = "ns"},
    [F_SENSOR_WIDTH] = READ_ONLY("SensorWidth", FORMAT, 0),
    [F_SENSOR_HEIGHT] = READ_ONLY("SensorHeight", FORMAT, 0),
    [F_WIDTH_MAX] = READ_ONLY("WidthMax", FORMAT, 0),
    [F_HEIGHT_MAX] = READ_ONLY("HeightMax", FORMAT, 0),
    [F_WIDTH_LIMIT] = READ_ONLY("WidthLimit", FORMAT, 1),
    [F_HEIGHT_LIMIT] = READ_ONLY("HeightLimit", FORMAT, 1),
    [F_OFFSET_X_LIMIT] = READ_ONLY("OffsetXLimit", FORMAT, 1),
    [F_OFFSET_Y_LIMIT] = READ_ONLY("OffsetYLimit", FORMAT, 1),
    [F_WIDTH] = SIDE("Width", "WidthLimit", 4, SENSOR_WIDTH),
    [F_HEIGHT] = SIDE("Height", "HeightLimit", 2, SENSOR_HEIGHT),
    [F_OFFSET_X] = OFFSET("OffsetX", "OffsetXLimit", 4),
    [F_OFFSET_Y] = OFFSET("OffsetY", "OffsetYLimit", 2),
    [F_BINNING_H] = BINNING("BinningHorizontal"),
    [F_BINNING_H_MODE] = CHOICE("BinningHorizontalMode", FORMAT, average),
    [F_BINNING_V] = BINNING("BinningVertical"),
    [F_BINNING_V_MODE] = CHOICE("BinningVerticalMode", FORMAT, average),
    [F_PIXEL_FORMAT] = {.name = "PixelFormat", .category = FORMAT, .access = "RW", .kind = KIND_ENUM,
                        .entries = pixel_formats, .reset = PF_MONO8, .locked = 1},
    [F_TEST_PATTERN] = CHOICE("TestPattern", FORMAT, test_patterns),
    [F_ACQUISITION_MODE] = {.name = "AcquisitionMode", .category = ACQUISITION, .access = "RW", .kind = KIND_ENUM,
                            .entries = continuous, .locked = 1},
    [F_ACQUISITION_START] = COMMAND("AcquisitionStart", ACQUISITION),
    [F_ACQUISITION_STOP] = COMMAND("AcquisitionStop", ACQUISITION),
    [F_FRAME_RATE] = {.name = "AcquisitionFrameRate", .category = ACQUISITION, .access = "RW", .kind = KIND_FLOAT,
                      .min = 1, .max = 1000, .reset = 30, .unit = "Hz"},
    [F_TRIGGER_SELECTOR] = CHOICE("TriggerSelector", ACQUISITION, frame_start),
    [F_TRIGGER_MODE] = {.name = "TriggerMode", .category = ACQUISITION, .access = "RW", .kind = KIND_ENUM,
                        .entries = off_on, .selector = F_TRIGGER_SELECTOR},
    [F_TRIGGER_SOURCE] = {.name = "TriggerSource", .category = ACQUISITION, .access = "RW", .kind = KIND_ENUM,
                          .entries = trigger_sources, .selector = F_TRIGGER_SELECTOR},
    [F_TRIGGER_ACTIVATION] = {.name = "TriggerActivation", .category = ACQUISITION, .access = "RW", .kind = KIND_ENUM,
                              .entries = rising_edge, .selector = F_TRIGGER_SELECTOR},
    [F_TRIGGER_SOFTWARE] = {.name = "TriggerSoftware", .category = ACQUISITION, .access = "WO", .kind = KIND_COMMAND,
                            .max = 1, .selector = F_TRIGGER_SELECTOR},
    [F_EXPOSURE_MODE] = CHOICE("ExposureMode", ACQUISITION, timed),
    [F_EXPOSURE_AUTO] = CHOICE("ExposureAuto", ACQUISITION, off),
    [F_EXPOSURE_TIME] = {.name = "ExposureTime", .category = ACQUISITION, .access = "RW", .kind = KIND_FLOAT,
                         .min = 10, .max = 1e7, .reset = 10000, .unit = "us"},
    [F_GAIN_SELECTOR] = CHOICE("GainSelector", ANALOG, all),
    [F_GAIN_AUTO] = CHOICE("GainAuto", ANALOG, off),
    [F_GAIN] = {.name = "Gain", .category = ANALOG, .access = "RW", .kind = KIND_FLOAT, .max = MAX_GAIN_DB,
                .unit = "dB", .selector = F_GAIN_SELECTOR},
    [F_BLACK_LEVEL] = {.name = "BlackLevel", .category = ANALOG, .access = "RW", .kind = KIND_FLOAT, .max = 4095,
                       .reset = 4, .unit = "DN"},
    [F_GAMMA] = {.name = "Gamma", .category = ANALOG, .access = "RW", .kind = KIND_FLOAT, .min = 1, .max = 1,
                 .reset = 1},
    [F_LINE_SELECTOR] = {.name = "LineSelector", .category = DIGITAL_IO, .access = "RW", .kind = KIND_ENUM,
                         .entries = lines, .reset = LINE_1_OUTPUT},
    [F_LINE_MODE] = {.name = "LineMode", .category = DIGITAL_IO, .access = "RO", .kind = KIND_ENUM,
                     .entries = line_modes, .count = LINE_COUNT, .selector = F_LINE_SELECTOR},
    [F_LINE_SOURCE] = {.name = "LineSource", .category = DIGITAL_IO, .access = "RW", .kind = KIND_ENUM,
                       .entries = line_sources, .count = LINE_COUNT, .selector = F_LINE_SELECTOR},
    [F_LINE_STATUS] = {.name = "LineStatus", .category = DIGITAL_IO, .access = "RO", .kind = KIND_BOOLEAN, .max = 1,
                       .count = LINE_COUNT, .selector = F_LINE_SELECTOR},
    [F_USER_OUTPUT_SELECTOR] = CHOICE("UserOutputSelector", DIGITAL_IO, user_outputs),
    [F_USER_OUTPUT_VALUE] = {.name = "UserOutputValue", .category = DIGITAL_IO, .access = "RW", .kind = KIND_BOOLEAN,
                             .max = 1, .count = USER_OUTPUT_COUNT, .selector = F_USER_OUTPUT_SELECTOR},
    [F_COUNTER_SELECTOR] = CHOICE("CounterSelector", COUNTER, counters),
    [F_COUNTER_SOURCE] = {.name = "CounterEventSource", .category = COUNTER, .access = "RW", .kind = KIND_ENUM,
                          .entries = counter_sources, .selector = F_COUNTER_SELECTOR},
    [F_COUNTER_VALUE] = {.name = "CounterValue", .category = COUNTER, .access = "RO", .kind = KIND_INTEGER,
                         .max = NO_LIMIT, .inc = 1, .selector = F_COUNTER_SELECTOR},
    [F_COUNTER_RESET] = {.name = "CounterReset", .category = COUNTER, .access = "WO", .kind = KIND_COMMAND, .max = 1,
                         .selector = F_COUNTER_SELECTOR},
    [F_CHUNK_ACTIVE] = {.name = "ChunkModeActive", .category = CHUNK, .access = "RW", .kind = KIND_BOOLEAN, .max = 1,
                        .locked = 1},
    [F_CHUNK_SELECTOR] = CHOICE("ChunkSelector", CHUNK, chunk_names),
    [F_CHUNK_ENABLE] = {.name = "ChunkEnable", .category = CHUNK, .access = "RW", .kind = KIND_BOOLEAN, .max = 1,
                        .count = CHUNK_COUNT, .selector = F_CHUNK_SELECTOR, .locked = 1},
    [F_USER_SET_SELECTOR] = CHOICE("UserSetSelector", USER_SET, user_sets),
    [F_USER_SET_LOAD] = {.name = "UserSetLoad", .category = USER_SET, .access = "WO", .kind = KIND_COMMAND, .max = 1,
                         .selector = F_USER_SET_SELECTOR, .locked = 1},
    [F_USER_SET_SAVE] = {.name = "UserSetSave", .category = USER_SET, .access = "WO", .kind = KIND_COMMAND, .max = 1,
                         .selector = F_USER_SET_SELECTOR},
    [F_USER_SET_DEFAULT] = CHOICE("UserSetDefault", USER_SET, user_sets),
    [F_SIMULATE_DROPPED] = {.name = "SimulateDroppedFrames", .category = SIMULATION, .access = "RW",
                            .kind = KIND_INTEGER, .max = 1000, .inc = 1},
    [F_SIMULATE_INCOMPLETE] = {.name = "SimulateIncompleteFrames", .category = SIMULATION, .access = "RW",
                               .kind = KIND_INTEGER, .max = 1000, .inc = 1},
    [F_SIMULATE_UNPLUG_TIME] = {.name = "SimulateUnplugTime", .category = SIMULATION, .access = "RW",
                                .kind = KIND_INTEGER, .max = 3600000, .inc = 1, .unit = "ms"},
    [F_SIMULATE_UNPLUG] = COMMAND("SimulateUnplug", SIMULATION),
    [F_PAYLOAD_SIZE] = READ_ONLY("PayloadSize", TRANSPORT, 0),
    [F_PARAMS_LOCKED] = {.name = "TLParamsLocked", .category = TRANSPORT, .access = "RW", .kind = KIND_INTEGER,
                         .max = 1, .inc = 1, .hidden = 1},
};

static const uint64_t first_register = 0x1000;

static size_t slots_of(int id) { return features[id].count ? (size_t)features[id].count : 1; }

size_t feature_slot(int id) {
    size_t slot = 0;
    int i;
    for (i = 0; i < id; i++) slot += slots_of(i);
    return slot;
}

size_t slot_count(void) { return feature_slot(FEATURE_COUNT); }
uint64_t slot_address(size_t slot) { return first_register + 8 * slot; }
uint64_t chunk_id(int chunk) { return 0xC000U + (unsigned)chunk; }

int feature_at(uint64_t address, size_t *index, size_t *byte) {
    size_t slot, first = 0;
    int id;
    if (address < first_register) return -1;
    slot = (size_t)((address - first_register) / 8);
    *byte = (size_t)((address - first_register) % 8);
    for (id = 0; id < FEATURE_COUNT; first += slots_of(id), id++) {
        if (slot >= first + slots_of(id)) continue;
        *index = slot - first;
        return id;
    }
    return -1;
}

/* ---- The XML description ---- */

struct document { char text[131072]; size_t length; };

static void put(struct document *d, const char *format, ...) {
    size_t room = sizeof d->text - d->length;
    va_list arguments;
    int written;
    va_start(arguments, format);
    written = vsnprintf(d->text + d->length, room, format, arguments);
    va_end(arguments);
    if (written > 0 && (size_t)written < room) d->length += (size_t)written; /* else the XML is cut and fails to parse */
}

static void put_head(struct document *d, const char *model) {
    put(d, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<RegisterDescription ModelName=\"%s\" VendorName=\"Facet\" "
           "ToolTip=\"Facet simulated camera\" StandardNameSpace=\"None\" SchemaMajorVersion=\"1\" "
           "SchemaMinorVersion=\"1\" SchemaSubMinorVersion=\"0\" MajorVersion=\"1\" MinorVersion=\"0\" "
           "SubMinorVersion=\"0\" ProductGuid=\"6f0e2f0c-5d0c-4f2c-9c57-0c9f6b5a1e01\" "
           "VersionGuid=\"6f0e2f0c-5d0c-4f2c-9c57-0c9f6b5a1e02\" "
           "xmlns=\"http://www.genicam.org/GenApi/Version_1_1\" "
           "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:schemaLocation=\""
           "http://www.genicam.org/GenApi/Version_1_1 "
           "http://www.genicam.org/GenApi/GenApiSchema_Version_1_1.xsd\">\n", model);
}

static void put_categories(struct document *d) {
    static const char *const names[] = {DEVICE, FORMAT, ACQUISITION, ANALOG, DIGITAL_IO, COUNTER, CHUNK, USER_SET,
                                        TRANSPORT, SIMULATION};
    size_t c;
    int i;
    put(d, "<Category Name=\"Root\">");
    for (c = 0; c < sizeof names / sizeof names[0]; c++) put(d, "<pFeature>%s</pFeature>", names[c]);
    put(d, "</Category>\n");
    for (c = 0; c < sizeof names / sizeof names[0]; c++) {
        put(d, "<Category Name=\"%s\">", names[c]);
        for (i = 0; i < FEATURE_COUNT; i++)
            if (!features[i].hidden && strcmp(features[i].category, names[c]) == 0)
                put(d, "<pFeature>%s</pFeature>", features[i].name);
        for (i = 0; i < CHUNK_COUNT && strcmp(names[c], CHUNK) == 0; i++)
            put(d, "<pFeature>%s</pFeature>", chunks[i].name);
        put(d, "</Category>\n");
    }
}

static void put_selected(struct document *d, int id) {
    int i;
    for (i = 0; i < FEATURE_COUNT; i++)
        if (features[i].selector == id && id != F_VENDOR) put(d, "<pSelected>%s</pSelected>", features[i].name);
}

static void put_number_node(struct document *d, int id, const char *tag) {
    const struct feature *f = &features[id];
    int is_integer = f->kind == KIND_INTEGER;
    put(d, "<pValue>%sRegister</pValue><Min>%lld</Min>", f->name, (long long)f->min);
    if (f->max_feature) put(d, "<pMax>%s</pMax>", f->max_feature);
    else put(d, "<Max>%lld</Max>", (long long)f->max);
    if (is_integer) put(d, "<Inc>%lld</Inc>", (long long)f->inc);
    if (f->unit) put(d, "<Unit>%s</Unit>", f->unit);
    put_selected(d, id);
    put(d, "</%s>\n", tag);
}

static void put_enum_node(struct document *d, int id) {
    const struct feature *f = &features[id];
    const struct enum_entry *entry;
    for (entry = f->entries; entry->name; entry++)
        put(d, "<EnumEntry Name=\"%s\"><Value>%lld</Value></EnumEntry>", entry->name, (long long)entry->value);
    put(d, "<pValue>%sRegister</pValue>", f->name);
    put_selected(d, id);
    put(d, "</Enumeration>\n");
}

static void put_register(struct document *d, int id) {
    const struct feature *f = &features[id];
    const char *tag = f->kind == KIND_FLOAT ? "FloatReg" : "IntReg";
    put(d, "<%s Name=\"%sRegister\"><Address>0x%llx</Address>", tag, f->name,
        (unsigned long long)slot_address(feature_slot(id)));
    if (f->selector && f->count > 1) put(d, "<pIndex Offset=\"8\">%sRegister</pIndex>", features[f->selector].name);
    put(d, "<Length>8</Length><AccessMode>%s</AccessMode><pPort>Device</pPort><Cachable>NoCache</Cachable>", f->access);
    if (f->kind != KIND_FLOAT) put(d, "<Sign>Signed</Sign>");
    put(d, "<Endianess>LittleEndian</Endianess></%s>\n", tag);
}

static void put_feature(struct document *d, int id) {
    static const char *const tags[] = {"Integer", "Float", "Enumeration", "Boolean", "Command", "StringReg"};
    const struct feature *f = &features[id];
    const char *tag = tags[f->kind];
    put(d, "<%s Name=\"%s\">", tag, f->name);
    put(d, "<Visibility>%s</Visibility>", f->hidden ? "Invisible" : "Beginner");
    if (f->kind == KIND_STRING) {
        put(d, "<Address>0x%llx</Address><Length>%d</Length><AccessMode>RO</AccessMode><pPort>Device</pPort>"
               "<Cachable>NoCache</Cachable></StringReg>\n",
            (unsigned long long)slot_address(feature_slot(id)), TEXT_LENGTH);
        return;
    }
    if (f->locked) put(d, "<pIsLocked>TLParamsLocked</pIsLocked>");
    if (f->kind == KIND_ENUM) put_enum_node(d, id);
    else if (f->kind == KIND_BOOLEAN)
        put(d, "<pValue>%sRegister</pValue><OnValue>1</OnValue><OffValue>0</OffValue></Boolean>\n", f->name);
    else if (f->kind == KIND_COMMAND)
        put(d, "<pValue>%sRegister</pValue><CommandValue>1</CommandValue></Command>\n", f->name);
    else put_number_node(d, id, tag);
    put_register(d, id);
}

static void put_chunk(struct document *d, int id) {
    const struct chunk *c = &chunks[id];
    int is_float = c->kind == KIND_FLOAT;
    put(d, "<%s Name=\"%s\"><pValue>%sRegister</pValue></%s>\n", is_float ? "Float" : "Integer", c->name, c->name,
        is_float ? "Float" : "Integer");
    put(d, "<%s Name=\"%sRegister\"><Address>0x0</Address><Length>8</Length><AccessMode>RO</AccessMode>"
           "<pPort>%sPort</pPort><Cachable>NoCache</Cachable>%s<Endianess>LittleEndian</Endianess></%s>\n",
        is_float ? "FloatReg" : "IntReg", c->name, c->name, is_float ? "" : "<Sign>Signed</Sign>",
        is_float ? "FloatReg" : "IntReg");
    put(d, "<Port Name=\"%sPort\"><ChunkID>%04llX</ChunkID></Port>\n", c->name, (unsigned long long)chunk_id(id));
}

const char *camera_xml(size_t *size) {
    static struct document document;
    int i;
    if (document.length == 0) {
        put_head(&document, "SimCam20M");
        put_categories(&document);
        for (i = 0; i < FEATURE_COUNT; i++) put_feature(&document, i);
        for (i = 0; i < CHUNK_COUNT; i++) put_chunk(&document, i);
        put(&document, "<Port Name=\"Device\"></Port>\n</RegisterDescription>\n");
    }
    *size = document.length;
    return document.text;
}

const char *module_xml(const char *module, const char *id_feature, size_t *size) {
    static struct document documents[4];
    static const char *const names[4] = {"TLSystem", "TLInterface", "TLDevice", "TLDataStream"};
    struct document *d = NULL;
    size_t i;
    for (i = 0; i < 4; i++)
        if (strcmp(names[i], module) == 0) d = &documents[i];
    if (!d) return NULL;
    if (d->length == 0) {
        put_head(d, module);
        put(d, "<Category Name=\"Root\"><pFeature>%s</pFeature></Category>\n", id_feature);
        put(d, "<StringReg Name=\"%s\"><Address>0x0</Address><Length>%d</Length><AccessMode>RO</AccessMode>"
               "<pPort>%s</pPort></StringReg>\n<Port Name=\"%s\"></Port>\n</RegisterDescription>\n",
            id_feature, TEXT_LENGTH, module, module);
    }
    *size = d->length;
    return d->text;
}
