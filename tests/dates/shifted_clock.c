/* The calendar of one process and its children, SHIFT_S seconds on: of the clock, and of the times of files.
 *
 * Stopwatches (CLOCK_MONOTONIC) stay, so that whoever waits waits as long as ever. No word of libfaketime 0.9.10: with it
 * Python's time.sleep fails (EINVAL), and its shared memory gets in the way of several processes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Asked of the kernel: who loads this may ask for the time before anything else is loaded. */
int clock_gettime(clockid_t id, struct timespec *at) {
  int failed = syscall(SYS_clock_gettime, id, at);
  if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) at->tv_sec += SHIFT_S;
  return failed;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
  struct timespec now;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
  at->tv_sec = now.tv_sec;
  at->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *at) {
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
  if (at) *at = now.tv_sec;
  return now.tv_sec;
}

int timespec_get(struct timespec *at, int base) { return clock_gettime(CLOCK_REALTIME, at) ? 0 : base; }

/* Until an instant of the calendar: the kernel's is not shifted. */
int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until) {
  static int (*real)(sem_t *, const struct timespec *);
  struct timespec at = *until;
  if (!real) real = (int (*)(sem_t *, const struct timespec *))dlsym(RTLD_NEXT, "sem_timedwait");
  at.tv_sec -= SHIFT_S;
  return real(semaphore, &at);
}

static int look(int folder, const char *path, struct stat *found, int flags) {
  int failed = syscall(SYS_newfstatat, folder, path, found, flags);
  if (!failed) {
    found->st_atim.tv_sec += SHIFT_S;
    found->st_mtim.tv_sec += SHIFT_S;
    found->st_ctim.tv_sec += SHIFT_S;
  }
  return failed;
}

/* What a program asks for depends on the glibc that it was built with; with 64 bits all of it is one struct. */
#define LOOKS(name64, type64)                                                                    \
  int stat##name64(const char *path, type64 *found) {                                            \
    return look(AT_FDCWD, path, (struct stat *)found, 0);                                        \
  }                                                                                              \
  int lstat##name64(const char *path, type64 *found) {                                           \
    return look(AT_FDCWD, path, (struct stat *)found, AT_SYMLINK_NOFOLLOW);                      \
  }                                                                                              \
  int fstat##name64(int file, type64 *found) {                                                   \
    return look(file, "", (struct stat *)found, AT_EMPTY_PATH);                                  \
  }                                                                                              \
  int fstatat##name64(int folder, const char *path, type64 *found, int flags) {                  \
    return look(folder, path, (struct stat *)found, flags);                                      \
  }                                                                                              \
  int __xstat##name64(int version, const char *path, type64 *found) {                            \
    return (void)version, stat##name64(path, found);                                             \
  }                                                                                              \
  int __lxstat##name64(int version, const char *path, type64 *found) {                           \
    return (void)version, lstat##name64(path, found);                                            \
  }                                                                                              \
  int __fxstat##name64(int version, int file, type64 *found) {                                   \
    return (void)version, fstat##name64(file, found);                                            \
  }                                                                                              \
  int __fxstatat##name64(int version, int folder, const char *path, type64 *found, int flags) { \
    return (void)version, fstatat##name64(folder, path, found, flags);                           \
  }

LOOKS(, struct stat)
LOOKS(64, struct stat64)

int statx(int folder, const char *restrict path, int flags, unsigned mask, struct statx *restrict found) {
  int failed = syscall(SYS_statx, folder, path, flags, mask, found);
  if (!failed) {
    found->stx_atime.tv_sec += SHIFT_S;
    found->stx_btime.tv_sec += SHIFT_S;
    found->stx_ctime.tv_sec += SHIFT_S;
    found->stx_mtime.tv_sec += SHIFT_S;
  }
  return failed;
}

static int set_times(int folder, const char *path, const struct timespec *times, int flags) {
  struct timespec back[2];
  if (!times) return syscall(SYS_utimensat, folder, path, NULL, flags);
  for (int i = 0; i < 2; i++) {
    back[i] = times[i];
    if (times[i].tv_nsec != UTIME_NOW && times[i].tv_nsec != UTIME_OMIT) back[i].tv_sec -= SHIFT_S;
  }
  return syscall(SYS_utimensat, folder, path, back, flags);
}

int utimensat(int folder, const char *path, const struct timespec times[2], int flags) {
  return set_times(folder, path, times, flags);
}

int futimens(int file, const struct timespec times[2]) { return set_times(file, NULL, times, 0); }
