/*
 * A program that works on a GPU in a container, by the driver's library alone: fills so many MiB, and then says turn after
 * turn in its log what the sum of all of it is. `container-worker MIB LOG`
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MIB (1ULL << 20)
#define CHECK(call) do { int result = (call); if (result != 0) { printf("%s: %d\n", #call, result); return 1; } } while (0)

typedef int (*init_call)(unsigned);
typedef int (*retain_call)(void **, int);
typedef int (*current_call)(void *);
typedef int (*alloc_call)(uint64_t *, size_t);
typedef int (*write_call)(uint64_t, const void *, size_t);
typedef int (*read_call)(void *, uint64_t, size_t);

static uint64_t part[MIB / 8];

int main(int count, char **words) {
  if (count != 3) return 2;
  size_t mib = strtoul(words[1], NULL, 10);
  /* Files of the container: those that it was started with are the host's. */
  if (freopen("/dev/null", "r", stdin) == NULL || freopen(words[2], "a", stdout) == NULL) return 2;
  dup2(1, 2);
  setvbuf(stdout, NULL, _IOLBF, 0);
  void *library = dlopen("libcuda.so.1", RTLD_NOW);
  if (library == NULL) { printf("%s\n", dlerror()); return 1; }
  init_call init = (init_call)dlsym(library, "cuInit");
  retain_call retain = (retain_call)dlsym(library, "cuDevicePrimaryCtxRetain");
  current_call current = (current_call)dlsym(library, "cuCtxSetCurrent");
  alloc_call alloc = (alloc_call)dlsym(library, "cuMemAlloc_v2");
  write_call put = (write_call)dlsym(library, "cuMemcpyHtoD_v2");
  read_call get = (read_call)dlsym(library, "cuMemcpyDtoH_v2");
  void *context;
  uint64_t at, state = 88172645463325252ULL;
  CHECK(init(0));
  CHECK(retain(&context, 0));
  CHECK(current(context));
  CHECK(alloc(&at, mib * MIB));
  for (size_t index = 0; index < mib; index++) {
    for (size_t word = 0; word < MIB / 8; word++) {
      state ^= state << 13; state ^= state >> 7; state ^= state << 17;
      part[word] = state;
    }
    CHECK(put(at + index * MIB, part, MIB));
  }
  for (unsigned turn = 1;; turn++) {
    uint64_t sum = 0;
    for (size_t index = 0; index < mib; index++) {
      CHECK(get(part, at + index * MIB, MIB));
      for (size_t word = 0; word < MIB / 8; word++) sum = sum * 1099511628211ULL + part[word];
    }
    printf("%u %016llx\n", turn, (unsigned long long)sum);
    usleep(50000);
  }
}
