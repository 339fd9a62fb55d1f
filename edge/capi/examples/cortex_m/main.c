// A device on a Cortex-M: requests over the serial line, classes and supports in flash.

#include "board.h"
#include "macula.h"

#ifdef HAS_ENCODER
// ENCODER_DIM and more, written by blob_sizes; the bytes are in encoder.S.
#include "encoder.h"
extern const uint8_t encoder[ENCODER_BYTES];
#define DIM ENCODER_DIM
#define WORK_WORDS ENCODER_WORK_WORDS
#define IMAGE_SIZE (ENCODER_WIDTH * ENCODER_HEIGHT * ENCODER_CHANNELS)
#else
#ifndef DIM
#define DIM 32
#endif
#define WORK_WORDS 0
#define IMAGE_SIZE 0
#endif

#ifndef CLASSES
#define CLASSES 8
#endif
#ifndef SUPPORTS
#define SUPPORTS 64
#endif

static macula_device device;
static uint64_t memory[MACULA_MEMORY_SIZE(DIM, CLASSES, SUPPORTS, IMAGE_SIZE, WORK_WORDS, FLASH_WORD) / 8];

static void send(void *user, const uint8_t *bytes, size_t size)
{
    (void)user;
    uart_write(bytes, size);
}

static void check(macula_status status)
{
    if (status == MACULA_STATUS_OK)
        return;
    print(macula_status_text(status));
    print("\n");
    abort();
}

int main(void)
{
    static const macula_config config = {
        .api_version = MACULA_API_VERSION,
        .program = "macula-c-example",
        .program_version = "1",
#ifdef HAS_ENCODER
        .blob = encoder,
        .blob_size = ENCODER_BYTES,
#else
        .identity = "features only",
        .dim = DIM,
#endif
        .classes = CLASSES,
        .supports = SUPPORTS,
        .image_size = IMAGE_SIZE,
        .work_words = WORK_WORDS,
        .flash = {
            .read = flash_read,
            .program = flash_program,
            .erase = flash_erase,
            .read_size = 1,
            .program_size = FLASH_WORD,
            .erase_size = FLASH_BLOCK,
            .address = 0,
            .size = FLASH_SIZE,
        },
    };
    if (macula_device_size() > sizeof device) {
        print("header and library do not belong together\n");
        abort();
    }
    uart_start();
    check(macula_open(&device, &config, (uint8_t *)memory, sizeof memory));
    for (;;) {
        uint8_t byte = uart_read();
        // This board has no real-time clock.
        check(macula_receive(&device, &byte, 1, 0, send, NULL));
    }
}
