// What main.c needs of a board. Replace board.c and board.ld for yours.

#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>
#include <stdint.h>

#define FLASH_BLOCK 4096
#define FLASH_WORD 4
#define FLASH_SIZE (256 * 1024)

// Sets up the serial line.
void uart_start(void);

// Waits for a byte.
uint8_t uart_read(void);

void uart_write(const uint8_t *bytes, size_t size);

// Flash for the store, as `macula_flash` calls it; `user` is not used.
int32_t flash_read(void *user, uint32_t address, uint8_t *bytes, size_t size);
int32_t flash_program(void *user, uint32_t address, const uint8_t *bytes, size_t size);
int32_t flash_erase(void *user, uint32_t address);

// Prints a text for the developer.
void print(const char *text);

// Stops: the library calls it after a mistake of its own. A product resets here.
void abort(void);

#endif
