#include "viewer/signals.h"

#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

int signals_open(sigset_t *before)
{
	static const int taken[] = {SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP};
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		struct sigaction action;
		/* Under nohup SIGHUP is ignored, and a job in the background of an old shell ignores SIGINT: both are
		 * meant. */
		if (sigaction(taken[i], NULL, &action) == 0 && (action.sa_handler != SIG_IGN || taken[i] == SIGCHLD))
			sigaddset(&set, taken[i]);
	}
	/* Blocked rather than ignored, as a command inherits what is ignored; write fails with EPIPE all the same. */
	sigset_t blocked = set;
	sigaddset(&blocked, SIGPIPE);
	sigprocmask(SIG_BLOCK, &blocked, before);
	/* An ignored SIGCHLD would make the kernel forget how the command ended. */
	signal(SIGCHLD, SIG_DFL);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

int signals_next(int fd, bool *from_terminal)
{
	struct signalfd_siginfo info;
	if (fd < 0 || read(fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	*from_terminal = info.ssi_code == SI_KERNEL;
	return (int)info.ssi_signo;
}
