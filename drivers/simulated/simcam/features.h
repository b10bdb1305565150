/* The camera's features: one table that feeds both the register file and the XML description. */
#ifndef SIMCAM_FEATURES_H
#define SIMCAM_FEATURES_H

#include <stddef.h>
#include <stdint.h>

#define SENSOR_WIDTH 5472
#define SENSOR_HEIGHT 3648
#define MIN_SIDE 16
#define MAX_GAIN_DB 24.0
#define XML_ADDRESS 0x100000ULL
#define TEXT_LENGTH 64

/* To add a feature: a name here, a row in features.c, and if it does something a case in camera.c. */
enum feature_id {
    F_VENDOR, F_MODEL, F_SERIAL, F_FIRMWARE, F_TEMPERATURE, F_TIMESTAMP_LATCH, F_TIMESTAMP_VALUE,
    F_SENSOR_WIDTH, F_SENSOR_HEIGHT, F_WIDTH_MAX, F_HEIGHT_MAX, F_WIDTH_LIMIT, F_HEIGHT_LIMIT, F_OFFSET_X_LIMIT,
    F_OFFSET_Y_LIMIT, F_WIDTH, F_HEIGHT, F_OFFSET_X, F_OFFSET_Y, F_BINNING_H, F_BINNING_H_MODE, F_BINNING_V,
    F_BINNING_V_MODE, F_PIXEL_FORMAT, F_TEST_PATTERN,
    F_ACQUISITION_MODE, F_ACQUISITION_START, F_ACQUISITION_STOP, F_FRAME_RATE, F_TRIGGER_SELECTOR, F_TRIGGER_MODE,
    F_TRIGGER_SOURCE, F_TRIGGER_ACTIVATION, F_TRIGGER_SOFTWARE, F_EXPOSURE_MODE, F_EXPOSURE_AUTO, F_EXPOSURE_TIME,
    F_GAIN_SELECTOR, F_GAIN_AUTO, F_GAIN, F_BLACK_LEVEL, F_GAMMA,
    F_LINE_SELECTOR, F_LINE_MODE, F_LINE_SOURCE, F_LINE_STATUS, F_USER_OUTPUT_SELECTOR, F_USER_OUTPUT_VALUE,
    F_COUNTER_SELECTOR, F_COUNTER_SOURCE, F_COUNTER_VALUE, F_COUNTER_RESET,
    F_CHUNK_ACTIVE, F_CHUNK_SELECTOR, F_CHUNK_ENABLE,
    F_USER_SET_SELECTOR, F_USER_SET_LOAD, F_USER_SET_SAVE, F_USER_SET_DEFAULT,
    F_SIMULATE_DROPPED, F_SIMULATE_INCOMPLETE, F_SIMULATE_UNPLUG_TIME, F_SIMULATE_UNPLUG,
    F_PAYLOAD_SIZE, F_PARAMS_LOCKED,
    FEATURE_COUNT
};

enum feature_kind { KIND_INTEGER, KIND_FLOAT, KIND_ENUM, KIND_BOOLEAN, KIND_COMMAND, KIND_STRING };
enum { CHUNK_TIMESTAMP, CHUNK_FRAME_ID, CHUNK_EXPOSURE, CHUNK_GAIN, CHUNK_COUNT };
enum { LINE_0_INPUT, LINE_1_OUTPUT, LINE_2_OUTPUT, LINE_COUNT };
enum { LINE_SOURCE_OFF, LINE_SOURCE_EXPOSURE_ACTIVE, LINE_SOURCE_USER_OUTPUT_0, LINE_SOURCE_USER_OUTPUT_1 };
enum { COUNTER_OFF, COUNTER_EXPOSURE_END };
enum { USER_OUTPUT_COUNT = 2, TRIGGER_SOFTWARE = 0, TRIGGER_LINE_0 = 1, USER_SET_1 = 1 };

struct enum_entry { const char *name; int64_t value; };

struct feature {
    const char *name, *category, *access; /* access: RO, RW or WO */
    enum feature_kind kind;
    double min, max, inc, reset;         /* limits are whole numbers: printf's decimal point follows the locale */
    const char *max_feature, *unit;      /* max_feature: the name of the feature that limits this one */
    const struct enum_entry *entries;    /* ends with a NULL name */
    int count;                           /* registers behind it: one per value of its selector; 0 means 1 */
    int selector;                        /* feature_id of the selector; 0 means none (F_VENDOR never selects) */
    int locked;                          /* not writable while TLParamsLocked is set */
    int hidden;                          /* in no category */
};

struct chunk { const char *name; enum feature_kind kind; };

extern const struct feature features[FEATURE_COUNT];
extern const struct chunk chunks[CHUNK_COUNT];

/* Eight bytes per register, sixty-four per text; slots count the registers of eight bytes. */
size_t feature_slot(int id);
size_t slot_count(void);
uint64_t slot_address(size_t slot);
/* The feature at a register address, its index within the feature, and the byte within the register; -1 if none. */
int feature_at(uint64_t address, size_t *index, size_t *byte);
uint64_t chunk_id(int chunk);

/* Whole documents, made at first use; `module` is a port name: TLSystem, TLInterface, TLDevice, TLDataStream. */
const char *camera_xml(size_t *size);
const char *module_xml(const char *module, const char *id_feature, size_t *size);

#endif
