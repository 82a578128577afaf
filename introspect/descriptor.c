/* descriptor.c: the table of descriptors in use, under one lock. */
#include "introspect/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define HIGH_MAX 4000 /* the kernel's table grows with the highest number: 32 KiB here */

struct held {
	int fd; /* 0: this entry is free (0 is never adopted: numbers are high) */
	dev_t device;
	ino_t inode;
};

/* Ranks before all of lib's locks; nothing of lib is called under it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct held table[HAK_FD_MAX]; /* under lock */

static HAK_TLS bool lockless;

void hak_fd_lock(void)
{
	if (!lockless)
		pthread_mutex_lock(&lock);
}

void hak_fd_unlock(void)
{
	if (!lockless)
		pthread_mutex_unlock(&lock);
}

void hak_fd_go_lockless(bool on)
{
	lockless = on;
}

/* The lowest number for ours: the last quarter of what the soft limit allows. */
static int high_number(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > HIGH_MAX)
		return HIGH_MAX;
	return (int)(limit.rlim_cur - limit.rlim_cur / 4);
}

int hak_fd_adopt(int fd)
{
	struct held *entry = NULL;
	struct stat status;
	int moved, error;

	for (size_t i = 0; i < HAK_FD_MAX && !entry; i++)
		entry = table[i].fd ? NULL : &table[i];
	moved = fcntl(fd, F_DUPFD_CLOEXEC, high_number());
	if (moved < 0 && errno == EINVAL)
		moved = fcntl(fd, F_DUPFD_CLOEXEC, 3); /* The limit is tiny: any number above the standard ones. */
	error = errno;
	close(fd);
	if (moved >= 0 && (!entry || fstat(moved, &status) != 0)) {
		error = entry ? errno : EMFILE;
		close(moved);
		moved = -1;
	}
	if (moved < 0) {
		errno = error;
		return -1;
	}
	*entry = (struct held){moved, status.st_dev, status.st_ino};
	return moved;
}

static struct held *find(int fd)
{
	for (size_t i = 0; fd > 0 && i < HAK_FD_MAX; i++) {
		if (table[i].fd == fd)
			return &table[i];
	}
	return NULL;
}

/* The lock is held. */
static bool is_same(const struct held *entry)
{
	struct stat status;

	if (!entry || fstat(entry->fd, &status) != 0)
		return false;
	return status.st_dev == entry->device && status.st_ino == entry->inode;
}

bool hak_fd_is_ours(int fd)
{
	bool same;

	hak_fd_lock();
	same = is_same(find(fd));
	hak_fd_unlock();
	return same;
}

void hak_fd_release(int fd)
{
	struct held *entry = find(fd);

	if (is_same(entry))
		close(fd);
	if (entry)
		entry->fd = 0;
}

void hak_fd_close(int fd)
{
	hak_fd_lock();
	hak_fd_release(fd);
	hak_fd_unlock();
}

unsigned hak_fd_count(void)
{
	unsigned count = 0;

	hak_fd_lock();
	for (size_t i = 0; i < HAK_FD_MAX; i++)
		count += table[i].fd != 0;
	hak_fd_unlock();
	return count;
}

void hak_fd_after_fork(void)
{
	for (size_t i = 0; i < HAK_FD_MAX; i++) {
		if (table[i].fd && is_same(&table[i]))
			close(table[i].fd);
		table[i].fd = 0;
	}
	hak_fd_unlock();
}
