// The product of fp16 activations and int4 weights for 1 to 8 rows: reads each weight once, sums in fp32.
//
//   output[r, o] = scale[o] * sum_i input[r, i] * nibble[o, i] + bias[o]        rounded to fp16 once
//
// Upstream's packing (see int4.py): a byte holds an even column in its high nibble and the next one in its low nibble,
// both in two's complement. `columns` is a multiple of 8, so that a 32-bit word holds eight weights of one row;
// `weight` is aligned to 4 bytes, `input` to 16. Compute capability 6.1 and up; no fp16 arithmetic, which 6.1 is slow in.
//
// A warp computes OUTPUTS numbers for each row of input. Its lanes read words that lie side by side, and add up at the
// end. int4_rows_N takes up to N rows. Launch: blocks of 128 threads, ceil(outputs / (4 * OUTPUTS)) of them.
#include <cuda_fp16.h>

// Bit `place` is the lowest of a nibble that was flipped from two's complement to 0..15 (value + 8). The nibble becomes
// part of the mantissa of a float whose unit is that bit; less 8 and the float's leading one, that is exact.
__device__ __forceinline__ float value(unsigned int word, int place)
{
    if (place > 16) {  // the exponent is there
        word >>= 12;
        place -= 12;
    }
    const unsigned int exponent = (150u - place) << 23;
    return __uint_as_float((word & (15u << place)) | exponent) - (float)((1 << (23 - place)) + 8);
}

__device__ __forceinline__ void widen(const __half *from, float *into)
{
    const uint4 bits = *reinterpret_cast<const uint4 *>(from);
    const __half2 *pairs = reinterpret_cast<const __half2 *>(&bits);
#pragma unroll
    for (int pair = 0; pair < 4; ++pair) {
        const float2 two = __half22float2(pairs[pair]);
        into[2 * pair] = two.x;
        into[2 * pair + 1] = two.y;
    }
}

template <int ROWS, int OUTPUTS>
__device__ __forceinline__ void product(const unsigned int *weight, const __half *scale, const __half *bias,
                                        const __half *input, __half *output, int columns, int outputs, int rows)
{
    const int lane = threadIdx.x % 32;
    const int first = (blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32) * OUTPUTS;
    if (first >= outputs)
        return;
    const int words = columns / 8;
    const unsigned int *row[OUTPUTS];
    float sum[ROWS][OUTPUTS];
#pragma unroll
    for (int o = 0; o < OUTPUTS; ++o) {
        row[o] = weight + (size_t)min(first + o, outputs - 1) * words;  // past the end the last one, not stored
#pragma unroll
        for (int r = 0; r < ROWS; ++r)
            sum[r][o] = 0.0f;
    }
#pragma unroll(ROWS == 1 ? 4 : 1)
    for (int word = lane; word < words; word += 32) {
        float values[OUTPUTS][8];
#pragma unroll
        for (int o = 0; o < OUTPUTS; ++o) {
            const unsigned int packed = __ldg(row[o] + word) ^ 0x88888888u;
#pragma unroll
            for (int column = 0; column < 8; ++column)
                values[o][column] = value(packed, 8 * (column / 2) + 4 * (1 - column % 2));
        }
#pragma unroll
        for (int r = 0; r < ROWS; ++r) {
            float given[8];
            widen(input + (size_t)min(r, rows - 1) * columns + 8 * word, given);
#pragma unroll
            for (int o = 0; o < OUTPUTS; ++o)
#pragma unroll
                for (int column = 0; column < 8; ++column)
                    sum[r][o] = fmaf(given[column], values[o][column], sum[r][o]);
        }
    }
#pragma unroll
    for (int o = 0; o < OUTPUTS; ++o) {
        const int number = min(first + o, outputs - 1);
        const float factor = __half2float(scale[number]);
        const float added = bias ? __half2float(bias[number]) : 0.0f;
#pragma unroll
        for (int r = 0; r < ROWS; ++r) {
            float total = sum[r][o];
#pragma unroll
            for (int distance = 16; distance > 0; distance /= 2)
                total += __shfl_xor_sync(0xffffffffu, total, distance);
            if (lane == 0 && first + o < outputs && r < rows)
                output[(size_t)r * outputs + number] = __float2half_rn(fmaf(total, factor, added));
        }
    }
}

#define KERNEL(ROWS, OUTPUTS)                                                                                         \
    extern "C" __global__ void __launch_bounds__(128) int4_rows_##ROWS(                                               \
        const unsigned int *__restrict__ weight, const __half *__restrict__ scale, const __half *__restrict__ bias,   \
        const __half *__restrict__ input, __half *__restrict__ output, int columns, int outputs, int rows)            \
    {                                                                                                                 \
        product<ROWS, OUTPUTS>(weight, scale, bias, input, output, columns, outputs, rows);                           \
    }

KERNEL(1, 2)
KERNEL(2, 4)
KERNEL(4, 4)
KERNEL(8, 4)
