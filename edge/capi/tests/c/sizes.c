// Prints the sizes that the header computes, and checks that they are constants.

#include <stdio.h>

#include "macula.h"

// A size for an array must be known at compile time.
static unsigned char constant[MACULA_MEMORY_SIZE(128, 8, 64, 64 * 64, 10000, 8)];

int main(void)
{
    static const unsigned dims[] = {1, 7, 8, 24, 64, 128, 512, 4096};
    static const unsigned classes[] = {1, 2, 8, 33, 255};
    static const unsigned supports[] = {1, 3, 63, 64, 1000, 65535};
    static const unsigned units[] = {1, 4, 8, 64, 256};
    for (unsigned d = 0; d < sizeof dims / sizeof *dims; d++)
        for (unsigned c = 0; c < sizeof classes / sizeof *classes; c++)
            for (unsigned s = 0; s < sizeof supports / sizeof *supports; s++)
                for (unsigned u = 0; u < sizeof units / sizeof *units; u++) {
                    unsigned image = 33 * d, words = 1001 * c;
                    printf("%u %u %u %u %u %u %zu %zu\n", dims[d], classes[c], supports[s], image, words, units[u],
                           MACULA_MEMORY_SIZE(dims[d], classes[c], supports[s], image, words, units[u]),
                           MACULA_MESSAGE_MAX(dims[d]));
                }
    printf("128 8 64 4096 10000 8 %zu %zu\n", sizeof constant, MACULA_MESSAGE_MAX(128));
    return 0;
}
