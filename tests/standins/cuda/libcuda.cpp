// libcuda.so.1 without a GPU: memory is the host's, and a launch runs engine/int4.cu itself, built by this compiler.
//
// STANDIN_CUDA names a fault: load (the code is refused), abort (the process dies at a launch), wrong (numbers differ).
// STANDIN_CAPABILITY is the card's, such as 8.9.
#include "cuda_fp16.h"
#include "int4.cu"

#include <cstdlib>
#include <string>

namespace {

bool fault(const char *name)
{
    const char *given = getenv("STANDIN_CUDA");
    return given && std::string(given) == name;
}

using Kernel = void (*)(const unsigned int *, const __half *, const __half *, const __half *, __half *, int, int, int);

struct Launch { Kernel kernel; void **given; };

void work(void *launch)
{
    auto [kernel, given] = *static_cast<Launch *>(launch);
    kernel(*(const unsigned int **)given[0], *(const __half **)given[1], *(const __half **)given[2],
           *(const __half **)given[3], *(__half **)given[4], *(int *)given[5], *(int *)given[6], *(int *)given[7]);
}

}  // namespace

extern "C" {

int cuInit(unsigned int) { return 0; }
int cuDriverGetVersion(int *version) { return *version = 12080, 0; }
int cuDeviceGet(int *device, int ordinal) { return *device = ordinal, ordinal ? 101 : 0; }
int cuDeviceGetName(char *name, int size, int) { return strncpy(name, "Stand-in", size), 0; }
int cuDeviceGetAttribute(int *value, int attribute, int)
{
    const char *given = getenv("STANDIN_CAPABILITY");
    const std::string capability = given ? given : "8.9";
    const size_t dot = capability.find('.');
    *value = stoi(attribute == 75 ? capability.substr(0, dot) : capability.substr(dot + 1));
    return 0;
}
int cuDevicePrimaryCtxRetain(void **context, int) { return *context = (void *)1, 0; }
int cuCtxSetCurrent(void *context) { return context == (void *)1 ? 0 : 201; }
int cuCtxSynchronize() { return 0; }
int cuGetErrorName(int, const char **name) { return *name = "CUDA_ERROR_OF_THE_STAND_IN", 0; }
int cuModuleLoadData(void **module, const void *image)
{
    *module = (void *)2;
    return fault("load") || memcmp(image, "\177ELF", 4) ? 209 : 0;
}
int cuModuleGetFunction(void **function, void *, const char *name)
{
    const std::string wanted = name;
    *function = wanted == "int4_rows_1" ? (void *)int4_rows_1 : wanted == "int4_rows_2" ? (void *)int4_rows_2
              : wanted == "int4_rows_4" ? (void *)int4_rows_4 : wanted == "int4_rows_8" ? (void *)int4_rows_8 : nullptr;
    return *function ? 0 : 500;
}
int cuMemAlloc_v2(void **pointer, size_t size) { return *pointer = aligned_alloc(256, (size + 255) / 256 * 256), 0; }
int cuMemFree_v2(void *pointer) { return free(pointer), 0; }
int cuMemcpyHtoD_v2(void *to, const void *from, size_t size) { return memcpy(to, from, size), 0; }
int cuMemcpyDtoH_v2(void *to, const void *from, size_t size) { return memcpy(to, from, size), 0; }
int cuLaunchKernel(void *function, unsigned int grid, unsigned int, unsigned int, unsigned int block, unsigned int,
                   unsigned int, unsigned int, void *, void **given, void **)
{
    if (fault("abort")) abort();
    Launch launch{(Kernel)function, given};
    blockDim.x = block;
    for (blockIdx.x = 0; blockIdx.x < grid; ++blockIdx.x)
        for (unsigned int first = 0; first < block; first += 32)
            warp().run(first, work, &launch);
    if (fault("wrong"))
        (*(__half **)given[4])->bits ^= 0x4000;
    return 0;
}

}
