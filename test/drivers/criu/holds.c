/*
 * A program that holds, in a container, what no test of memory and connections sees. `holds DIRECTORY [GONE]`: locks of each
 * kind on files of the directory, a region that is to be empty in its children (MADV_WIPEONFORK), and, where GONE is given, a
 * working directory of that path that is deleted. Each 100 ms it writes into /held what a child of it finds of that.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define REGION (1 << 20)
#define MUST(call) do { if ((call) < 0) { perror(#call); exit(1); } } while (0)

static unsigned char *region;
static char path[4096];

static const char *in(const char *directory, const char *name) {
  snprintf(path, sizeof path, "%s/%s", directory, name);
  return path;
}

static int filled(unsigned char with) {
  for (int at = 0; at < REGION; at++) if (region[at] != with) return 0;
  return 1;
}

static struct flock whole(short type) {
  struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
  return lock;
}

/* In a child: it inherits no lock of a process, and opens each file anew. */
static void look(const char *directory, long turn) {
  int flocked = open(in(directory, "flock"), O_RDWR);
  int posix = open(in(directory, "posix"), O_RDWR);
  int ofd = open(in(directory, "ofd"), O_RDWR);
  struct flock asked = whole(F_WRLCK), description = whole(F_WRLCK);
  MUST(fcntl(posix, F_GETLK, &asked));
  MUST(fcntl(ofd, F_OFD_GETLK, &description));
  char where[4096];
  ssize_t length = readlink("/proc/self/cwd", where, sizeof where - 1);
  where[length < 0 ? 0 : length] = 0;
  FILE *out = fopen("/held.new", "w");
  if (out == NULL) exit(1);
  fprintf(out, "turn=%ld flock=%s posix=%s ofd=%s child=%s cwd=%s\n", turn,
    flock(flocked, LOCK_EX | LOCK_NB) < 0 ? "held" : "lost",
    asked.l_type == F_UNLCK ? "lost" : asked.l_pid == getppid() ? "held" : "another's",
    description.l_type == F_UNLCK ? "lost" : "held", filled(0) ? "empty" : "kept", where);
  fclose(out);
  MUST(rename("/held.new", "/held"));
  exit(0);
}

int main(int count, char **words) {
  if (count < 2) return 2;
  /* Who begins it in a container may have handed it streams of the host. */
  int null = open("/dev/null", O_RDWR);
  for (int each = 0; each < 3; each++) dup2(null, each);
  if (null > 2) close(null);
  int flocked = open(in(words[1], "flock"), O_RDWR | O_CREAT, 0600);
  int posix = open(in(words[1], "posix"), O_RDWR | O_CREAT, 0600);
  int ofd = open(in(words[1], "ofd"), O_RDWR | O_CREAT, 0600);
  struct flock own = whole(F_WRLCK), description = whole(F_WRLCK);
  MUST(flock(flocked, LOCK_EX | LOCK_NB));
  MUST(fcntl(posix, F_SETLK, &own));
  MUST(fcntl(ofd, F_OFD_SETLK, &description));
  region = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (region == MAP_FAILED) return 1;
  memset(region, 7, REGION);
  MUST(madvise(region, REGION, MADV_WIPEONFORK));
  if (count > 2) {
    MUST(mkdir(words[2], 0700));
    MUST(chdir(words[2]));
    MUST(rmdir(words[2]));
  }
  for (long turn = 1;; turn++) {
    if (!filled(7)) return 3;
    pid_t child = fork();
    if (child == 0) look(words[1], turn);
    int status = 0;
    MUST(waitpid(child, &status, 0));
    if (status != 0) return 4;
    usleep(100000);
  }
}
