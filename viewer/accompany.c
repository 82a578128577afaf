#include "viewer/accompany.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "viewer/signals.h"

static void write_all(int fd, const char *bytes, size_t count)
{
	while (count > 0) {
		ssize_t written = write(fd, bytes, count);
		if (written < 0 && errno != EINTR)
			return;
		if (written > 0) {
			bytes += written;
			count -= (size_t)written;
		}
	}
}

void accompany(struct launch *launch, const struct output *output, int signal_fd)
{
	char bytes[16384];
	if (output != NULL && output->length > 0) {
		if (output->forgotten > 0)
			fprintf(stderr, "hakmem-top: the first %llu bytes of output are left out; -o FILE keeps all\n",
				(unsigned long long)output->forgotten);
		write_all(STDOUT_FILENO, output->bytes, output->length);
	}
	for (;;) {
		struct pollfd fds[2] = {{launch->output_fd, POLLIN, 0}, {signal_fd, POLLIN, 0}};
		bool had_ended = launch_reap(launch);
		/* Once it has ended only what is in the pipe already is taken: a daemon it left behind may hold the
		 * other end. */
		int ready = had_ended && launch->output_fd < 0 ? 0 : poll(fds, 2, had_ended ? 0 : -1);
		if (fds[0].revents != 0 && launch->output_fd >= 0) {
			ssize_t count = read(launch->output_fd, bytes, sizeof(bytes));
			if (count > 0)
				write_all(STDOUT_FILENO, bytes, (size_t)count);
			if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
				close(launch->output_fd);
				launch->output_fd = -1;
			}
			continue;
		}
		bool from_terminal;
		for (int number; ready > 0 && (number = signals_next(signal_fd, &from_terminal)) != 0;) {
			if (number != SIGCHLD && !from_terminal && !launch->ended)
				kill(launch->pid, number);
		}
		if (had_ended)
			return;
	}
}
