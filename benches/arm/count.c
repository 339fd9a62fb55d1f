/* Plugin for QEMU (user mode) that counts the instructions of an emulated program between marks.
 *
 *   qemu-aarch64 -plugin libcount.so PROGRAM            at exit, `marks A B …` on standard error: the count at each mark
 *   qemu-aarch64 -plugin libcount.so,out=FILE PROGRAM   also, to FILE, a line `ADDRESS COUNT MNEMONIC` per instruction,
 *                                                       counted from the third mark to the last, then `code START`, the
 *                                                       address of the program's code, and `images N`
 *
 * A mark is a call of getppid: it has no effect, the C library does not cache it, and no peer calls it while it computes.
 * Counters are not atomic, so the program must compute on one thread. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Debian's QEMU has no plugin header; these are the declarations in use, of version 1 of the interface (QEMU 7 and 8). */
typedef uint64_t qemu_plugin_id_t;
typedef struct {
    const char *target_name;
    struct { int min, cur; } version;
    bool system_emulation;
} qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, enum qemu_plugin_op, void *, uint64_t);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, unsigned, int64_t, uint64_t, uint64_t,
                                          uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
char *qemu_plugin_insn_disas(const struct qemu_plugin_insn *);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
uint64_t qemu_plugin_start_code(void);

int qemu_plugin_version = 1;

enum { MOST_MARKS = 4096, WARM_MARKS = 3 };

struct insn { uint64_t address; char mnemonic[12]; };
/* A block that QEMU translated; `start` and `end` are its runs at the last warm mark and at the latest one. */
struct block { struct block *next; uint64_t runs, start, end; size_t len; struct insn insns[]; };

static uint64_t total, marks[MOST_MARKS];
static size_t mark_count;
static bool is_aarch64;
static struct block *blocks;
static const char *out;

/* AArch64 instructions that the disassembler of QEMU 7.2 gives as `.byte`. */
static const struct { uint32_t mask, bits; const char *mnemonic; } unknown[] = {
    {0x9f20fc00, 0x0e009400, "sdot/udot"}, {0x9f00f400, 0x0f00e000, "sdot/udot"},
    {0xbfe0fc00, 0x0e400c00, "fmla.h"},    {0xbfc0f400, 0x0f001000, "fmla.h"},
    {0xbfe0fc00, 0x0ec00c00, "fmls.h"},    {0xbfc0f400, 0x0f005000, "fmls.h"},
    {0xbfe0fc00, 0x0e401400, "fadd.h"},    {0xbfe0fc00, 0x0ec01400, "fsub.h"},
    {0xbfe0fc00, 0x2e401c00, "fmul.h"},    {0xbfc0f400, 0x0f009000, "fmul.h"},
    {0xbfe0fc00, 0x0e403400, "fmax.h"},    {0xbfe0fc00, 0x0ec03400, "fmin.h"},
};

static void name(struct insn *to, const struct qemu_plugin_insn *insn) {
    char *text = qemu_plugin_insn_disas(insn);
    strcpy(to->mnemonic, "?");
    if (text) sscanf(text, "%11s", to->mnemonic);
    free(text);
    if (!is_aarch64 || strcmp(to->mnemonic, ".byte")) return;
    uint32_t word;
    memcpy(&word, qemu_plugin_insn_data(insn), sizeof word);
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        if ((word & unknown[i].mask) == unknown[i].bits) strcpy(to->mnemonic, unknown[i].mnemonic);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    size_t len = qemu_plugin_tb_n_insns(tb);
    qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &total, len);
    if (!out) return;
    struct block *block = calloc(1, sizeof *block + len * sizeof *block->insns);
    if (!block) abort();
    block->len = len;
    for (size_t i = 0; i < len; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        block->insns[i].address = qemu_plugin_insn_vaddr(insn);
        name(&block->insns[i], insn);
    }
    block->next = blocks;
    blocks = block;
    qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &block->runs, 1);
}

static void called(qemu_plugin_id_t id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                   uint64_t e, uint64_t f, uint64_t g, uint64_t h) {
    (void)id, (void)cpu, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
    int64_t getppid_number = is_aarch64 ? 173 : 64;
    if (number != getppid_number || mark_count == MOST_MARKS) return;
    marks[mark_count++] = total;
    for (struct block *block = blocks; block; block = block->next) {
        if (mark_count <= WARM_MARKS) block->start = block->runs;
        block->end = block->runs;
    }
}

static void finished(qemu_plugin_id_t id, void *data) {
    (void)id, (void)data;
    fprintf(stderr, "\nmarks");
    for (size_t i = 0; i < mark_count; i++) fprintf(stderr, " %llu", (unsigned long long)marks[i]);
    fprintf(stderr, "\n");
    if (!out) return;
    FILE *file = fopen(out, "w");
    if (!file) {
        perror(out);
        return;
    }
    for (struct block *block = blocks; block; block = block->next)
        for (size_t i = 0; block->end > block->start && i < block->len; i++)
            fprintf(file, "%llx %llu %s\n", (unsigned long long)block->insns[i].address,
                    (unsigned long long)(block->end - block->start), block->insns[i].mnemonic);
    fprintf(file, "code %llx\nimages %zu\n", (unsigned long long)qemu_plugin_start_code(),
            mark_count > WARM_MARKS ? mark_count - WARM_MARKS : 0);
    fclose(file);
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv) {
    is_aarch64 = !strcmp(info->target_name, "aarch64");
    for (int i = 0; i < argc; i++)
        if (!strncmp(argv[i], "out=", 4)) out = strdup(argv[i] + 4);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    qemu_plugin_register_atexit_cb(id, finished, NULL);
    return 0;
}
