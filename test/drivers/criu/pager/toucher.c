/*
 * A process whose memory comes later, as one that CRIU has restored: it gives its userfaultfd to lazy-pages.socket in its
 * working directory, and then does to its memory what its standard input says, one line each, and answers with one line.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096UL
#define BASE 0x10000000000UL
#define MOST 1024

static volatile unsigned char *pages[MOST];

static void must(int fine, const char *what) {
  if (fine)
    return;
  perror(what);
  exit(1);
}

static void give(int to, int fd) {
  char byte = 0;
  struct iovec part = {&byte, 1};
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control;
  struct msghdr message = {0};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(head), &fd, sizeof fd);
  must(sendmsg(to, &message, 0) == 1, "sendmsg");
}

static void answer(unsigned long page) {
  unsigned char first = pages[page][0];
  unsigned long other = 0;
  for (unsigned long at = 1; at < PAGE; at++)
    other += pages[page][at] != first;
  printf("%u %lu\n", first, other);
  fflush(stdout);
}

int main(int count, char **words) {
  must(count == 2, "the number of pages");
  unsigned long number = strtoul(words[1], NULL, 10);
  must(number > 0 && number <= MOST, "the number of pages");
  void *at = mmap((void *)BASE, number * PAGE, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  must(at == (void *)BASE, "mmap");
  for (unsigned long page = 0; page < number; page++)
    pages[page] = (unsigned char *)BASE + page * PAGE;
  int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
  must(uffd >= 0, "userfaultfd");
  struct uffdio_api api = {UFFD_API,
                           UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP |
                               UFFD_FEATURE_EVENT_REMOVE | UFFD_FEATURE_EVENT_UNMAP,
                           0};
  must(ioctl(uffd, UFFDIO_API, &api) == 0, "UFFDIO_API");
  struct uffdio_register region = {{BASE, number * PAGE}, UFFDIO_REGISTER_MODE_MISSING, 0};
  must(ioctl(uffd, UFFDIO_REGISTER, &region) == 0, "UFFDIO_REGISTER");
  /* Two mappings, as a heap and what lies behind it: pages of both lie beside one another in the images. */
  must(mprotect((void *)(BASE + number / 2 * PAGE), number / 4 * PAGE, PROT_READ) == 0, "mprotect");
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "lazy-pages.socket"};
  int to = socket(AF_UNIX, SOCK_STREAM, 0);
  must(connect(to, (struct sockaddr *)&address, sizeof address) == 0, "connect");
  int32_t task = 1;
  uint32_t restored = 0x52535446;
  must(send(to, &task, sizeof task, 0) == sizeof task, "send");
  give(to, uffd);
  must(send(to, &restored, sizeof restored, 0) == sizeof restored, "send");
  close(to);
  close(uffd);
  printf("ready\n");
  fflush(stdout);

  char word[16];
  unsigned long page;
  while (scanf("%15s %lu", word, &page) == 2) {
    must(page < number, "a page");
    if (strcmp(word, "read") == 0) {
      answer(page);
    } else if (strcmp(word, "drop") == 0) {
      must(madvise((void *)pages[page], PAGE, MADV_DONTNEED) == 0, "madvise");
      printf("done\n");
    } else if (strcmp(word, "move") == 0) {
      void *free_place = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      void *moved = mremap((void *)pages[page], PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, free_place);
      must(moved != MAP_FAILED, "mremap");
      pages[page] = moved;
      printf("done\n");
    } else if (strcmp(word, "wear") == 0) {
      /* Thousands of events, which change nothing after the first one. */
      for (int time = 0; time < 4000; time++)
        must(madvise((void *)pages[page], PAGE, MADV_DONTNEED) == 0, "madvise");
      printf("done\n");
    } else if (strcmp(word, "breed") == 0) {
      /* Children that end at once, one after the other. */
      for (int time = 0; time < 300; time++) {
        pid_t child = fork();
        if (child == 0)
          _exit(0);
        must(child > 0 && waitpid(child, NULL, 0) == child, "fork");
      }
      printf("done\n");
    } else if (strcmp(word, "crowd") == 0) {
      /* Children that stay until they are killed. */
      pid_t own = getpid();
      for (int time = 0; time < 40; time++) {
        pid_t child = fork();
        if (child == 0) {
          close(STDOUT_FILENO);
          prctl(PR_SET_PDEATHSIG, SIGKILL);
          /* It may have ended before. */
          while (getppid() == own)
            pause();
          _exit(0);
        }
        must(child > 0, "fork");
      }
      printf("done\n");
    } else if (strcmp(word, "fork") == 0) {
      pid_t child = fork();
      if (child == 0) {
        answer(page);
        _exit(0);
      }
      must(child > 0 && waitpid(child, NULL, 0) == child, "fork");
    } else {
      must(0, "an unknown word");
    }
    fflush(stdout);
  }
  return 0;
}
