// A device on Linux: classes and supports in a file, requests over standard input and output or a TCP port.
//
//     linux FILE.flash [--blob FILE.blob] stdio        requests on standard input, replies on standard output
//     linux FILE.flash [--blob FILE.blob] tcp PORT     one host after another at 127.0.0.1:PORT
//     linux FILE.flash --blob FILE.blob teach          teaches two classes of drawn images and predicts others
//
// Without a blob, the device takes features of DIM values.

#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "macula.h"

// ---- Sizes: what this device can hold, all known at compile time ----------------------------------------------------

#ifndef DIM
#define DIM 128 // of features without a blob
#endif
#define DIM_MAX 256 // of a blob
#define CLASSES 8
#define SUPPORTS 64
#define IMAGE_SIZE (256 * 256 * 3)
#define WORK_WORDS (256 * 1024)
#define BLOB_SIZE (1024 * 1024)

#define BLOCK 4096
#define BLOCKS 64

static macula_device device;
static uint64_t memory[MACULA_MEMORY_SIZE(DIM_MAX, CLASSES, SUPPORTS, IMAGE_SIZE, WORK_WORDS, 4) / 8];
static uint64_t blob[BLOB_SIZE / 8];

static void stop(const char *what)
{
    perror(what);
    exit(1);
}

// Ends the program unless a call succeeded.
static void check(const char *call, macula_status status)
{
    if (status == MACULA_STATUS_OK)
        return;
    uint64_t found = 0, limit = 0;
    macula_error_detail(&device, &found, &limit);
    fprintf(stderr, "%s: %s (status %d, found %llu, limit %llu)\n", call, macula_status_text(status), (int)status,
            (unsigned long long)found, (unsigned long long)limit);
    exit(1);
}

#define CHECK(call) check(#call, call)

// ---- Flash: a file that is used like NOR flash ----------------------------------------------------------------------

static int32_t flash_read(void *user, uint32_t address, uint8_t *bytes, size_t size)
{
    return pread(*(int *)user, bytes, size, address) == (ssize_t)size ? 0 : -1;
}

// Programming clears bits and sets none.
static int32_t flash_program(void *user, uint32_t address, const uint8_t *bytes, size_t size)
{
    uint8_t piece[256];
    for (size_t at = 0; at < size; at += sizeof piece) {
        size_t now = size - at < sizeof piece ? size - at : sizeof piece;
        if (flash_read(user, address + (uint32_t)at, piece, now) != 0)
            return -1;
        for (size_t i = 0; i < now; i++)
            piece[i] &= bytes[at + i];
        if (pwrite(*(int *)user, piece, now, address + (off_t)at) != (ssize_t)now)
            return -1;
    }
    return 0;
}

static int32_t flash_erase(void *user, uint32_t address)
{
    uint8_t block[BLOCK];
    memset(block, 0xff, sizeof block);
    return pwrite(*(int *)user, block, sizeof block, address) == (ssize_t)sizeof block ? 0 : -1;
}

// The operating system may lose what was written since the last call.
static int32_t flash_sync(void *user)
{
    return fdatasync(*(int *)user);
}

// Opens the file, or makes one of erased flash.
static int open_flash(const char *path)
{
    int file = open(path, O_RDWR | O_CREAT, 0600);
    if (file < 0)
        stop(path);
    off_t size = lseek(file, 0, SEEK_END);
    if (size < 0)
        stop(path);
    for (off_t at = size / BLOCK * BLOCK; at < BLOCK * BLOCKS; at += BLOCK)
        if (flash_erase(&file, (uint32_t)at) != 0)
            stop(path);
    return file;
}

// ---- The device -----------------------------------------------------------------------------------------------------

static void open_device(int *flash, const macula_blob_info *info)
{
    macula_config config = {
        .api_version = MACULA_API_VERSION,
        .program = "macula-linux-example",
        .program_version = "1",
        .identity = "features only",
        .dim = DIM,
        .classes = CLASSES,
        .supports = SUPPORTS,
        .flash = {
            .user = flash,
            .read = flash_read,
            .program = flash_program,
            .erase = flash_erase,
            .sync = flash_sync,
            .read_size = 1,
            .program_size = 4,
            .erase_size = BLOCK,
            .address = 0,
            .size = BLOCK * BLOCKS,
        },
    };
    if (info != NULL) {
        config.blob = (const uint8_t *)blob;
        config.blob_size = info->size;
        config.image_size = IMAGE_SIZE;
        config.work_words = WORK_WORDS;
    }
    CHECK(macula_open(&device, &config, (uint8_t *)memory, sizeof memory));
}

static void send_bytes(void *user, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = write(*(int *)user, bytes, size);
        if (sent < 0 && errno != EINTR)
            return; // the host is gone; the next read says so
        if (sent > 0) {
            bytes += sent;
            size -= (size_t)sent;
        }
    }
}

// Answers one host until it hangs up.
static void serve(int in, int out)
{
    uint8_t bytes[1024];
    ssize_t count;
    while ((count = read(in, bytes, sizeof bytes)) > 0)
        CHECK(macula_receive(&device, bytes, (size_t)count, (uint64_t)time(NULL), send_bytes, &out));
}

static void serve_tcp(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
    socklen_t length = sizeof address;
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0)
        stop(port);
    printf("listening on tcp:127.0.0.1:%u\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int line = accept(listener, NULL, NULL);
        if (line < 0)
            stop("accept");
        setsockopt(line, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        serve(line, line);
        close(line);
    }
}

// ---- Teaching in this program ---------------------------------------------------------------------------------------

// Draws image `number` of a class: stripes or a disc, with noise.
static void draw(const macula_blob_info *info, int is_disc, uint32_t number, uint8_t *pixels)
{
    uint32_t noise = number * 2654435761u + 1;
    int shift = (int)(number * 5 % 7), middle_x = info->width / 2 + shift - 3, middle_y = info->height / 2 - shift + 3;
    for (int y = 0; y < info->height; y++)
        for (int x = 0; x < info->width; x++) {
            int dx = x - middle_x, dy = y - middle_y, radius = info->width / 4;
            int bright = is_disc ? dx * dx + dy * dy < radius * radius : (x + shift) / 4 % 2;
            noise = noise * 1664525u + 1013904223u;
            for (int channel = 0; channel < info->channels; channel++)
                *pixels++ = (uint8_t)((bright ? 180 : 60) + noise / 0x4000000u);
        }
}

static void give_image(const macula_blob_info *info, int is_disc, uint32_t number)
{
    static uint8_t pixels[IMAGE_SIZE];
    // Refuses an image of more than IMAGE_SIZE bytes, before it is drawn.
    CHECK(macula_begin_image(&device, info->width, info->height, info->channels));
    uint32_t size = (uint32_t)info->width * info->height * info->channels;
    draw(info, is_disc, number, pixels);
    CHECK(macula_append_image(&device, 0, pixels, size));
}

static void teach(const macula_blob_info *info)
{
    static const char *const names[] = {"stripes", "disc"};
    uint8_t slots[2], source[MACULA_SOURCE_SIZE] = {0};
    for (int class = 0; class < 2; class++)
        CHECK(macula_add_class(&device, names[class], &slots[class]));
    for (uint32_t number = 0; number < 10; number++)
        for (int class = 0; class < 2; class++) {
            give_image(info, class, number);
            source[0] = (uint8_t)(2 * number + (uint32_t)class);
            CHECK(macula_learn(&device, slots[class], source, 1, (uint64_t)time(NULL), NULL, NULL));
        }
    int right = 0, in_set = 0;
    for (uint32_t number = 100; number < 110; number++)
        for (int class = 0; class < 2; class++) {
            macula_prediction prediction;
            give_image(info, class, number);
            CHECK(macula_predict(&device, NULL, 0, 100, &prediction));
            right += prediction.slot == slots[class];
            in_set += MACULA_SET_HAS(prediction.set, slots[class]);
            if (number == 100)
                printf("%s: class %u, probability %.3f, known %d, nearest support %.3f\n", names[class], prediction.slot,
                       prediction.probability, prediction.known, prediction.nearest[0].similarity);
        }
    bool was_known;
    macula_report report;
    CHECK(macula_forget(&device, source, &was_known));
    CHECK(macula_get_report(&device, &report));
    printf("20 asked: %d right, %d in their set; %u supports, %llu bytes programmed\n", right, in_set, report.supports,
           (unsigned long long)report.bytes_programmed);
}

int main(int count, char **arguments)
{
    macula_blob_info info, *encoder = NULL;
    int at = 2;
    if (count >= 5 && strcmp(arguments[2], "--blob") == 0) {
        int file = open(arguments[3], O_RDONLY);
        ssize_t size = file < 0 ? -1 : read(file, blob, sizeof blob);
        if (size < 0)
            stop(arguments[3]);
        close(file);
        CHECK(macula_read_blob((const uint8_t *)blob, (size_t)size, &info));
        encoder = &info;
        at = 4;
    }
    const char *mode = at < count ? arguments[at] : "";
    if (strcmp(mode, "stdio") != 0 && (strcmp(mode, "tcp") != 0 || at + 1 >= count) &&
        (strcmp(mode, "teach") != 0 || encoder == NULL)) {
        fprintf(stderr, "usage: linux FILE.flash [--blob FILE.blob] stdio | tcp PORT | teach\n");
        return 2;
    }
    // A host that hangs up before its reply must not end the device: `write` fails instead.
    signal(SIGPIPE, SIG_IGN);
    int flash = open_flash(arguments[1]);
    open_device(&flash, encoder);
    if (strcmp(mode, "tcp") == 0)
        serve_tcp(arguments[at + 1]);
    else if (strcmp(mode, "stdio") == 0)
        serve(0, 1);
    else
        teach(encoder);
    CHECK(macula_close(&device));
    return 0;
}
