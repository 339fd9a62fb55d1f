// Writes what a program must know of a blob at compile time, as a header in C.
//
//     blob_sizes encoder.int8.blob > encoder.h

#include <stdio.h>
#include <stdlib.h>

#include "macula.h"

int main(int count, char **arguments)
{
    if (count != 2) {
        fprintf(stderr, "usage: blob_sizes FILE.blob\n");
        return 2;
    }
    FILE *file = fopen(arguments[1], "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        perror(arguments[1]);
        return 1;
    }
    long size = ftell(file);
    // `malloc` aligns it to 4 bytes, as a blob needs.
    uint8_t *blob = malloc(size > 0 ? (size_t)size : 1);
    if (blob == NULL || size < 0 || fseek(file, 0, SEEK_SET) != 0 || fread(blob, 1, (size_t)size, file) != (size_t)size) {
        perror(arguments[1]);
        return 1;
    }
    macula_blob_info info;
    macula_status status = macula_read_blob(blob, (size_t)size, &info);
    if (status != MACULA_STATUS_OK) {
        fprintf(stderr, "%s: %s\n", arguments[1], macula_status_text(status));
        return 1;
    }
    printf("#define ENCODER_BYTES %lu\n", (unsigned long)info.size);
    printf("#define ENCODER_DIM %lu\n", (unsigned long)info.dim);
    printf("#define ENCODER_WORK_WORDS %lu\n", (unsigned long)info.work_words);
    printf("#define ENCODER_WIDTH %u\n", info.width);
    printf("#define ENCODER_HEIGHT %u\n", info.height);
    printf("#define ENCODER_CHANNELS %u\n", info.channels);
    free(blob);
    fclose(file);
    return 0;
}
