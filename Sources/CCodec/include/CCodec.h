#pragma once

#include <stddef.h>
#include <stdint.h>

/* crc32c (Castagnoli, reflected polynomial 0x82f63b78) of `count` bytes, going on from `crc`: 0 at
 * the start, else the result for the bytes before. Of "123456789" it is 0xe3069283.
 * Uses the processor's instruction where it has one. Safe from any thread. */
uint32_t ccodec_crc32c(uint32_t crc, const void *bytes, size_t count);

/* The same by tables, on any processor: what the tests compare with. */
uint32_t ccodec_crc32c_portable(uint32_t crc, const void *bytes, size_t count);
