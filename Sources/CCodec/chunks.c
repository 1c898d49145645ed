/* Page chunks of an image: compressed with several threads, decompressed into a place of known size. */
#define _GNU_SOURCE
#include <lz4.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "CCodec.h"

enum { MOST_THREADS = 4 };

/* What one thread has for itself. */
struct worker {
    struct ccodec_encoder *encoder;
    ZSTD_CCtx *zstd;
    uint8_t *scratch; /* pages of a chunk, those that are left out taken away */
};

struct ccodec_encoder {
    int codec, level, threads;
    struct worker workers[MOST_THREADS];
    /* The call that is going on. */
    const uint8_t *pages;
    size_t page_count;
    const uint64_t *left_out;
    uint8_t *out;
    struct ccodec_chunk *chunks;
    atomic_size_t next;
};

static int thread_count(void)
{
    cpu_set_t processors;
    int count = sched_getaffinity(0, sizeof processors, &processors) == 0 ? CPU_COUNT(&processors) : 1;
    return count < 1 ? 1 : count > MOST_THREADS ? MOST_THREADS : count;
}

struct ccodec_encoder *ccodec_encoder_create(int codec, int level)
{
    struct ccodec_encoder *encoder = calloc(1, sizeof *encoder);
    if (!encoder) return NULL;
    encoder->codec = codec;
    encoder->level = level;
    encoder->threads = thread_count();
    for (int i = 0; i < encoder->threads; i++) {
        struct worker *worker = &encoder->workers[i];
        worker->encoder = encoder;
        worker->scratch = malloc(CCODEC_CHUNK);
        if (codec == CCODEC_ZSTD) worker->zstd = ZSTD_createCCtx();
        if (!worker->scratch || (codec == CCODEC_ZSTD && !worker->zstd)) {
            ccodec_encoder_free(encoder);
            return NULL;
        }
    }
    return encoder;
}

void ccodec_encoder_free(struct ccodec_encoder *encoder)
{
    for (int i = 0; i < encoder->threads; i++) {
        free(encoder->workers[i].scratch);
        ZSTD_freeCCtx(encoder->workers[i].zstd);
    }
    free(encoder);
}

/* Bytes that it got, 0: it would not have got shorter. */
static size_t compressed(struct worker *worker, const uint8_t *from, size_t count, uint8_t *to)
{
    size_t length;
    switch (worker->encoder->codec) {
    case CCODEC_ZSTD:
        length = ZSTD_compressCCtx(worker->zstd, to, count - 1, from, count, worker->encoder->level);
        return ZSTD_isError(length) ? 0 : length;
    case CCODEC_LZ4: return (size_t)LZ4_compress_default((const char *)from, (char *)to, (int)count, (int)count - 1);
    default: return 0;
    }
}

static void make_chunk(struct worker *worker, size_t number)
{
    struct ccodec_encoder *encoder = worker->encoder;
    size_t first = number * CCODEC_CHUNK_PAGES, pages = encoder->page_count - first;
    if (pages > CCODEC_CHUNK_PAGES) pages = CCODEC_CHUNK_PAGES;
    const uint8_t *from = encoder->pages + first * CCODEC_PAGE;
    uint8_t *to = encoder->out + number * CCODEC_CHUNK;
    size_t count = pages * CCODEC_PAGE;
    uint64_t left_out = encoder->left_out[number];
    if (left_out) {
        count = 0;
        for (size_t page = 0; page < pages; page++) {
            if (left_out >> page & 1) continue;
            memcpy(worker->scratch + count, from + page * CCODEC_PAGE, CCODEC_PAGE);
            count += CCODEC_PAGE;
        }
        from = worker->scratch;
    }
    size_t length = count > 0 ? compressed(worker, from, count, to) : 0;
    if (length == 0) memcpy(to, from, count);
    encoder->chunks[number] = (struct ccodec_chunk){
        .codec = length == 0 ? CCODEC_PLAIN : (uint32_t)encoder->codec,
        .length = (uint32_t)(length == 0 ? count : length),
    };
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct ccodec_encoder *encoder = worker->encoder;
    size_t count = (encoder->page_count + CCODEC_CHUNK_PAGES - 1) / CCODEC_CHUNK_PAGES, number;
    while ((number = atomic_fetch_add(&encoder->next, 1)) < count) make_chunk(worker, number);
    return NULL;
}

void ccodec_encode(struct ccodec_encoder *encoder, const void *pages, size_t page_count, const uint64_t *left_out,
                   void *out, struct ccodec_chunk *chunks)
{
    encoder->pages = pages;
    encoder->page_count = page_count;
    encoder->left_out = left_out;
    encoder->out = out;
    encoder->chunks = chunks;
    atomic_store(&encoder->next, 0);
    /* No thread is made for what one of them does in less time than the other needs to start. */
    int others = 0;
    pthread_t threads[MOST_THREADS];
    if (encoder->codec != CCODEC_PLAIN && page_count > CCODEC_CHUNK_PAGES) {
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        /* Where no thread can be made, this one does everything. */
        while (others + 1 < encoder->threads && pthread_create(&threads[others], NULL, work, &encoder->workers[others + 1]) == 0)
            others++;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    work(&encoder->workers[0]);
    for (int i = 0; i < others; i++) pthread_join(threads[i], NULL);
}

int ccodec_decode(int codec, const void *from, size_t count, void *to, size_t length)
{
    switch (codec) {
    case CCODEC_PLAIN:
        if (count != length) return 0;
        memcpy(to, from, length);
        return 1;
    case CCODEC_ZSTD: return ZSTD_decompress(to, length, from, count) == length;
    case CCODEC_LZ4:
        if (count > CCODEC_CHUNK || length > CCODEC_CHUNK) return 0;
        return LZ4_decompress_safe(from, to, (int)count, (int)length) == (int)length;
    default: return 0;
    }
}

uint64_t ccodec_same_pages(const void *one, const void *other, size_t page_count)
{
    uint64_t same = 0;
    for (size_t page = 0; page < page_count && page < CCODEC_CHUNK_PAGES; page++) {
        size_t at = page * CCODEC_PAGE;
        if (memcmp((const uint8_t *)one + at, (const uint8_t *)other + at, CCODEC_PAGE) == 0) same |= (uint64_t)1 << page;
    }
    return same;
}
