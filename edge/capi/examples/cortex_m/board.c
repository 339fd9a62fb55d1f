// Arm's MPS2 board with a Cortex-M7 (AN500), as QEMU emulates it: start, serial line, flash.

#include <stdbool.h>

#include "board.h"

int main(void);

// ---- Start ----------------------------------------------------------------------------------------------------------

// Addresses from board.ld.
extern uint32_t data_start[], data_end[], data_in_flash[], bss_end[];
extern void stack_top(void);

__attribute__((noreturn, used)) static void start_in_c(void)
{
    for (uint32_t *to = data_start, *from = data_in_flash; to < data_end;)
        *to++ = *from++;
    for (volatile uint32_t *at = data_end; at < bss_end;)
        *at++ = 0;
    main();
    abort();
    for (;;)
        ;
}

// Fills the stack with a pattern, which shows how much of it was used, and turns the floating-point unit on.
__attribute__((naked, noreturn)) void reset(void)
{
    __asm__("ldr r0, =bss_end\n"
            "mov r1, sp\n"
            "ldr r2, =0xcccccccc\n"
            "1: cmp r0, r1\n"
            "bhs 2f\n"
            "str r2, [r0], #4\n"
            "b 1b\n"
            "2: ldr r0, =0xe000ed88\n" // CPACR
            "ldr r1, [r0]\n"
            "orr r1, r1, #0xf00000\n"
            "str r1, [r0]\n"
            "dsb\n"
            "isb\n"
            "b start_in_c\n"
            ".ltorg\n");
}

static void fault(void)
{
    print("fault\n");
    abort();
}

__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
    stack_top, reset, fault, fault, fault, fault, fault, fault,
    fault, fault, fault, fault, fault, fault, fault, fault,
};

// ---- The serial line: the CMSDK APB UART (Arm, Cortex-M System Design Kit, DDI 0479, section 4.3) -------------------

#define UART_DATA (*(volatile uint32_t *)0x40004000)
#define UART_STATE (*(volatile uint32_t *)0x40004004) // 0 transmit buffer full, 1 receive buffer full
#define UART_CTRL (*(volatile uint32_t *)0x40004008)
#define UART_BAUDDIV (*(volatile uint32_t *)0x40004010)

void uart_start(void)
{
    UART_BAUDDIV = 25000000 / 115200;
    UART_CTRL = 3;
}

uint8_t uart_read(void)
{
    while ((UART_STATE & 2) == 0)
        ;
    return (uint8_t)UART_DATA;
}

void uart_write(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        while ((UART_STATE & 1) != 0)
            ;
        UART_DATA = bytes[i];
    }
}

// ---- Flash: the board's PSRAM, used like NOR flash. The emulator maps a file there, which outlives it. --------------

#define FLASH ((volatile uint8_t *)0x60000000)

static bool outside(uint32_t address, size_t size)
{
    return address > FLASH_SIZE || size > FLASH_SIZE - address;
}

int32_t flash_read(void *user, uint32_t address, uint8_t *bytes, size_t size)
{
    (void)user;
    if (outside(address, size))
        return -1;
    for (size_t i = 0; i < size; i++)
        bytes[i] = FLASH[address + i];
    return 0;
}

// Programming clears bits, word by word.
int32_t flash_program(void *user, uint32_t address, const uint8_t *bytes, size_t size)
{
    (void)user;
    if (outside(address, size) || address % FLASH_WORD != 0 || size % FLASH_WORD != 0)
        return -1;
    for (size_t i = 0; i < size; i += FLASH_WORD) {
        volatile uint32_t *word = (volatile uint32_t *)(FLASH + address + i);
        *word &= bytes[i] | (uint32_t)bytes[i + 1] << 8 | (uint32_t)bytes[i + 2] << 16 | (uint32_t)bytes[i + 3] << 24;
    }
    return 0;
}

int32_t flash_erase(void *user, uint32_t address)
{
    (void)user;
    if (outside(address, FLASH_BLOCK) || address % FLASH_BLOCK != 0)
        return -1;
    volatile uint32_t *words = (volatile uint32_t *)(FLASH + address);
    for (size_t i = 0; i < FLASH_BLOCK / 4; i++)
        words[i] = 0xffffffff;
    return 0;
}

// ---- Text and end, by semihosting: a real board without a debugger has neither --------------------------------------

static void semihosting(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

void print(const char *text)
{
    semihosting(0x04, text); // SYS_WRITE0
}

void abort(void)
{
    static const uint32_t end[2] = {0x20026, 101}; // ADP_Stopped_ApplicationExit, exit status
    for (;;)
        semihosting(0x20, end); // SYS_EXIT_EXTENDED
}
