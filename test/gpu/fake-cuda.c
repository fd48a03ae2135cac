/*
 * A stand-in for the driver's library: one GPU's worth of calls, whose processes are files in a directory that all of them
 * see. Each file has a process's state and the bytes it has on the GPU. Memory is the process's own; a process that is not
 * `running` waits in every call, as a locked one does.
 *
 *   FAKE_CUDA       the directory
 *   FAKE_CUDA_GPUS  how many GPUs there are (1)
 *   FAKE_CUDA_FILE  what a process that works on a GPU has open, as /dev/nvidia0 of the real driver: closed by a thread of its
 *                   own when its state is taken away, and opened again when that is given back. So a process that is frozen
 *                   or stopped answers neither
 *   FAKE_CUDA_IN    the directory within the root of a process that is asked about, which it calls by its own number: of
 *                   one in a container
 *   FAKE_CUDA_COPY_MS  how much longer the caller waits for a state to be taken away, or given back
 *
 * Files in the directory change what it answers: `uvm` (no checkpoint can be made of it), `broken-restore` (the driver gives
 * up on the process), `mute` (it does not say in which state a process is).
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>

enum { OK = 0, INVALID = 1, MEMORY = 2, NO_DEVICE = 100, ILLEGAL = 401, NOT_READY = 600, UNSUPPORTED = 801, UNKNOWN = 999 };
enum { RUNNING = 0, LOCKED = 1, CHECKPOINTED = 2, FAILED = 3, TAKING = 10, GIVING = 11 };
#define TOTAL (64ULL << 30)

struct process { int state; unsigned long long used; double busy_until; };

static double now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void place(char *to, size_t size, const char *name) {
  const char *dir = getenv("FAKE_CUDA");
  snprintf(to, size, "%s/%s", dir == NULL ? "." : dir, name);
}

static int is_there(const char *name) {
  char file[4096];
  place(file, sizeof file, name);
  return access(file, F_OK) == 0;
}

/* The number that a process has in its own namespace. */
static int own_number(int pid) {
  char file[64], line[256];
  int number = pid;
  snprintf(file, sizeof file, "/proc/%d/status", pid);
  FILE *in = fopen(file, "r");
  if (in == NULL) return pid;
  while (fgets(line, sizeof line, in) != NULL)
    if (strncmp(line, "NSpid:", 6) == 0) number = atoi(strrchr(line, '\t') + 1);
  fclose(in);
  return number;
}

static void place_of(int pid, char *to, size_t size) {
  char name[32];
  const char *within = getenv("FAKE_CUDA_IN");
  if (within != NULL && pid != getpid()) {
    snprintf(to, size, "/proc/%d/root%s/%d", pid, within, own_number(pid));
    return;
  }
  snprintf(name, sizeof name, "%d", pid);
  place(to, size, name);
}

static int load(int pid, struct process *into) {
  char file[4096];
  place_of(pid, file, sizeof file);
  for (int tries = 0; tries < 100; tries++) {
    FILE *in = fopen(file, "r");
    if (in == NULL) return 0;
    int read = fscanf(in, "%d %llu %lf", &into->state, &into->used, &into->busy_until);
    fclose(in);
    if (read == 3) return kill(pid, 0) == 0;
    usleep(1000);
  }
  return 0;
}

static void save(int pid, const struct process *from) {
  char file[4096], next[4200];
  place_of(pid, file, sizeof file);
  snprintf(next, sizeof next, "%s.new", file);
  FILE *out = fopen(next, "w");
  if (out == NULL) return;
  fprintf(out, "%d %llu %f\n", from->state, from->used, from->busy_until);
  fclose(out);
  rename(next, file);
}

/* This process, once it may go on. */
static struct process self(void) {
  struct process me = {RUNNING, 0, 0};
  while (load(getpid(), &me) && me.state != RUNNING) usleep(2000);
  return me;
}

static int gpus(void) {
  const char *count = getenv("FAKE_CUDA_GPUS");
  return count == NULL ? 1 : atoi(count);
}

int cuInit(unsigned flags) { return flags == 0 && gpus() > 0 ? OK : NO_DEVICE; }
int cuDriverGetVersion(int *out) { *out = 13000; return OK; }
int cuDeviceGetCount(int *out) { *out = gpus(); return OK; }
int cuDeviceGetName(char *out, int size, int device) { snprintf(out, (size_t)size, "Fake GPU %d", device); return OK; }
int cuDeviceGetUuid_v2(unsigned char *out, int device) { memset(out, 0xa0 + device, 16); return OK; }
int cuDeviceTotalMem_v2(size_t *out, int device) { (void)device; *out = TOTAL; return OK; }

/* The driver's own thread in a process that works on a GPU. */
static void *attend(void *unused) {
  const char *name = getenv("FAKE_CUDA_FILE");
  int file = open(name, O_RDWR | O_CREAT, 0666);
  (void)unused;
  for (;;) {
    struct process me = {RUNNING, 0, 0};
    load(getpid(), &me);
    if (me.state == TAKING) {
      close(file);
      me.state = CHECKPOINTED;
      save(getpid(), &me);
    } else if (me.state == GIVING) {
      file = open(name, O_RDWR | O_CREAT, 0666);
      me.state = LOCKED;
      save(getpid(), &me);
    }
    usleep(2000);
  }
  return NULL;
}

int cuDevicePrimaryCtxRetain(uintptr_t *out, int device) {
  struct process me = {RUNNING, 0, 0};
  save(getpid(), &me);
  pthread_t thread;
  if (getenv("FAKE_CUDA_FILE") != NULL && pthread_create(&thread, NULL, attend, NULL) != 0) return MEMORY;
  *out = (uintptr_t)device + 1;
  return OK;
}
int cuCtxSetCurrent(uintptr_t context) { return context == 0 ? INVALID : OK; }

static unsigned long long used(void) {
  unsigned long long sum = 0;
  const char *dir = getenv("FAKE_CUDA");
  DIR *list = opendir(dir == NULL ? "." : dir);
  if (list == NULL) return 0;
  for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
    struct process each;
    int pid = atoi(entry->d_name);
    if (pid > 0 && strchr(entry->d_name, '.') == NULL && load(pid, &each) && each.state != CHECKPOINTED) sum += each.used;
  }
  closedir(list);
  return sum;
}

int cuMemGetInfo_v2(size_t *rest, size_t *total) { *total = TOTAL; *rest = TOTAL - used(); return OK; }

int cuMemAlloc_v2(uint64_t *out, size_t bytes) {
  struct process me = self();
  void *at = malloc(bytes);
  if (at == NULL) return MEMORY;
  me.used += bytes;
  save(getpid(), &me);
  *out = (uint64_t)(uintptr_t)at;
  return OK;
}
int cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t bytes) { self(); memcpy((void *)(uintptr_t)to, from, bytes); return OK; }
int cuMemcpyDtoH_v2(void *to, uint64_t from, size_t bytes) { self(); memcpy(to, (void *)(uintptr_t)from, bytes); return OK; }

/* Each one takes a millisecond, after those before it; only every so many of them is written down. */
int cuMemsetD8Async(uint64_t to, unsigned char value, size_t bytes, uintptr_t stream) {
  static unsigned asked = 0;
  (void)to; (void)value; (void)bytes; (void)stream;
  if (asked++ % 500 != 0) return OK;
  struct process me = self();
  double from = now();
  me.busy_until = (me.busy_until > from ? me.busy_until : from) + 500 * 0.001;
  save(getpid(), &me);
  return OK;
}
int cuCtxSynchronize(void) {
  struct process me = self();
  while (now() < me.busy_until) usleep(1000);
  return OK;
}

int cuCheckpointProcessGetState(int pid, int *out) {
  struct process it;
  if (is_there("mute")) return UNKNOWN;
  if (!load(pid, &it)) return INVALID;
  *out = it.state;
  return OK;
}

int cuCheckpointProcessLock(int pid, const uint32_t *args) {
  struct process it;
  if (!load(pid, &it)) return INVALID;
  if (it.state != RUNNING) return ILLEGAL;
  double until = now() + args[0] / 1000.0;
  while (now() < it.busy_until) {
    if (args[0] != 0 && now() > until) return NOT_READY;
    usleep(1000);
  }
  it.state = LOCKED;
  save(pid, &it);
  return OK;
}

static int to(int pid, int from, int state) {
  struct process it;
  if (!load(pid, &it)) return INVALID;
  if (it.state != from) return ILLEGAL;
  it.state = state;
  save(pid, &it);
  return OK;
}

/* By the process's own thread, where it has one: it is waited for as long as it takes. */
static int through(int pid, int from, int asked, int state) {
  struct process it;
  const char *slow = getenv("FAKE_CUDA_COPY_MS");
  if (getenv("FAKE_CUDA_IN") == NULL) return to(pid, from, state);
  int result = to(pid, from, asked);
  if (slow != NULL) usleep((useconds_t)atoi(slow) * 1000);
  while (result == OK && load(pid, &it) && it.state == asked) usleep(1000);
  return result;
}

int cuCheckpointProcessCheckpoint(int pid, const void *args) {
  (void)args;
  return is_there("uvm") ? UNSUPPORTED : through(pid, LOCKED, TAKING, CHECKPOINTED);
}

struct restore { const unsigned char *pairs; unsigned count; };

int cuCheckpointProcessRestore(int pid, const struct restore *args) {
  if (args != NULL && args->count > 0) {
    if ((int)args->count != gpus()) return INVALID;
    for (unsigned pair = 0; pair < args->count; pair++) {
      const unsigned char *next = args->pairs + pair * 32 + 16;
      if (next[0] < 0xa0 || next[0] >= 0xa0 + gpus() || next[15] != next[0]) return INVALID;
    }
  }
  if (is_there("broken-restore")) { to(pid, CHECKPOINTED, FAILED); return UNSUPPORTED; }
  return through(pid, CHECKPOINTED, GIVING, LOCKED);
}

int cuCheckpointProcessUnlock(int pid, const void *args) { (void)args; return to(pid, LOCKED, RUNNING); }
