// Few-shot image classification on a device: the C interface of Macula.
//
// Written from the sources of macula-edge-capi: do not edit. edge/capi/README.md shows how to link and to begin.
//
// Nothing is allocated. A device lies in a `macula_device` and works in memory whose size `MACULA_MEMORY_SIZE` gives at
// compile time; both belong to the caller.
//
// Pointers: a function checks that a pointer is neither null nor misaligned, unless null is allowed. It relies on its
// caller that the pointer then points to what is described, and that what it points to overlaps neither the device, nor
// its memory, nor what another pointer of the same call points to.
//
// Threads: a device may be used by one thread at a time, and not from an interrupt that interrupts one of its functions.
// Different devices are independent. A callback must not call its device; it gets MACULA_STATUS_BUSY. A callback returns:
// it leaves neither by an exception nor by `longjmp`.
//
// Errors: every function returns a status, and changes nothing unless that is MACULA_STATUS_OK. Exceptions are `macula_open`
// and MACULA_STATUS_STORE_FAULT. There is no `errno`. A mistake inside the library calls C's `abort`; a program without a C
// library defines it, for instance as a reset: everything acknowledged is in flash.


#ifndef MACULA_H
#define MACULA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if UINTPTR_MAX == 0xffffffff
#define MACULA_32_BIT
#else
#define MACULA_64_BIT
#endif

// Bytes of memory that a device works in, as a constant.
//
// * dim: dimensions of a feature
// * classes, supports: places for them
// * image_size: bytes of the largest image; 0 for a device that takes features only
// * work_words: as in macula_config
// * flash_unit: the larger one of the flash's read_size and program_size
#define MACULA_MEMORY_SIZE(dim, classes, supports, image_size, work_words, flash_unit)                                 \
    (MACULA_UP_(8 * MACULA_SCRATCH_(dim, classes, supports), 8) + MACULA_UP_(8 * (classes), 8) +                       \
     MACULA_UP_(32 * (supports), 8) + MACULA_UP_(4 * (size_t)(work_words), 8) +                                        \
     MACULA_UP_(2 * (size_t)(supports) * (dim), 8) + 2 * MACULA_UP_(2 * (dim), 8) + MACULA_UP_(33 * (classes), 8) +    \
     MACULA_UP_(MACULA_STORE_(dim, flash_unit), 8) + MACULA_UP_(image_size, 8) +                                       \
     2 * MACULA_UP_(MACULA_MESSAGE_MAX(dim) + 13, 8))

// Bytes of the longest message of a device with features of `dim` dimensions.
#define MACULA_MESSAGE_MAX(dim) MACULA_MAX_(2 * (size_t)(dim) + 72, 256)

// Whether the set of a prediction has the class in `slot`.
#define MACULA_SET_HAS(set, slot) (((set)[(slot) / 8] >> ((slot) % 8) & 1) != 0)

// Parts of the above.
#define MACULA_MAX_(a, b) ((a) > (b) ? (a) : (b))
#define MACULA_MIN_(a, b) ((a) < (b) ? (a) : (b))
#define MACULA_UP_(n, unit) (((size_t)(n) + (unit) - 1) / (unit) * (unit))
#define MACULA_TRIANGLE_(n) ((size_t)(n) * ((n) + 1) / 2)
#define MACULA_SCRATCH_(d, c, s)                                                                                       \
    ((size_t)(c) * (d) + 7 * (c) + (size_t)((c) + 3) * (s) + MACULA_TRIANGLE_((s) < (d) ? (s) : (d) - 1) +             \
     MACULA_SCRATCH_OF_RANK_(MACULA_MIN_(d, s), c, s))
#define MACULA_SCRATCH_OF_RANK_(r, c, s)                                                                               \
    (2 * (size_t)(r) + (size_t)(c) * ((r) + 1) + MACULA_MAX_(MACULA_GAUSSIAN_(r, c, s), MACULA_LOGISTIC_(r, c, s)))
#define MACULA_GAUSSIAN_(r, c, s)                                                                                      \
    ((size_t)(r) * ((r) + 2) + (size_t)((r) + (c) + 2) * (c) +                                                         \
     MACULA_MAX_(1, MACULA_MIN_(7, (s) / (3 * ((c) + 2)))) * ((size_t)((c) + 2) * (r) + (size_t)(c) * ((c) + 1)) +     \
     8 * (2 * (r) + (c)) + (c))
#define MACULA_LOGISTIC_(r, c, s)                                                                                      \
    (3 * (size_t)(c) * ((r) + 1) + 8 * ((r) + (c)) +                                                                   \
     (5 * (size_t)(c) * ((r) + 1) + MACULA_TRIANGLE_((r) + 1) +                                                        \
      8 * (2 * (r) + 1 + (c) + (size_t)(((s) + 7) / 8) * (c)) + 1) / 2)
#define MACULA_STORE_(dim, unit) MACULA_STORE_OF_(dim, MACULA_MAX_(unit, 4))
#define MACULA_STORE_OF_(dim, unit)                                                                                    \
    MACULA_MAX_((unit) + MACULA_UP_(8 + MACULA_MAX_(28 + 2 * (size_t)(dim), 128), unit), 2 * MACULA_UP_(52, unit))


// Version of this interface. It rises when a program must be compiled again.
#define MACULA_API_VERSION 1

// Bytes that identify the origin of a support.
#define MACULA_SOURCE_SIZE 16

// Bytes of the longest class name, without the zero byte behind it.
#define MACULA_NAME_MAX 32

// The same with the zero byte.
#define MACULA_NAME_SIZE 33

// Most class slots.
#define MACULA_CLASSES_MAX 255

// Supports in a prediction.
#define MACULA_NEAREST 3

// Supports in an answer of `macula_why`.
#define MACULA_NEAREST_WHY 5

#if defined(MACULA_64_BIT)
// Words of 8 bytes of a device.
#define MACULA_DEVICE_WORDS 351
#endif

#if defined(MACULA_32_BIT)
// Words of 8 bytes of a device.
#define MACULA_DEVICE_WORDS 266
#endif

// The result of a function. Numbers are appended, never changed.
//
// Positive: the device refused; the number is that of a refusal in the protocol. Negative: a
// mistake in the call, or the device cannot be opened. `macula_error_detail` gives two numbers more.
enum macula_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Done.
    MACULA_STATUS_OK = 0,
    // The message cannot be read. Found: its bytes.
    MACULA_STATUS_MALFORMED = 1,
    // A message does not fit. Limit: bytes that fit.
    MACULA_STATUS_MESSAGE_TOO_LONG = 2,
    // The host speaks another version of the protocol.
    MACULA_STATUS_VERSION = 3,
    // No session of this number is open on the line.
    MACULA_STATUS_NO_SESSION = 4,
    // The name is not allowed for a class. Found: its bytes. Limit: bytes allowed.
    MACULA_STATUS_NAME = 5,
    // Another class has this name. Found: its slot.
    MACULA_STATUS_NAME_TAKEN = 6,
    // Every slot is taken. Limit: slots.
    MACULA_STATUS_CLASSES_FULL = 7,
    // There is no such class. Found: the slot.
    MACULA_STATUS_NO_SUCH_CLASS = 8,
    // Every place for a support is taken. Limit: places.
    MACULA_STATUS_SUPPORTS_FULL = 9,
    // This source belongs to another class: forget it first. Found: the slot of that class.
    MACULA_STATUS_SOURCE_TAKEN = 10,
    // The feature has another dimension than the device's. Found: its bytes. Limit: bytes expected.
    MACULA_STATUS_FEATURE_BYTES = 11,
    // The feature does not have length 1. Found: its length. Limit: 32767, which is 1.
    MACULA_STATUS_FEATURE_LENGTH = 12,
    // The image is empty or too large. Found: its bytes. Limit: bytes allowed.
    MACULA_STATUS_IMAGE_BYTES = 13,
    // An image has 1 or 3 channels. Found: its channels.
    MACULA_STATUS_IMAGE_CHANNELS = 14,
    // A part of the image does not follow the part before. Found: where it begins or ends. Limit: where it must.
    MACULA_STATUS_IMAGE_OFFSET = 15,
    // The image is not complete. Found: bytes received. Limit: bytes of the image.
    MACULA_STATUS_IMAGE_MISSING = 16,
    // The device takes features only.
    MACULA_STATUS_NO_ENCODER = 17,
    // The encoder failed on the image, often because it was given too little work memory for an image of this size.
    MACULA_STATUS_ENCODER_FAILED = 18,
    // The store has no room; everything in it stays. Found: bytes needed. Limit: bytes free.
    MACULA_STATUS_STORE_FULL = 19,
    // The store cannot read or write its flash, or the flash does not hold what was written. If later changes are refused
    // with found 10, open the device again: only that tells whether this change took effect.
    MACULA_STATUS_STORE_FAULT = 20,
    // No class has a support yet.
    MACULA_STATUS_NOTHING_LEARNED = 21,
    // There is no such head. Found: its number. Limit: the highest.
    MACULA_STATUS_NO_SUCH_HEAD = 22,
    // The error rate is 0 or too high. Found: thousandths. Limit: thousandths allowed.
    MACULA_STATUS_ERROR_RATE = 23,
    // The head could not be solved.
    MACULA_STATUS_HEAD_FAILED = 24,
    // There is no such part of the state.
    MACULA_STATUS_CURSOR = 25,
    // The confirmation is missing or wrong.
    MACULA_STATUS_NOT_CONFIRMED = 26,
    // The device accepts no bundles.
    MACULA_STATUS_NO_BUNDLES = 27,
    // The bundle is empty or too large.
    MACULA_STATUS_BUNDLE_BYTES = 28,
    // A part of the bundle does not follow the part before.
    MACULA_STATUS_BUNDLE_OFFSET = 29,
    // The bundle is not complete.
    MACULA_STATUS_BUNDLE_MISSING = 30,
    // The received bundle does not match the announced SHA-256.
    MACULA_STATUS_BUNDLE_HASH = 31,
    // The device does not accept this bundle.
    MACULA_STATUS_BUNDLE_REFUSED = 32,
    // The flash of the firmware slot cannot be written.
    MACULA_STATUS_BUNDLE_FAULT = 33,
    // The bundle is older than one that was in use.
    MACULA_STATUS_BUNDLE_OLDER = 34,
    // The bundle has another encoder, and supports would be forgotten.
    MACULA_STATUS_WOULD_FORGET = 35,
    // Another bundle with this counter is in use.
    MACULA_STATUS_BUNDLE_SAME_COUNTER = 36,
    // The share or cost of the operating point is 0 or too high.
    MACULA_STATUS_OPERATING_POINT = 37,
    // A pointer is null.
    MACULA_STATUS_NULL_POINTER = -1,
    // A pointer is misaligned. Found: its address. Limit: the alignment.
    MACULA_STATUS_MISALIGNED = -2,
    // A number, a length or a text in the call is out of range. Found: the number. Limit: the highest or lowest.
    MACULA_STATUS_OUT_OF_RANGE = -3,
    // The memory is too small. Found: its size. Limit: the size needed, in the same unit.
    MACULA_STATUS_MEMORY_TOO_SMALL = -4,
    // The device is not open.
    MACULA_STATUS_NOT_OPEN = -5,
    // The device is in use: a callback called it.
    MACULA_STATUS_BUSY = -6,
    // The program was compiled with a header of another version. Found: its version. Limit: the library's.
    MACULA_STATUS_API_VERSION = -7,
    // The library made a mistake.
    MACULA_STATUS_INTERNAL = -8,
    // The bytes are not a blob.
    MACULA_STATUS_NOT_A_BLOB = -20,
    // The blob has another format version. Found: its version.
    MACULA_STATUS_BLOB_VERSION = -21,
    // The blob ends too early. Found: its bytes. Limit: bytes needed.
    MACULA_STATUS_BLOB_TRUNCATED = -22,
    // The blob is damaged. Found: its CRC-32. Limit: the CRC-32 that it states.
    MACULA_STATUS_BLOB_CHECKSUM = -23,
    // A field of the blob is out of range.
    MACULA_STATUS_BLOB_INVALID = -24,
    // The flash cannot carry a store: its sizes or its place. Found: the number. Limit: the number needed.
    MACULA_STATUS_FLASH_GEOMETRY = -30,
    // A callback of the flash failed. Found: the address.
    MACULA_STATUS_FLASH_FAILED = -31,
    // The flash did not keep what was written: a block is worn out. Found: the address.
    MACULA_STATUS_FLASH_WORN = -32,
    // The flash holds something that is not a store.
    MACULA_STATUS_NOT_A_STORE = -33,
    // A later program wrote the store. Found: its format version. Limit: the latest that is read.
    MACULA_STATUS_STORE_NEWER = -34,
    // The store belongs to another encoder. Erase the range to begin an empty one.
    MACULA_STATUS_STORE_OTHER_ENCODER = -35,
    // The store is damaged. Found: the address.
    MACULA_STATUS_STORE_DAMAGED = -36,
    // The store does not fit: it has more classes or supports than the device has places.
    MACULA_STATUS_STORE_DOES_NOT_FIT = -37,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum macula_status macula_status;
#else
typedef int32_t macula_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// The outcome of a test.
enum macula_outcome
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // As expected.
    MACULA_OUTCOME_PASSED = 0,
    // Not as expected.
    MACULA_OUTCOME_FAILED = 1,
    // The device has nothing to test.
    MACULA_OUTCOME_ABSENT = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum macula_outcome macula_outcome;
#else
typedef int32_t macula_outcome;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// A device. Make it static, zero it (as C does with static variables) and give it to `macula_open`; its content is
// private. Several devices do not share anything. Do not copy an open device.
typedef struct {
    // Private.
    uint64_t words[MACULA_DEVICE_WORDS];
} macula_device;

// Reads `size` bytes at `address`. Returns 0, or anything else when the flash failed.
typedef int32_t (*macula_read_flash)(void *user, uint32_t address, uint8_t *bytes, size_t size);

// Programs `size` bytes at `address`. Returns 0 once they are on the flash.
typedef int32_t (*macula_program_flash)(void *user,
                                        uint32_t address,
                                        const uint8_t *bytes,
                                        size_t size);

// Erases the block at `address` to 0xff. Returns 0 once it is erased.
typedef int32_t (*macula_erase_flash)(void *user, uint32_t address);

// Makes durable what was programmed and erased before. Returns 0.
typedef int32_t (*macula_sync_flash)(void *user);

// NOR flash, or a file that is used like it: programming clears bits, erasing a block sets them.
//
// Callbacks run while a function of the device runs, and must not call one.
typedef struct {
    // Given to every callback.
    void *user;
    // Reads `size` bytes at `address`, both multiples of `read_size`. Returns 0, or another number when the flash failed.
    macula_read_flash read;
    // Programs `size` bytes at `address`, both multiples of `program_size`, in blocks that were erased before.
    macula_program_flash program;
    // Erases the block of `erase_size` bytes at `address`.
    macula_erase_flash erase;
    // Returns once everything programmed and erased before is durable (fsync). Null for the flash of a chip, where that is
    // so when the other callbacks return.
    macula_sync_flash sync;
    // A power of two, at most 64.
    uint32_t read_size;
    // A power of two, at most 256.
    uint32_t program_size;
    // Bytes of an erase block, a power of two.
    uint32_t erase_size;
    // Where the store begins, a multiple of `erase_size`.
    uint32_t address;
    // Bytes of the store, a multiple of `erase_size`, at least two blocks. Nothing else may write there.
    uint32_t size;
} macula_flash;

// What a device is opened with. The texts and the blob must stay where they are, unchanged, until the device is closed.
typedef struct {
    // `MACULA_API_VERSION`.
    uint32_t api_version;
    // Name of your program, which hosts show; at most 32 bytes of UTF-8.
    const char *program;
    // Its version; the same.
    const char *program_version;
    // The encoder's blob at a multiple of 4 bytes, read in place; null for a device that takes features only.
    const uint8_t *blob;
    // Bytes of the blob, or of the flash that it lies in.
    size_t blob_size;
    // Without a blob: identity of the encoder that makes the features, the first 16 bytes of a SHA-256.
    uint8_t identity[16];
    // Without a blob: dimensions of a feature, 1 to 4096.
    uint32_t dim;
    // Class slots, 1 to 255.
    uint32_t classes;
    // Places for supports (taught samples), 1 to 65535.
    uint32_t supports;
    // Bytes of the largest image; 0 without a blob.
    uint32_t image_size;
    // Words of 4 bytes between an image and its feature, from `macula_read_blob` or `macula_blob_work_words`; 0 without a
    // blob.
    uint32_t work_words;
    // Where classes and supports are stored.
    macula_flash flash;
} macula_config;

// Facts about a blob.
typedef struct {
    // Equal identities give equal features.
    uint8_t identity[16];
    // Its bytes.
    uint32_t size;
    // Dimensions of a feature.
    uint32_t dim;
    // Words of 4 bytes between an image of the encoder's size and its feature.
    uint32_t work_words;
    // Columns of the image that the encoder reads; others are resized.
    uint16_t width;
    // Its rows.
    uint16_t height;
    // Its channels: 1 grey, 3 red green blue.
    uint8_t channels;
} macula_blob_info;

// A class.
typedef struct {
    // Its slot.
    uint8_t slot;
    // Its name in UTF-8, zero-terminated.
    uint8_t name[MACULA_NAME_SIZE];
    // Its supports.
    uint32_t supports;
} macula_class;

// A feature that the same encoder made: the sample of a call. Without one (null), the sample is the image that
// `macula_begin_image` and `macula_append_image` gave.
typedef struct {
    // Values of length 1, which is 32767; aligned to 2 bytes.
    const int16_t *feature;
    // Their number: the device's dimensions.
    size_t dim;
    // Whether `length` is known.
    bool has_length;
    // The length before it was made 1, as `macula_embed` gives it; out-of-distribution detection uses it.
    uint16_t length;
} macula_input;

// What was learned.
typedef struct {
    // The slot of its class.
    uint8_t slot;
    // Whether it is new; `false` when the class had a support of this source.
    bool is_new;
    // Supports of its class now.
    uint32_t supports;
} macula_learned;

// A support and its similarity to the sample.
typedef struct {
    // Its source.
    uint8_t source[MACULA_SOURCE_SIZE];
    // Time of teaching in seconds since 1970; 0 unknown.
    uint64_t time_s;
    // Number of the person who taught it.
    uint32_t teacher;
    // Cosine similarity, -1 to 1.
    float similarity;
    // The slot of its class.
    uint8_t slot;
} macula_neighbour;

// A prediction and its evidence.
typedef struct {
    // The slot of the most probable class.
    uint8_t slot;
    // Whether the sample is similar to what was taught, or to the encoder's images. If not, the answer is "I don't know".
    bool known;
    // Whether every class has `shots_needed` supports; otherwise `set` guarantees nothing.
    bool enough;
    // Supports per class that the error rate needs.
    uint16_t shots_needed;
    // Probability of the class, 0 to 1. With a single class it is always 1 and means nothing.
    float probability;
    // The classes that cannot be excluded at the error rate (conformal prediction set): `MACULA_SET_HAS(set, slot)`.
    uint8_t set[32];
    // Supports in `nearest`.
    uint32_t nearest_count;
    // The supports nearest to the sample, nearest first.
    macula_neighbour nearest[MACULA_NEAREST];
} macula_prediction;

// The supports nearest to a sample.
typedef struct {
    // Supports in `nearest`.
    uint32_t nearest_count;
    // Nearest first.
    macula_neighbour nearest[MACULA_NEAREST_WHY];
} macula_why_result;

// The state of a device.
typedef struct {
    // Bytes programmed by the store since its first use.
    uint64_t bytes_programmed;
    // Blocks erased by the store since its first use.
    uint32_t erases;
    // Bytes free in the store.
    uint32_t free_bytes;
    // Dimensions of a feature.
    uint32_t dim;
    // Classes.
    uint32_t classes;
    // Class slots.
    uint32_t classes_limit;
    // Supports.
    uint32_t supports;
    // Places for supports.
    uint32_t supports_limit;
    // Changes of classes and supports since the device was opened.
    uint32_t revision;
    // Requests executed that came over the line.
    uint32_t requests;
    // Frames of the line that were dropped because they were damaged or too long.
    uint32_t dropped_frames;
} macula_report;

// The result of a test.
typedef struct {
    // The outcome.
    macula_outcome outcome;
    // What was found.
    uint32_t found;
    // What was expected.
    uint32_t expected;
} macula_test;

// The results of a self-test.
typedef struct {
    // The flash holds what memory holds: supports.
    macula_test store;
    // Every support has a class and a feature of length 1: supports.
    macula_test supports;
    // The encoder gives the expected feature for the image in its blob.
    macula_test encoder;
    // The memory suffices for every head: values.
    macula_test memory;
} macula_self_test_result;

// Sends bytes over the line. It must not call the device.
typedef void (*macula_send)(void *user, const uint8_t *bytes, size_t size);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// A short English text for `status`. It is static; for a number that is no status it says so.
const char *macula_status_text(int32_t status);

// Bytes of a device in this library. More than `sizeof(macula_device)` means that header and library do not belong together.
size_t macula_device_size(void);

// Opens a device: checks the blob, opens the store on the flash (erased flash becomes an empty store) and reads all
// classes and supports.
//
// * `memory`: at a multiple of 8 bytes. It belongs to the device until it is closed
// * `memory_size`: at least `MACULA_MEMORY_SIZE` of the same sizes as in `config`
//
// A device that could not be opened is closed. A device that is open is opened anew: what was acknowledged is in flash.
macula_status macula_open(macula_device *device,
                          const macula_config *config,
                          uint8_t *memory,
                          size_t memory_size);

// Closes a device. Its memory is the caller's again; the flash keeps what was acknowledged.
macula_status macula_close(macula_device *device);

// What was found and what is allowed, where the last call of this device failed; zeros after a call that did not fail.
macula_status macula_error_detail(const macula_device *device,
                                  uint64_t *found,
                                  uint64_t *limit);

// Checks a blob and tells what it needs.
//
// * `blob`: at a multiple of 4 bytes
macula_status macula_read_blob(const uint8_t *blob, size_t blob_size, macula_blob_info *info);

// Words of 4 bytes between an image of up to `width` columns and its feature.
macula_status macula_blob_work_words(const uint8_t *blob,
                                     size_t blob_size,
                                     uint32_t width,
                                     uint32_t *words);

// Adds a class, or finds the class of this name.
//
// * `name`: 1 to 32 bytes of UTF-8 without control characters
// * `slot`: receives its slot
macula_status macula_add_class(macula_device *device, const char *name, uint8_t *slot);

// Renames the class in `slot`.
//
// * `name`: as for `macula_add_class`
macula_status macula_rename_class(macula_device *device, uint8_t slot, const char *name);

// Removes the class in `slot` with all its supports.
macula_status macula_remove_class(macula_device *device, uint8_t slot);

// Gives the first class in slot `from` or above.
//
// * `found`: receives whether there is one
// * `result`: receives the class, if there is one
macula_status macula_class_at(macula_device *device,
                              uint8_t from,
                              bool *found,
                              macula_class *result);

// Learns a sample. It is in flash when this returns `MACULA_STATUS_OK`. A second call with the same class and source
// changes nothing.
//
// * `source`: any 16 bytes that identify the sample. Hosts forget by them: docs/protocol.md says which ones ours take
// * `teacher`: number of the person who teaches
// * `time_s`: seconds since 1970; 0 unknown
// * `input`: null for the image
// * `learned`: receives what was learned; may be null
macula_status macula_learn(macula_device *device,
                           uint8_t slot,
                           const uint8_t *source,
                           uint32_t teacher,
                           uint64_t time_s,
                           const macula_input *input,
                           macula_learned *learned);

// Forgets the sample of this source, exactly as if it had never been learned.
//
// * `source`: 16 bytes
// * `was_known`: receives whether there was one; may be null
macula_status macula_forget(macula_device *device, const uint8_t *source, bool *was_known);

// Forgets all classes and supports and erases them from the flash.
macula_status macula_forget_all(macula_device *device);

// Begins an image; the one before is dropped. Its bytes follow by `macula_append_image`.
//
// * `channels`: 1 grey, 3 red green blue
macula_status macula_begin_image(macula_device *device,
                                 uint16_t width,
                                 uint16_t height,
                                 uint8_t channels);

// Adds the next bytes of the image: one row, several, or all. They are copied. The image stays until the next one begins.
//
// * `offset`: bytes that were added before
// * `bytes`: `[height, width, channels]`, 8 bits each, row by row from the top
macula_status macula_append_image(macula_device *device,
                                  uint32_t offset,
                                  const uint8_t *bytes,
                                  size_t bytes_size);

// Gives the feature of the image, so that `macula_learn` and `macula_predict` need not compute it again.
//
// * `feature`: receives the feature
// * `dim`: the device's dimensions
// * `has_length`, `length`: receive the length for `macula_input`; both may be null
macula_status macula_embed(macula_device *device,
                           int16_t *feature,
                           size_t dim,
                           bool *has_length,
                           uint16_t *length);

// Predicts the class of a sample.
//
// * `input`: null for the image
// * `head`: the classifier: 0 the device's choice, 1 prototype, 2 Gaussian, 3 softmax regression
// * `error_rate_permille`: rate at which `set` may miss the right class, in thousandths, 1 to 500
// * `prediction`: receives the prediction
macula_status macula_predict(macula_device *device,
                             const macula_input *input,
                             uint8_t head,
                             uint16_t error_rate_permille,
                             macula_prediction *prediction);

// Gives the supports that are nearest to a sample.
//
// * `input`: null for the image
// * `why`: receives them
macula_status macula_why(macula_device *device, const macula_input *input, macula_why_result *why);

// Gives the state of a device.
macula_status macula_get_report(macula_device *device, macula_report *report);

// Compares flash, memory and encoder with what they should be.
macula_status macula_self_test(macula_device *device, macula_self_test_result *result);

// Takes bytes from the line of a host: a UART, USB, a socket. Each request that they complete is executed, and its reply
// goes to `send` in pieces before this returns. A request that arrives twice is executed once.
//
// * `now_s`: the clock in seconds since 1970; 0 without a clock
// * `send`: called for each piece of a reply, 1 byte or more, with `user`
macula_status macula_receive(macula_device *device,
                             const uint8_t *bytes,
                             size_t bytes_size,
                             uint64_t now_s,
                             macula_send send,
                             void *user);

// Executes one message of the protocol without frame and session, for a transport that has its own.
//
// * `reply`: receives the reply; at least `MACULA_MESSAGE_MAX` bytes hold any. A reply that does not fit becomes a refusal,
//   after the request was executed
// * `reply_size`: receives its bytes
macula_status macula_handle(macula_device *device,
                            const uint8_t *request,
                            size_t request_size,
                            uint64_t now_s,
                            uint8_t *reply,
                            size_t reply_max,
                            size_t *reply_size);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* MACULA_H */
