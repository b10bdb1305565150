/* The numbers and structures of GenTL 1.5 that this producer answers with. */
#ifndef SIMCAM_GENTL_H
#define SIMCAM_GENTL_H

#include <stddef.h>
#include <stdint.h>

enum gentl_error { /* not named GC_ERR_* or E_*: winerror.h owns some of those */
    TL_OK = 0, TL_ERROR = -1001, TL_NOT_INITIALIZED = -1002, TL_NOT_IMPLEMENTED = -1003, TL_IN_USE = -1004,
    TL_ACCESS = -1005, TL_HANDLE = -1006, TL_ID = -1007, TL_NO_DATA = -1008, TL_PARAMETER = -1009, TL_IO = -1010,
    TL_TIMEOUT = -1011, TL_ABORT = -1012, TL_BUFFER = -1013, TL_NOT_AVAILABLE = -1014, TL_ADDRESS = -1015,
    TL_TOO_SMALL = -1016, TL_INDEX = -1017, TL_VALUE = -1019, TL_MEMORY = -1021, TL_BUSY = -1022
};

enum gentl_type {
    TYPE_STRING = 1, TYPE_I32 = 5, TYPE_U32 = 6, TYPE_U64 = 8, TYPE_F64 = 9, TYPE_POINTER = 10, TYPE_BOOL8 = 11,
    TYPE_SIZE = 12
};

enum access_status {
    ACCESS_READWRITE = 1, ACCESS_NONE = 3, ACCESS_BUSY = 4, ACCESS_OPEN_READWRITE = 5, ACCESS_OPEN_READONLY = 6
};
enum { OPEN_READONLY = 2 }; /* and 3 to control, 4 exclusive: here one process at a time has the camera in any case */
enum flush { FLUSH_IN_TO_OUT = 0, FLUSH_OUT_DISCARD = 1, FLUSH_ALL_TO_IN = 2, FLUSH_UNQUEUED_TO_IN = 3,
             FLUSH_ALL_DISCARD = 4 };
enum { EVENT_NEW_BUFFER = 1, PAYLOAD_IMAGE = 1, NAMESPACE_PFNC_32 = 4, ENDIAN_LITTLE = 1 };

enum pfnc {
    PF_MONO8 = 0x01080001, PF_MONO10 = 0x01100003, PF_MONO12 = 0x01100005, PF_MONO12P = 0x010C0047,
    PF_MONO16 = 0x01100007, PF_RGB8 = 0x02180014,
    PF_BAYER_GR8 = 0x01080008, PF_BAYER_RG8 = 0x01080009, PF_BAYER_GB8 = 0x0108000A, PF_BAYER_BG8 = 0x0108000B,
    PF_BAYER_GR12 = 0x01100010, PF_BAYER_RG12 = 0x01100011, PF_BAYER_GB12 = 0x01100012, PF_BAYER_BG12 = 0x01100013,
    PF_BAYER_GR12P = 0x010C0057, PF_BAYER_RG12P = 0x010C0059, PF_BAYER_GB12P = 0x010C0055, PF_BAYER_BG12P = 0x010C0053
};
/* Bits that a pixel takes on the wire, all channels together; rows are whole bytes because widths are even. */
#define PF_BITS(format) (((uint32_t)(format) >> 16) & 0xFFU)
#define PF_SIZE(format, pixels) ((size_t)(pixels) * PF_BITS(format) / 8U)

typedef struct { uint64_t address; void *data; size_t size; } port_entry;
typedef struct { void *buffer; void *user; } new_buffer_data;
typedef struct { uint64_t id; ptrdiff_t offset; size_t length; } chunk_entry;

#endif
