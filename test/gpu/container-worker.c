/*
 * A program that works on a GPU in a container, by the driver's library alone: fills so many MiB, and then says turn after
 * turn in its log what the sum of all of it is, and when that was (ms of the wall clock). `container-worker MIB LOG`
 *
 * Beside that a thread that knows nothing of the GPU counts lines on port 7001, one count for each connection, as the lab's
 * containers do. After SIGUSR1 it keeps its GPU at work for 60 s, which is longer than a lock waits.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PORT 7001
#define BUSY_S 60
#define MIB (1ULL << 20)
#define CHECK(call) do { int result = (call); if (result != 0) { printf("%s: %d\n", #call, result); return 1; } } while (0)

typedef int (*init_call)(unsigned);
typedef int (*retain_call)(void **, int);
typedef int (*current_call)(void *);
typedef int (*alloc_call)(uint64_t *, size_t);
typedef int (*write_call)(uint64_t, const void *, size_t);
typedef int (*read_call)(void *, uint64_t, size_t);
typedef int (*set_call)(uint64_t, unsigned char, size_t, uintptr_t);
typedef int (*module_call)(void **, const void *);
typedef int (*function_call)(void **, void *, const char *);
typedef int (*launch_call)(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **);

static uint64_t part[MIB / 8];
static volatile sig_atomic_t wants_busy;

static const char SPIN[] =
  ".version 7.0\n.target sm_70\n.address_size 64\n"
  ".visible .entry spin(.param .u64 ns) {\n"
  ".reg .u64 %a<4>;\n.reg .pred %p;\n"
  "ld.param.u64 %a0, [ns];\nmov.u64 %a1, %globaltimer;\n"
  "again:\nmov.u64 %a2, %globaltimer;\nsub.u64 %a3, %a2, %a1;\n"
  "setp.lt.u64 %p, %a3, %a0;\n@%p bra again;\nret;\n}\n";

static void ask_busy(int number) { (void)number; wants_busy = 1; }

/* Returns before it is done. The stand-in for the driver runs no programs: each of its writes takes a millisecond. */
static int keep_busy(void *library, uint64_t at) {
  module_call load = (module_call)dlsym(library, "cuModuleLoadData");
  set_call set = (set_call)dlsym(library, "cuMemsetD8Async");
  if (load == NULL) {
    for (int each = 0; each < BUSY_S * 1000; each++) CHECK(set(at, 0, 0, 0));
    return 0;
  }
  void *module, *spin;
  uint64_t ns = BUSY_S * 1000000000ULL;
  void *words[] = {&ns};
  CHECK(load(&module, SPIN));
  CHECK(((function_call)dlsym(library, "cuModuleGetFunction"))(&spin, module, "spin"));
  CHECK(((launch_call)dlsym(library, "cuLaunchKernel"))(spin, 1, 1, 1, 1, 1, 1, 0, NULL, words, NULL));
  return 0;
}

/* `COUNT LINE` for each line. */
static void *count_lines(void *given) {
  int at = (int)(intptr_t)given;
  char line[4096];
  FILE *in = fdopen(at, "r"), *out = fdopen(dup(at), "w");
  for (unsigned long count = 1; in != NULL && out != NULL && fgets(line, sizeof line, in) != NULL; count++) {
    fprintf(out, "%lu %s", count, line);
    if (fflush(out) != 0) break;
  }
  if (in != NULL) fclose(in);
  if (out != NULL) fclose(out);
  return NULL;
}

static void *serve(void *unused) {
  (void)unused;
  int on = 1, at = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(PORT)};
  setsockopt(at, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(at, (struct sockaddr *)&any, sizeof any) != 0 || listen(at, 16) != 0) return NULL;
  for (;;) {
    pthread_t thread;
    int with = accept(at, NULL, NULL);
    if (with >= 0 && pthread_create(&thread, NULL, count_lines, (void *)(intptr_t)with) == 0) pthread_detach(thread);
  }
}

static unsigned long long now_ms(void) {
  struct timespec at;
  clock_gettime(CLOCK_REALTIME, &at);
  return (unsigned long long)at.tv_sec * 1000 + (unsigned long long)at.tv_nsec / 1000000;
}

int main(int count, char **words) {
  if (count != 3) return 2;
  size_t mib = strtoul(words[1], NULL, 10);
  /* Files of the container: those that it was started with are the host's. */
  if (freopen("/dev/null", "r", stdin) == NULL || freopen(words[2], "a", stdout) == NULL) return 2;
  dup2(1, 2);
  setvbuf(stdout, NULL, _IOLBF, 0);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGUSR1, ask_busy);
  pthread_t server;
  if (pthread_create(&server, NULL, serve, NULL) != 0) return 2;
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
    if (wants_busy) {
      wants_busy = 0;
      if (keep_busy(library, at) != 0) return 1;
    }
    for (size_t index = 0; index < mib; index++) {
      CHECK(get(part, at + index * MIB, MIB));
      for (size_t word = 0; word < MIB / 8; word++) sum = sum * 1099511628211ULL + part[word];
    }
    printf("%u %016llx %llu\n", turn, (unsigned long long)sum, now_ms());
    usleep(50000);
  }
}
