/* crc32c in two ways: by the SSE 4.2 instruction, three streams side by side, and by tables.
 *
 * The instruction takes three cycles but a new one can start in each, so one stream would use a third
 * of the unit. Three neighbouring blocks are summed at once; the sums are put together by moving each
 * over the zero bytes that stand for the next block. Moving is linear over GF(2): four tables of 256
 * words per block length do it (Gopal et al., "Fast CRC computation for iSCSI polynomial using CRC32
 * instruction", Intel 2011). */

#include "CCodec.h"

#include <pthread.h>
#include <string.h>

#define POLYNOMIAL 0x82f63b78u

static uint32_t byte_table[8][256]; /* [n][b]: byte b followed by n zero bytes */
static pthread_once_t once = PTHREAD_ONCE_INIT;

#if defined(__x86_64__)
#include <nmmintrin.h>

#define LONG_BLOCK 8192
#define SHORT_BLOCK 256

static uint32_t long_shift[4][256];
static uint32_t short_shift[4][256];
static int has_instruction;

/* Fills `shift` so that it moves a sum over `length` zero bytes, a multiple of 8. */
__attribute__((target("sse4.2"))) static void make_shift(uint32_t shift[4][256], size_t length)
{
    uint32_t bit[32]; /* what each single bit becomes */
    for (int n = 0; n < 32; n++) {
        uint32_t crc = (uint32_t)1 << n;
        for (size_t done = 0; done < length; done += 8) crc = (uint32_t)_mm_crc32_u64(crc, 0);
        bit[n] = crc;
    }
    for (int part = 0; part < 4; part++)
        for (uint32_t value = 0; value < 256; value++) {
            uint32_t sum = 0;
            for (int n = 0; n < 8; n++)
                if (value >> n & 1) sum ^= bit[part * 8 + n];
            shift[part][value] = sum;
        }
}

static inline uint32_t move(const uint32_t shift[4][256], uint32_t crc)
{
    return shift[0][crc & 0xff] ^ shift[1][crc >> 8 & 0xff] ^ shift[2][crc >> 16 & 0xff] ^ shift[3][crc >> 24];
}
#endif

static void make_tables(void)
{
    for (uint32_t value = 0; value < 256; value++) {
        uint32_t crc = value;
        for (int n = 0; n < 8; n++) crc = crc & 1 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
        byte_table[0][value] = crc;
    }
    for (uint32_t value = 0; value < 256; value++)
        for (int n = 1; n < 8; n++) {
            uint32_t crc = byte_table[n - 1][value];
            byte_table[n][value] = byte_table[0][crc & 0xff] ^ crc >> 8;
        }
#if defined(__x86_64__)
    __builtin_cpu_init();
    has_instruction = __builtin_cpu_supports("sse4.2") != 0;
    if (has_instruction) {
        make_shift(long_shift, LONG_BLOCK);
        make_shift(short_shift, SHORT_BLOCK);
    }
#endif
}

static inline uint32_t load32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

uint32_t ccodec_crc32c_portable(uint32_t crc, const void *bytes, size_t count)
{
    pthread_once(&once, make_tables);
    const uint8_t *at = bytes;
    crc = ~crc;
    for (; count >= 8; at += 8, count -= 8) {
        uint32_t low = crc ^ load32(at), high = load32(at + 4);
        crc = byte_table[7][low & 0xff] ^ byte_table[6][low >> 8 & 0xff] ^ byte_table[5][low >> 16 & 0xff]
            ^ byte_table[4][low >> 24] ^ byte_table[3][high & 0xff] ^ byte_table[2][high >> 8 & 0xff]
            ^ byte_table[1][high >> 16 & 0xff] ^ byte_table[0][high >> 24];
    }
    for (; count > 0; at++, count--) crc = byte_table[0][(crc ^ *at) & 0xff] ^ crc >> 8;
    return ~crc;
}

#if defined(__x86_64__)
static inline uint64_t load64(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* Sums 3 * `block` bytes from `at`. */
__attribute__((target("sse4.2"))) static inline uint64_t three_blocks(
    uint64_t first, const uint8_t *at, size_t block, const uint32_t shift[4][256])
{
    uint64_t second = 0, third = 0;
    const uint8_t *end = at + block;
    do {
        first = _mm_crc32_u64(first, load64(at));
        second = _mm_crc32_u64(second, load64(at + block));
        third = _mm_crc32_u64(third, load64(at + 2 * block));
        at += 8;
    } while (at < end);
    first = move(shift, (uint32_t)first) ^ second;
    return move(shift, (uint32_t)first) ^ third;
}

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t start, const uint8_t *at, size_t count)
{
    uint64_t crc = ~start;
    for (; count > 0 && ((uintptr_t)at & 7) != 0; at++, count--) crc = _mm_crc32_u8((uint32_t)crc, *at);
    for (; count >= 3 * LONG_BLOCK; at += 3 * LONG_BLOCK, count -= 3 * LONG_BLOCK)
        crc = three_blocks(crc, at, LONG_BLOCK, long_shift);
    for (; count >= 3 * SHORT_BLOCK; at += 3 * SHORT_BLOCK, count -= 3 * SHORT_BLOCK)
        crc = three_blocks(crc, at, SHORT_BLOCK, short_shift);
    for (; count >= 8; at += 8, count -= 8) crc = _mm_crc32_u64(crc, load64(at));
    for (; count > 0; at++, count--) crc = _mm_crc32_u8((uint32_t)crc, *at);
    return ~(uint32_t)crc;
}
#endif

uint32_t ccodec_crc32c(uint32_t crc, const void *bytes, size_t count)
{
#if defined(__x86_64__)
    pthread_once(&once, make_tables);
    if (has_instruction) return by_instruction(crc, bytes, count);
#endif
    return ccodec_crc32c_portable(crc, bytes, count);
}
