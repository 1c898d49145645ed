#pragma once

#include <stddef.h>
#include <stdint.h>

/* crc32c (Castagnoli, reflected polynomial 0x82f63b78) of `count` bytes, going on from `crc`: 0 at
 * the start, else the result for the bytes before. Of "123456789" it is 0xe3069283.
 * Uses the processor's instruction where it has one. Safe from any thread. */
uint32_t ccodec_crc32c(uint32_t crc, const void *bytes, size_t count);

/* The same by tables, on any processor: what the tests compare with. */
uint32_t ccodec_crc32c_portable(uint32_t crc, const void *bytes, size_t count);

/* How the bytes of a page chunk are kept: the numbers of the image format. */
enum { CCODEC_PLAIN = 0, CCODEC_ZSTD = 1, CCODEC_LZ4 = 2 };

/* Bytes of a page, and pages of a whole chunk: one bit of a word each. */
enum { CCODEC_PAGE = 4096, CCODEC_CHUNK_PAGES = 64, CCODEC_CHUNK = CCODEC_PAGE * CCODEC_CHUNK_PAGES };

/* What has become of a chunk: its codec and how many bytes it has. */
struct ccodec_chunk {
    uint32_t codec;
    uint32_t length;
};

/* Compresses chunks with several threads, which live during a call only. */
struct ccodec_encoder;

/* `level` is that of zstd. With CCODEC_PLAIN it only moves pages together. There are as many threads as this process may use
 * processors, up to four. Null: there is no memory for it. */
struct ccodec_encoder *ccodec_encoder_create(int codec, int level);
void ccodec_encoder_free(struct ccodec_encoder *encoder);

/* Makes chunks of `page_count` pages, the last one of what is left. Bit i of `left_out[c]` leaves page i of chunk c out.
 * Chunk c goes to `out + c * CCODEC_CHUNK`, where there is room for a whole one, and `chunks[c]` tells what it is: a chunk
 * that would not get shorter is kept as it is. Signals are never delivered to the threads. */
void ccodec_encode(struct ccodec_encoder *encoder, const void *pages, size_t page_count, const uint64_t *left_out,
                   void *out, struct ccodec_chunk *chunks);

/* 1 if the `count` bytes give exactly `length` bytes, which are at `to` then; else 0. Never writes beyond them, and takes no
 * more memory than them and what the codec has of a fixed size. */
int ccodec_decode(int codec, const void *from, size_t count, void *to, size_t length);

/* Bit i: page i (below 64) is the same in both. */
uint64_t ccodec_same_pages(const void *one, const void *other, size_t page_count);
