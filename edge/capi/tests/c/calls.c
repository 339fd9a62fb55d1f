// Calls every function of the header, rightly and wrongly.
//
//     calls FILE.blob

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "macula.h"

#define DIM 4
#define CLASSES 3
#define SUPPORTS 4
#define BLOCK 2048
#define BLOCKS 8

#define EXPECT(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                                    \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

#define EXPECT_STATUS(expected, call)                                                                                  \
    do {                                                                                                               \
        macula_status status_ = (call);                                                                                \
        if (status_ != (expected)) {                                                                                   \
            fprintf(stderr, "line %d: %s: %s\n", __LINE__, #call, macula_status_text(status_));                        \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

#define OK(call) EXPECT_STATUS(MACULA_STATUS_OK, call)

// ---- Flash in memory, of whole words --------------------------------------------------------------------------------

typedef struct {
    uint8_t bytes[BLOCK * BLOCKS];
    int fails;
    int fails_in;          // which program fails, counted from 1, although its bytes are on the flash; 0 none
    macula_device *called; // a callback that calls its own device
} flash_memory;

static int32_t flash_read(void *user, uint32_t address, uint8_t *bytes, size_t size)
{
    flash_memory *flash = user;
    EXPECT(address % 8 == 0 && size % 8 == 0 && address + size <= sizeof flash->bytes);
    if (flash->called != NULL) {
        macula_report report;
        EXPECT_STATUS(MACULA_STATUS_BUSY, macula_get_report(flash->called, &report));
        EXPECT_STATUS(MACULA_STATUS_BUSY, macula_close(flash->called));
        EXPECT_STATUS(MACULA_STATUS_BUSY, macula_open(flash->called, NULL, NULL, 0));
    }
    memcpy(bytes, flash->bytes + address, size);
    return flash->fails;
}

static int32_t flash_program(void *user, uint32_t address, const uint8_t *bytes, size_t size)
{
    flash_memory *flash = user;
    EXPECT(address % 16 == 0 && size % 16 == 0 && address + size <= sizeof flash->bytes);
    for (size_t i = 0; i < size; i++)
        flash->bytes[address + i] &= bytes[i];
    if (flash->fails_in > 0 && --flash->fails_in == 0)
        return 1;
    return flash->fails;
}

static int32_t flash_erase(void *user, uint32_t address)
{
    flash_memory *flash = user;
    EXPECT(address % BLOCK == 0 && address < sizeof flash->bytes);
    memset(flash->bytes + address, 0xff, BLOCK);
    return flash->fails;
}

static flash_memory flash;
static macula_device device;
#define NEEDED MACULA_MEMORY_SIZE(DIM, CLASSES, SUPPORTS, 0, 0, 16)
static uint64_t memory[MACULA_MEMORY_SIZE(DIM, CLASSES, SUPPORTS, 0, 0, 256) / 8];

static macula_config features_only(void)
{
    macula_config config = {
        .api_version = MACULA_API_VERSION,
        .program = "calls",
        .program_version = "1.0",
        .identity = "sixteen bytes...",
        .dim = DIM,
        .classes = CLASSES,
        .supports = SUPPORTS,
        .flash = {&flash, flash_read, flash_program, flash_erase, NULL, 8, 16, BLOCK, 0, sizeof flash.bytes},
    };
    return config;
}

static macula_status open_with(const macula_config *config)
{
    return macula_open(&device, config, (uint8_t *)memory, sizeof memory);
}

static void expect_detail(uint64_t expected_found, uint64_t expected_limit)
{
    uint64_t found, limit;
    OK(macula_error_detail(&device, &found, &limit));
    EXPECT(found == expected_found && limit == expected_limit);
}

// ---- Opening --------------------------------------------------------------------------------------------------------

static void opening(void)
{
    EXPECT(macula_device_size() == sizeof(macula_device));
    memset(flash.bytes, 0xff, sizeof flash.bytes);
    macula_config good = features_only(), config;
    macula_report report;

    EXPECT_STATUS(MACULA_STATUS_NOT_OPEN, macula_get_report(&device, &report));
    EXPECT_STATUS(MACULA_STATUS_NOT_OPEN, macula_close(&device));
    EXPECT_STATUS(MACULA_STATUS_NULL_POINTER, macula_open(NULL, &good, (uint8_t *)memory, sizeof memory));
    EXPECT_STATUS(MACULA_STATUS_NULL_POINTER, open_with(NULL));
    EXPECT_STATUS(MACULA_STATUS_NULL_POINTER, macula_open(&device, &good, NULL, sizeof memory));
    EXPECT_STATUS(MACULA_STATUS_MISALIGNED, macula_open(&device, &good, (uint8_t *)memory + 1, sizeof memory - 1));
    EXPECT_STATUS(MACULA_STATUS_MISALIGNED,
                  macula_open((macula_device *)((uint8_t *)&device + 4), &good, (uint8_t *)memory, sizeof memory));
    EXPECT_STATUS(MACULA_STATUS_MEMORY_TOO_SMALL, macula_open(&device, &good, (uint8_t *)memory, NEEDED - 1));
    expect_detail(NEEDED - 1, NEEDED);
    EXPECT_STATUS(MACULA_STATUS_MEMORY_TOO_SMALL, macula_open(&device, &good, (uint8_t *)memory, 0));
    EXPECT_STATUS(MACULA_STATUS_NOT_OPEN, macula_close(&device));
    expect_detail(0, 0);

#define REFUSED(status, change)                                                                                        \
    do {                                                                                                               \
        config = good;                                                                                                 \
        change;                                                                                                        \
        EXPECT_STATUS(status, open_with(&config));                                                                     \
    } while (0)

    REFUSED(MACULA_STATUS_API_VERSION, config.api_version = MACULA_API_VERSION + 1);
    expect_detail(MACULA_API_VERSION + 1, MACULA_API_VERSION);
    REFUSED(MACULA_STATUS_NULL_POINTER, config.program = NULL);
    REFUSED(MACULA_STATUS_NULL_POINTER, config.program_version = NULL);
    REFUSED(MACULA_STATUS_OUT_OF_RANGE, config.program = "a name of thirty-three bytes.....");
    REFUSED(MACULA_STATUS_OUT_OF_RANGE, config.program = "\xff");
    REFUSED(MACULA_STATUS_OUT_OF_RANGE, config.dim = 0);
    REFUSED(MACULA_STATUS_OUT_OF_RANGE, config.dim = 4097);
    expect_detail(4097, 4096);
    REFUSED(MACULA_STATUS_OUT_OF_RANGE, config.classes = 0);
    REFUSED(MACULA_STATUS_OUT_OF_RANGE, config.classes = 256);
    REFUSED(MACULA_STATUS_OUT_OF_RANGE, config.supports = 0);
    REFUSED(MACULA_STATUS_OUT_OF_RANGE, config.supports = 0xffffffff);
    REFUSED(MACULA_STATUS_MEMORY_TOO_SMALL, config.supports = 65535);
    REFUSED(MACULA_STATUS_MEMORY_TOO_SMALL, config.image_size = 0xffffffff);
    REFUSED(MACULA_STATUS_MEMORY_TOO_SMALL, config.work_words = 0xffffffff);
    REFUSED(MACULA_STATUS_NULL_POINTER, config.flash.read = NULL);
    REFUSED(MACULA_STATUS_NULL_POINTER, config.flash.program = NULL);
    REFUSED(MACULA_STATUS_NULL_POINTER, config.flash.erase = NULL);
    REFUSED(MACULA_STATUS_FLASH_GEOMETRY, config.flash.read_size = 0);
    REFUSED(MACULA_STATUS_FLASH_GEOMETRY, config.flash.read_size = 128);
    REFUSED(MACULA_STATUS_FLASH_GEOMETRY, config.flash.program_size = 12);
    REFUSED(MACULA_STATUS_FLASH_GEOMETRY, config.flash.program_size = 0x80000000);
    REFUSED(MACULA_STATUS_FLASH_GEOMETRY, config.flash.erase_size = 0);
    REFUSED(MACULA_STATUS_FLASH_GEOMETRY, config.flash.erase_size = 0x80000000);
    REFUSED(MACULA_STATUS_FLASH_GEOMETRY, config.flash.address = 1);
    REFUSED(MACULA_STATUS_FLASH_GEOMETRY, config.flash.address = 0xffffff00);
    REFUSED(MACULA_STATUS_FLASH_GEOMETRY, config.flash.size = BLOCK);
    REFUSED(MACULA_STATUS_FLASH_FAILED, flash.fails = 1);
    flash.fails = 0;

    OK(macula_open(&device, &good, (uint8_t *)memory, NEEDED));
    OK(macula_close(&device));
    EXPECT_STATUS(MACULA_STATUS_NOT_OPEN, macula_close(&device));
    REFUSED(MACULA_STATUS_STORE_OTHER_ENCODER, config.identity[0] ^= 1);
    memset(flash.bytes, 0x55, sizeof flash.bytes);
    REFUSED(MACULA_STATUS_NOT_A_STORE, (void)0);
    memset(flash.bytes, 0xff, sizeof flash.bytes);
}

// ---- Learning and predicting ----------------------------------------------------------------------------------------

static macula_input input_of(const int16_t *feature)
{
    macula_input input = {feature, DIM, false, 0};
    return input;
}

static const int16_t NORTH[DIM] = {32767, 0, 0, 0}, NORTH_EAST[DIM] = {32000, 7050, 0, 0},
                     EAST[DIM] = {0, 32767, 0, 0};

static void learning(void)
{
    macula_config config = features_only();
    OK(open_with(&config));
    uint8_t north = 9, east = 9, again = 9;
    EXPECT_STATUS(MACULA_STATUS_NULL_POINTER, macula_add_class(&device, NULL, &north));
    EXPECT_STATUS(MACULA_STATUS_NULL_POINTER, macula_add_class(&device, "north", NULL));
    EXPECT_STATUS(MACULA_STATUS_NAME, macula_add_class(&device, "", &north));
    EXPECT_STATUS(MACULA_STATUS_NAME, macula_add_class(&device, "\xc3", &north));
    EXPECT_STATUS(MACULA_STATUS_NAME, macula_add_class(&device, "a name of thirty-three bytes.....", &north));
    expect_detail(33, 32);
    OK(macula_add_class(&device, "north", &north));
    OK(macula_add_class(&device, "e", &east));
    OK(macula_add_class(&device, "north", &again));
    EXPECT(north == 0 && east == 1 && again == north);
    EXPECT_STATUS(MACULA_STATUS_NAME_TAKEN, macula_rename_class(&device, east, "north"));
    EXPECT_STATUS(MACULA_STATUS_NO_SUCH_CLASS, macula_rename_class(&device, 2, "west"));
    OK(macula_rename_class(&device, east, "\xc3\xb6stlich"));

    uint8_t sources[3][MACULA_SOURCE_SIZE] = {{1}, {2}, {3}};
    macula_input input = input_of(NORTH);
    macula_learned learned;
    macula_prediction prediction;
    EXPECT_STATUS(MACULA_STATUS_NOTHING_LEARNED, macula_predict(&device, &input, 0, 100, &prediction));
    EXPECT_STATUS(MACULA_STATUS_NULL_POINTER, macula_learn(&device, north, NULL, 7, 8, &input, &learned));
    EXPECT_STATUS(MACULA_STATUS_NO_SUCH_CLASS, macula_learn(&device, 2, sources[0], 7, 8, &input, &learned));
    EXPECT_STATUS(MACULA_STATUS_IMAGE_MISSING, macula_learn(&device, north, sources[0], 7, 8, NULL, &learned));
    input.feature = NULL;
    EXPECT_STATUS(MACULA_STATUS_NULL_POINTER, macula_learn(&device, north, sources[0], 7, 8, &input, &learned));
    input.feature = (const int16_t *)((const uint8_t *)NORTH + 1);
    EXPECT_STATUS(MACULA_STATUS_MISALIGNED, macula_learn(&device, north, sources[0], 7, 8, &input, &learned));
    input = input_of(NORTH);
    input.dim = DIM - 1;
    EXPECT_STATUS(MACULA_STATUS_FEATURE_BYTES, macula_learn(&device, north, sources[0], 7, 8, &input, &learned));
    expect_detail(2 * DIM - 2, 2 * DIM);
    input.dim = (size_t)-1;
    EXPECT_STATUS(MACULA_STATUS_OUT_OF_RANGE, macula_learn(&device, north, sources[0], 7, 8, &input, &learned));
    static const int16_t zero[DIM] = {0};
    input = input_of(zero);
    EXPECT_STATUS(MACULA_STATUS_FEATURE_LENGTH, macula_learn(&device, north, sources[0], 7, 8, &input, &learned));

    input = input_of(NORTH);
    OK(macula_learn(&device, north, sources[0], 7, 8, &input, &learned));
    EXPECT(learned.slot == north && learned.is_new && learned.supports == 1);
    OK(macula_learn(&device, north, sources[0], 7, 8, &input, &learned));
    EXPECT(!learned.is_new && learned.supports == 1);
    EXPECT_STATUS(MACULA_STATUS_SOURCE_TAKEN, macula_learn(&device, east, sources[0], 7, 8, &input, NULL));
    expect_detail(north, 0);
    input = input_of(EAST);
    OK(macula_learn(&device, east, sources[1], 0xffffffff, 9, &input, NULL));

    input = input_of(NORTH_EAST);
    EXPECT_STATUS(MACULA_STATUS_NULL_POINTER, macula_predict(&device, &input, 0, 100, NULL));
    EXPECT_STATUS(MACULA_STATUS_NO_SUCH_HEAD, macula_predict(&device, &input, 4, 100, &prediction));
    EXPECT_STATUS(MACULA_STATUS_ERROR_RATE, macula_predict(&device, &input, 0, 0, &prediction));
    for (uint8_t head = 0; head < 4; head++) {
        memset(&prediction, 0xa5, sizeof prediction);
        OK(macula_predict(&device, &input, head, 100, &prediction));
        EXPECT(prediction.slot == north && prediction.probability > 0.5f && prediction.probability <= 1);
        EXPECT(MACULA_SET_HAS(prediction.set, north) && !MACULA_SET_HAS(prediction.set, 2));
        EXPECT(prediction.shots_needed == 9 && !prediction.enough && prediction.nearest_count == 2);
        EXPECT(prediction.nearest[0].slot == north && memcmp(prediction.nearest[0].source, sources[0], 16) == 0);
        EXPECT(prediction.nearest[0].teacher == 7 && prediction.nearest[0].time_s == 8);
        EXPECT(prediction.nearest[0].similarity > 0.97f && prediction.nearest[1].similarity < 0.3f);
    }
    macula_why_result why;
    EXPECT_STATUS(MACULA_STATUS_NULL_POINTER, macula_why(&device, &input, NULL));
    OK(macula_why(&device, &input, &why));
    EXPECT(why.nearest_count == 2 && why.nearest[1].slot == east && why.nearest[1].teacher == 0xffffffff);

    bool found;
    macula_class class;
    OK(macula_class_at(&device, 1, &found, &class));
    EXPECT(found && class.slot == east && strcmp((const char *)class.name, "\xc3\xb6stlich") == 0 && class.supports == 1);
    OK(macula_class_at(&device, 2, &found, &class));
    EXPECT(!found);
    EXPECT_STATUS(MACULA_STATUS_NULL_POINTER, macula_class_at(&device, 0, NULL, &class));

    macula_report report;
    OK(macula_get_report(&device, &report));
    EXPECT(report.dim == DIM && report.classes == 2 && report.classes_limit == CLASSES && report.supports == 2);
    EXPECT(report.supports_limit == SUPPORTS && report.bytes_programmed > 0 && report.free_bytes > 0);
    EXPECT(report.revision == 5 && report.requests == 0);

    macula_self_test_result test;
    OK(macula_self_test(&device, &test));
    EXPECT(test.store.outcome == MACULA_OUTCOME_PASSED && test.store.found == 2 && test.store.expected == 2);
    EXPECT(test.supports.outcome == MACULA_OUTCOME_PASSED && test.memory.outcome == MACULA_OUTCOME_PASSED);
    EXPECT(test.encoder.outcome == MACULA_OUTCOME_ABSENT);

    // A device that is opened again has what was acknowledged, and a callback cannot call its device.
    flash.called = &device;
    OK(macula_get_report(&device, &report));
    OK(macula_self_test(&device, &test));
    OK(open_with(&config));
    flash.called = NULL;
    OK(macula_predict(&device, &input, 0, 100, &prediction));
    EXPECT(prediction.slot == north);

    bool was_known;
    EXPECT_STATUS(MACULA_STATUS_NULL_POINTER, macula_forget(&device, NULL, &was_known));
    OK(macula_forget(&device, sources[0], &was_known));
    EXPECT(was_known);
    OK(macula_forget(&device, sources[0], &was_known));
    EXPECT(!was_known);
    OK(macula_forget(&device, sources[2], NULL));
    OK(macula_remove_class(&device, east));
    EXPECT_STATUS(MACULA_STATUS_NO_SUCH_CLASS, macula_remove_class(&device, east));
    OK(macula_forget_all(&device));
    OK(macula_get_report(&device, &report));
    EXPECT(report.classes == 0 && report.supports == 0);

    // Flash that fails at the first access: nothing is learned.
    OK(macula_add_class(&device, "north", &north));
    flash.fails = 1;
    EXPECT_STATUS(MACULA_STATUS_STORE_FAULT, macula_learn(&device, north, sources[0], 7, 8, &input, NULL));
    flash.fails = 0;
    OK(macula_get_report(&device, &report));
    EXPECT(report.supports == 0);

    // Flash that fails at the mark of a record: only a device that is opened again knows whether it was learned.
    flash.fails_in = 2;
    EXPECT_STATUS(MACULA_STATUS_STORE_FAULT, macula_learn(&device, north, sources[0], 7, 8, &input, NULL));
    EXPECT(flash.fails_in == 0);
    EXPECT_STATUS(MACULA_STATUS_STORE_FAULT, macula_learn(&device, north, sources[1], 7, 8, &input, NULL));
    expect_detail(10, 0);
    OK(open_with(&config));
    OK(macula_get_report(&device, &report));
    EXPECT(report.supports == 1);
    OK(macula_close(&device));
    EXPECT_STATUS(MACULA_STATUS_NOT_OPEN, macula_predict(&device, &input, 0, 100, &prediction));
}

// ---- Images ---------------------------------------------------------------------------------------------------------

#define BLOB_DIM_MAX 512
#define WORK_WORDS (128 * 1024)
#define IMAGE_SIZE (128 * 128)

static uint64_t blob[1024 * 1024 / 8];
static uint64_t large[MACULA_MEMORY_SIZE(BLOB_DIM_MAX, CLASSES, SUPPORTS, IMAGE_SIZE, WORK_WORDS, 16) / 8];

static void images(const char *path)
{
    FILE *file = fopen(path, "rb");
    EXPECT(file != NULL);
    size_t size = fread(blob, 1, sizeof blob, file);
    fclose(file);
    const uint8_t *bytes = (const uint8_t *)blob;
    macula_blob_info info;
    uint32_t words, wide_words;
    EXPECT_STATUS(MACULA_STATUS_NULL_POINTER, macula_read_blob(NULL, size, &info));
    EXPECT_STATUS(MACULA_STATUS_NULL_POINTER, macula_read_blob(bytes, size, NULL));
    EXPECT_STATUS(MACULA_STATUS_BLOB_TRUNCATED, macula_read_blob(bytes, size - 1, &info));
    EXPECT_STATUS(MACULA_STATUS_NOT_A_BLOB, macula_read_blob((const uint8_t *)"not a blob at all", 16, &info));
    memmove((uint8_t *)blob + 1, blob, size);
    EXPECT_STATUS(MACULA_STATUS_MISALIGNED, macula_read_blob(bytes + 1, size, &info));
    memmove(blob, (uint8_t *)blob + 1, size);
    ((uint8_t *)blob)[size / 2] ^= 1;
    EXPECT_STATUS(MACULA_STATUS_BLOB_CHECKSUM, macula_read_blob(bytes, size, &info));
    ((uint8_t *)blob)[size / 2] ^= 1;
    // Bytes behind the blob are the rest of its flash.
    OK(macula_read_blob(bytes, sizeof blob, &info));
    EXPECT(info.size == size && info.channels == 1 && info.width == 64 && info.height == 64 && info.dim <= BLOB_DIM_MAX);
    OK(macula_blob_work_words(bytes, size, info.width, &words));
    OK(macula_blob_work_words(bytes, size, 60000, &wide_words));
    EXPECT(words == info.work_words && words < WORK_WORDS && wide_words > words);
    EXPECT_STATUS(MACULA_STATUS_OUT_OF_RANGE, macula_blob_work_words(bytes, size, 0, &words));

    memset(flash.bytes, 0xff, sizeof flash.bytes);
    macula_config config = features_only();
    config.blob = bytes;
    config.blob_size = size;
    config.image_size = IMAGE_SIZE;
    config.work_words = 10;
    EXPECT_STATUS(MACULA_STATUS_MEMORY_TOO_SMALL, macula_open(&device, &config, (uint8_t *)large, sizeof large));
    EXPECT(flash.bytes[0] == 0xff);
    config.work_words = info.work_words;
    OK(macula_open(&device, &config, (uint8_t *)large, sizeof large));

    static uint8_t pixels[IMAGE_SIZE];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * 31 % 251);
    int16_t feature[BLOB_DIM_MAX], again[BLOB_DIM_MAX];
    bool has_length;
    uint16_t length;
    EXPECT_STATUS(MACULA_STATUS_IMAGE_MISSING, macula_embed(&device, feature, info.dim, &has_length, &length));
    EXPECT_STATUS(MACULA_STATUS_IMAGE_CHANNELS, macula_begin_image(&device, 64, 64, 2));
    EXPECT_STATUS(MACULA_STATUS_IMAGE_BYTES, macula_begin_image(&device, 129, 128, 1));
    OK(macula_begin_image(&device, 64, 64, 1));
    EXPECT_STATUS(MACULA_STATUS_NULL_POINTER, macula_append_image(&device, 0, NULL, 64));
    EXPECT_STATUS(MACULA_STATUS_IMAGE_OFFSET, macula_append_image(&device, 64, pixels, 64));
    OK(macula_append_image(&device, 0, NULL, 0));
    for (uint32_t row = 0; row < 64; row++) {
        EXPECT_STATUS(MACULA_STATUS_IMAGE_MISSING, macula_embed(&device, feature, info.dim, NULL, NULL));
        OK(macula_append_image(&device, 64 * row, pixels + 64 * row, 64));
    }
    EXPECT_STATUS(MACULA_STATUS_NULL_POINTER, macula_embed(&device, NULL, info.dim, NULL, NULL));
    EXPECT_STATUS(MACULA_STATUS_OUT_OF_RANGE, macula_embed(&device, feature, info.dim - 1, NULL, NULL));
    OK(macula_embed(&device, feature, info.dim, &has_length, &length));
    OK(macula_begin_image(&device, 64, 64, 1));
    OK(macula_append_image(&device, 0, pixels, 64 * 64));
    OK(macula_embed(&device, again, info.dim, NULL, NULL));
    EXPECT(memcmp(feature, again, 2 * info.dim) == 0);
    printf("feature");
    for (uint32_t i = 0; i < info.dim; i++)
        printf(" %d", feature[i]);
    printf("\n");

    // An image and its feature are the same sample.
    uint8_t slot, source[MACULA_SOURCE_SIZE] = {5};
    macula_input input = {feature, info.dim, has_length, length};
    macula_prediction of_image, of_feature;
    OK(macula_add_class(&device, "only", &slot));
    OK(macula_learn(&device, slot, source, 0, 0, NULL, NULL));
    OK(macula_predict(&device, NULL, 0, 100, &of_image));
    OK(macula_predict(&device, &input, 0, 100, &of_feature));
    EXPECT(of_image.known == of_feature.known && of_image.nearest[0].similarity > 0.999f);
    EXPECT(of_feature.nearest[0].similarity == of_image.nearest[0].similarity);
    macula_self_test_result test;
    OK(macula_self_test(&device, &test));
    EXPECT(test.encoder.outcome != MACULA_OUTCOME_FAILED);

    // A larger image must be resized, for which this device may have too little memory.
    OK(macula_begin_image(&device, 128, 128, 1));
    OK(macula_append_image(&device, 0, pixels, sizeof pixels));
    OK(macula_embed(&device, again, info.dim, NULL, NULL));
    EXPECT(memcmp(feature, again, 2 * info.dim) != 0);
    OK(macula_close(&device));
}

// ---- Bytes of a line ------------------------------------------------------------------------------------------------

static uint8_t sent[256];
static size_t sent_size;

static void send(void *user, const uint8_t *bytes, size_t size)
{
    EXPECT(user == sent && size > 0 && sent_size + size <= sizeof sent);
    memcpy(sent + sent_size, bytes, size);
    sent_size += size;
    EXPECT_STATUS(MACULA_STATUS_BUSY, macula_forget_all(&device));
}

static void line(void)
{
    memset(flash.bytes, 0xff, sizeof flash.bytes);
    macula_config config = features_only();
    OK(open_with(&config));

    // The hello of docs/protocol.md.
    static const uint8_t hello[] = {0x00, 0x07, 0x01, 0x78, 0x56, 0x34, 0x12, 0x01, 0x01,
                                    0x01, 0x01, 0x06, 0x01, 0xef, 0xa0, 0x42, 0x03, 0x00};
    EXPECT_STATUS(MACULA_STATUS_NULL_POINTER, macula_receive(&device, NULL, 1, 0, send, sent));
    EXPECT_STATUS(MACULA_STATUS_NULL_POINTER, macula_receive(&device, hello, sizeof hello, 0, NULL, sent));
    OK(macula_receive(&device, hello, 7, 0, send, sent));
    EXPECT(sent_size == 0);
    OK(macula_receive(&device, hello + 7, sizeof hello - 7, 0, send, sent));
    EXPECT(sent_size > 20 && sent[0] == 0 && sent[sent_size - 1] == 0);
    uint8_t first[sizeof sent];
    memcpy(first, sent, sizeof sent);
    size_t first_size = sent_size;
    sent_size = 0;
    // A repeated request gets the same reply and is not executed again.
    OK(macula_receive(&device, hello, sizeof hello, 0, send, sent));
    EXPECT(sent_size == first_size && memcmp(first, sent, sent_size) == 0);
    macula_report report;
    OK(macula_get_report(&device, &report));
    EXPECT(report.requests == 1 && report.dropped_frames == 0);
    static const uint8_t broken[] = {0, 1, 2, 3, 0};
    OK(macula_receive(&device, broken, sizeof broken, 0, send, sent));
    OK(macula_get_report(&device, &report));
    EXPECT(report.dropped_frames == 1);

    // One message without a line: status, then nonsense.
    static const uint8_t status_request[] = {1}, nonsense[] = {99, 99};
    uint8_t reply[MACULA_MESSAGE_MAX(DIM)];
    size_t reply_size = 0;
    OK(macula_handle(&device, status_request, 1, 77, reply, sizeof reply, &reply_size));
    EXPECT(reply_size > 5 && reply[0] == 3 && reply[1] == 77);
    OK(macula_handle(&device, nonsense, 2, 0, reply, sizeof reply, &reply_size));
    EXPECT(reply_size > 1 && reply[0] == 1 && reply[1] == 1);
    EXPECT_STATUS(MACULA_STATUS_MEMORY_TOO_SMALL, macula_handle(&device, nonsense, 2, 0, reply, 31, &reply_size));
    EXPECT_STATUS(MACULA_STATUS_NULL_POINTER, macula_handle(&device, nonsense, 2, 0, NULL, 64, &reply_size));
    EXPECT_STATUS(MACULA_STATUS_NULL_POINTER, macula_handle(&device, nonsense, 2, 0, reply, 64, NULL));
    OK(macula_close(&device));
}

int main(int count, char **arguments)
{
    EXPECT(count == 2);
    EXPECT(strcmp(macula_status_text(MACULA_STATUS_OK), "done") == 0);
    EXPECT(strcmp(macula_status_text(-1000), macula_status_text(38)) == 0);
    opening();
    learning();
    images(arguments[1]);
    line();
    printf("all calls are as expected\n");
    return 0;
}
