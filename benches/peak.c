/* The most multiply-accumulates per second that this machine does from registers, per number of threads: f32 with AVX-512 and bf16
 * with AMX. The denominators of "share of the peak" in docs/results.md.
 *
 *     cc -O2 -march=sapphirerapids -pthread benches/peak.c -o target/peak && target/peak
 */
#define _GNU_SOURCE
#include <immintrin.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 40000000L
#define REPEATS 5
#define THREADS_MAX 64

/* Permission to use AMX: arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA). */
#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_XTILEDATA 18

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

/* 24 independent accumulators hide the latency of the multiply-add. */
static void *f32_avx512(void *done) {
#define FMA(register) "vfmadd231ps %%zmm30, %%zmm31, %%zmm" #register "\n"
    __asm__ volatile(
        "vpxord %%zmm30, %%zmm30, %%zmm30\n vpxord %%zmm31, %%zmm31, %%zmm31\n mov %0, %%rcx\n 1:\n"
        FMA(0) FMA(1) FMA(2) FMA(3) FMA(4) FMA(5) FMA(6) FMA(7) FMA(8) FMA(9) FMA(10) FMA(11)
        FMA(12) FMA(13) FMA(14) FMA(15) FMA(16) FMA(17) FMA(18) FMA(19) FMA(20) FMA(21) FMA(22) FMA(23)
        "dec %%rcx\n jnz 1b\n"
        :
        : "r"(ROUNDS)
        : "cc", "rcx", "zmm0", "zmm1", "zmm2", "zmm3", "zmm4", "zmm5", "zmm6", "zmm7", "zmm8", "zmm9", "zmm10", "zmm11", "zmm12",
          "zmm13", "zmm14", "zmm15", "zmm16", "zmm17", "zmm18", "zmm19", "zmm20", "zmm21", "zmm22", "zmm23", "zmm30", "zmm31");
    *(double *)done = ROUNDS * 24.0 * 16;
    return NULL;
}

struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

/* Four accumulators of 16 x 16, as in a kernel of 32 x 32; a tile product is 16 x 16 x 32 multiply-accumulates. */
static void *bf16_amx(void *done) {
    static struct tile_config config = {
        .palette = 1, .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
    _tile_loadconfig(&config);
    for (long round = 0; round < ROUNDS / 4; round++) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_release();
    *(double *)done = ROUNDS / 4 * 4.0 * 16 * 16 * 32;
    return NULL;
}

static void measure(const char *name, void *(*work)(void *), int threads) {
    double best = 0;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        pthread_t thread[THREADS_MAX];
        double done[THREADS_MAX], total = 0, started = seconds();
        for (int i = 0; i < threads; i++) pthread_create(&thread[i], NULL, work, &done[i]);
        for (int i = 0; i < threads; i++) {
            pthread_join(thread[i], NULL);
            total += done[i];
        }
        double rate = total / (seconds() - started) / 1e9;
        if (rate > best) best = rate;
    }
    printf("%s, %d threads: %.0f GMAC/s\n", name, threads, best);
}

int main(void) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    int most = processors < THREADS_MAX ? processors : THREADS_MAX;
    int has_amx = __builtin_cpu_supports("amx-bf16") && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
    for (int threads = 1; threads <= most; threads *= 2) {
        measure("f32, AVX-512", f32_avx512, threads);
        if (has_amx) measure("bf16, AMX", bf16_amx, threads);
    }
    return 0;
}
