/*
 * The product of a few rows of activations and int4 weights, from the packed bytes: nothing is unpacked to memory.
 *
 * weight: [out, half] bytes, the even column in the high nibble and the odd one in the low nibble, in two's complement.
 * A vector of bytes is taken as 32-bit lanes of eight nibbles. Each is shifted to the top and the rest masked away:
 * that is the nibble times 2^28, which is exact as an int32 and as a float.
 *
 * GNU C vectors: compiled for the very CPU that it runs on (-march=native), whatever its width; without AVX2 the
 * compiler takes what there is.
 */
#include <stdint.h>
#include <string.h>

#ifndef WIDTH
#ifdef __AVX512F__
#define WIDTH 64
#else
#define WIDTH 32
#endif
#endif

enum { LANES = WIDTH / 4, NIBBLES = 8, CHUNK = 64, AHEAD = 1024 };

typedef int32_t ints __attribute__((vector_size(WIDTH)));
typedef float floats __attribute__((vector_size(WIDTH)));

/* What all threads share. inputs: [rows, chunks of WIDTH bytes, NIBBLES, LANES], padded with zeros; result: [rows, out]. */
struct job {
    const uint8_t *weight;
    const float *scale, *inputs;
    float *result;
    long rows, out, half, next;
};

static inline __attribute__((always_inline)) void add(
    const int rows, const int sums, floats sum[][4], const uint8_t *bytes, long size, const float *inputs, long stride)
{
    ints packed = {0};
    memcpy(&packed, bytes, size);
#pragma GCC unroll 8
    for (int k = 0; k < NIBBLES; k++) {
        /* Byte k / 2 of each lane; its high nibble comes first. */
        const int up = 28 - 8 * (k / 2) - 4 * (1 - k % 2);
        floats weight = __builtin_convertvector((packed << up) & (int32_t)0xf0000000, floats);
#pragma GCC unroll 8
        for (int row = 0; row < rows; row++) {
            floats input;
            memcpy(&input, inputs + row * stride + k * LANES, WIDTH);
            sum[row][k % sums] += weight * input;
        }
    }
}

/* One row of weights. Several sums for a row of inputs hide the latency of one addition behind others. */
static inline __attribute__((always_inline)) void one(const int rows, const int sums, const struct job *job, long at)
{
    const uint8_t *bytes = job->weight + at * job->half;
    const long chunks = (job->half + WIDTH - 1) / WIDTH, rest = job->half % WIDTH, stride = chunks * WIDTH * 2;
    const float *inputs = job->inputs;
    floats sum[8][4] = {0};
    for (long chunk = 0; chunk < job->half / WIDTH; chunk++) {
        __builtin_prefetch(bytes + AHEAD);
        add(rows, sums, sum, bytes, WIDTH, inputs, stride);
        bytes += WIDTH, inputs += WIDTH * 2;
    }
    if (rest)
        add(rows, sums, sum, bytes, rest, inputs, stride);
    for (int row = 0; row < rows; row++) {
        float total = 0;
        for (int each = 1; each < sums; each++)
            sum[row][0] += sum[row][each];
        for (int lane = 0; lane < LANES; lane++)
            total += sum[row][0][lane];
        job->result[row * job->out + at] = total * 0x1p-28f * job->scale[at];
    }
}

/* A thread's work: rows of weights by chunks, until none is left. A thread that is held up is not waited for. */
static void work(void *data)
{
    struct job *job = data;
    long start;
    while ((start = __atomic_fetch_add(&job->next, CHUNK, __ATOMIC_RELAXED)) < job->out) {
        const long stop = start + CHUNK < job->out ? start + CHUNK : job->out;
#define CASE(rows, sums)                         \
    case rows:                                   \
        for (long at = start; at < stop; at++)   \
            one(rows, sums, job, at);            \
        break;
        switch (job->rows) {
            CASE(1, 4) CASE(2, 4) CASE(3, 2) CASE(4, 2) CASE(5, 1) CASE(6, 1) CASE(7, 1) CASE(8, 1)
        }
    }
}

int int4_lanes(void) { return LANES; }

/* parallel: GOMP_parallel of the OpenMP library that torch has loaded, so that these are torch's own threads; or null. */
void int4_product(const uint8_t *weight, const float *scale, const float *inputs, float *result, long rows, long out,
    long half, void (*parallel)(void (*)(void *), void *, unsigned, unsigned), unsigned threads)
{
    struct job job = {weight, scale, inputs, result, rows, out, half, 0};
    if (parallel && threads > 1)
        parallel(work, &job, threads, 0);
    else
        work(&job);
}
