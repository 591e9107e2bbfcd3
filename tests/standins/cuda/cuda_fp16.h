// What engine/int4.cu needs of CUDA, for a C++ compiler: found in place of NVIDIA's cuda_fp16.h.
//
// A lane is a fibre with a stack of its own. The 32 of a warp run one after another, and change at a shuffle.
#pragma once
#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)

using std::min;

struct uint4 { unsigned int x, y, z, w; };
struct float2 { float x, y; };
struct __half { uint16_t bits; };
struct __half2 { __half x, y; };
struct place { unsigned int x, y, z; };
inline place threadIdx, blockIdx, blockDim;

inline float __uint_as_float(unsigned int bits)
{
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

inline unsigned int __float_as_uint(float value)
{
    unsigned int bits;
    memcpy(&bits, &value, 4);
    return bits;
}

inline float half_to_float(uint16_t bits)
{
    const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
    const float size = exponent == 31 ? (mantissa ? NAN : INFINITY)
                       : exponent     ? std::ldexp(1024.0f + mantissa, exponent - 25)
                                      : std::ldexp((float)mantissa, -24);
    return bits >> 15 ? -size : size;
}

struct Halves {
    float value[65536];
    Halves() { for (int bits = 0; bits < 65536; ++bits) value[bits] = half_to_float((uint16_t)bits); }
};
inline const Halves halves;

inline float __half2float(__half half) { return halves.value[half.bits]; }
inline float2 __half22float2(__half2 pair) { return {__half2float(pair.x), __half2float(pair.y)}; }

// To the nearest, ties to even: the float's own rounding at the step of a half.
inline __half __float2half_rn(float value)
{
    const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
    const float size = std::fabs(value);
    if (std::isnan(value)) return {0x7fff};
    if (size >= 65520.0f) return {(uint16_t)(sign | 0x7c00)};
    const int exponent = std::max(size ? std::ilogb(size) : -14, -14);
    const int steps = (int)std::nearbyint(std::ldexp(size, 10 - exponent));
    return {(uint16_t)(sign | (steps < 1024 ? steps : ((exponent + 14) << 10) + steps))};
}

template <class Word> inline Word __ldg(const Word *at) { return *at; }

struct Warp {
    static constexpr int LANES = 32, STACK = 64 << 10;
    jmp_buf lane[LANES], outside;
    ucontext_t made[LANES], maker;
    alignas(16) char stack[LANES][STACK];
    float given[2][LANES];
    unsigned int shuffles[LANES];
    int current = -1;
    void (*work)(void *) = nullptr;
    void *arguments = nullptr;
    unsigned int first = 0;

    void to(int next)
    {
        current = next;
        threadIdx.x = first + next;
        _longjmp(lane[next], 1);
    }
    static void live(unsigned int low, unsigned int high)
    {
        auto *warp = reinterpret_cast<Warp *>((uintptr_t)high << 32 | low);
        const int own = warp->current;
        if (!_setjmp(warp->lane[own]))
            swapcontext(&warp->made[own], &warp->maker);
        for (;;) {
            warp->work(warp->arguments);
            if (!_setjmp(warp->lane[own])) {
                if (own + 1 < LANES) warp->to(own + 1);
                _longjmp(warp->outside, 1);
            }
        }
    }
    Warp()
    {
        const auto self = reinterpret_cast<uintptr_t>(this);
        for (current = 0; current < LANES; ++current) {
            getcontext(&made[current]);
            made[current].uc_stack.ss_sp = stack[current];
            made[current].uc_stack.ss_size = STACK;
            made[current].uc_link = nullptr;
            makecontext(&made[current], reinterpret_cast<void (*)()>(live), 2, (unsigned int)self, (unsigned int)(self >> 32));
            swapcontext(&maker, &made[current]);
        }
    }
    void run(unsigned int thread, void (*what)(void *), void *with)
    {
        first = thread, work = what, arguments = with;
        std::fill_n(shuffles, LANES, 0u);
        if (!_setjmp(outside)) to(0);
    }
    // Each lane leaves its value and lets the next go on; who comes round again finds those of all.
    float exchange(float value, int distance)
    {
        const int own = current;
        float *round = given[shuffles[own]++ % 2];
        round[own] = value;
        if (!_setjmp(lane[own])) to((own + 1) % LANES);
        return round[own ^ distance];
    }
};
inline Warp &warp()
{
    static Warp *one = new Warp;  // its lanes hold its address
    return *one;
}

inline float __shfl_xor_sync(unsigned int, float value, int distance) { return warp().exchange(value, distance); }
