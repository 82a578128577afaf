/* server.c: one thread, one poll loop.
 *
 * A round: rest if there were many; wait; receive from every client; answer what they asked; stream what is due; send. The server's
 * state is touched by its thread only, but for `stop` (relaxed) and the endpoint's path, constant once the thread has
 * said that it is `started`. The sockets are in a descriptor table that only this thread has. */
#include "introspect/server.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "introspect/control.h"
#include "introspect/descriptor.h"
#include "introspect/endpoint.h"
#include "introspect/memory.h"
#include "introspect/pace.h"
#include "introspect/proc.h"
#include "introspect/quiet.h"
#include "introspect/service.h"
#include "lib/atomic.h"
#include "lib/inspect.h"

#define STACK_BYTES (512u << 10)
#define TICK_US 250000         /* idle memory is looked at so often: a quarter of the default delay */
#define ACCEPT_PAUSE_US 200000 /* after the system would let nobody in: the table of descriptors full, a filter */

struct hak_server {
	struct hak_service service;
	struct hak_endpoint endpoint;
	char hakmem_dir[HAK_PROTOCOL_PATH_MAX], xdg_runtime_dir[HAK_PROTOCOL_PATH_MAX];
	uint64_t stuck_us;
	pthread_t thread;
	sem_t started; /* posted when `error` and `failed` say how the start went */
	int error;     /* 0 or a negative errno */
	char failed[HAK_PROTOCOL_PATH_MAX]; /* what could not be had */
	uint32_t stop;
	uint64_t accept_after_us; /* no accept before: backing off */
	uint64_t purge_us;        /* when idle memory is looked at next */
	size_t turn; /* whose turn it is to be served first */
	struct hak_pace pace;
	uint64_t cpu_us; /* processor time of the thread until the last round's end */
	/* What this round waits for: polls[0] is the listener, the others are the connections that there are, no more,
	 * because poll refuses an array longer than RLIMIT_NOFILE. polls[i] belongs to *polled[i]. */
	nfds_t poll_count;
	struct pollfd polls[HAK_SERVICE_CLIENTS + 1];
	struct hak_connection *polled[HAK_SERVICE_CLIENTS + 1];
};

/* How long to wait, in milliseconds rounded up: till the next thing is due. */
static int timeout_ms(const struct hak_server *server, uint64_t now)
{
	uint64_t due = server->purge_us;

	for (size_t i = 0; i < HAK_SERVICE_CLIENTS; i++) {
		const struct hak_connection *client = &server->service.clients[i];

		if (client->fd < 0)
			continue;
		/* One that is about to end gets nothing more. */
		if (hak_connection_is_streaming(client) && client->due_us < due)
			due = client->due_us;
		/* A request that came with others and had to wait for room, or its time: poll knows nothing of it. */
		if (hak_connection_may_request(client) && hak_connection_has_line(client) &&
			hak_service_request_us(&server->service, client) < due)
			due = hak_service_request_us(&server->service, client);
	}
	if (hak_control_due() < due)
		due = hak_control_due();
	return due > now ? (int)((due - now + 999) / 1000) : 0;
}

static void prepare_polls(struct hak_server *server, uint64_t now)
{
	bool accepting = now >= server->accept_after_us;

	server->polls[0] = (struct pollfd){accepting ? server->endpoint.listener : -1, POLLIN, 0};
	server->poll_count = 1;
	for (size_t i = 0; i < HAK_SERVICE_CLIENTS; i++) {
		struct hak_connection *client = &server->service.clients[i];
		struct pollfd *poll_entry = &server->polls[server->poll_count];

		if (client->fd < 0)
			continue;
		server->polled[server->poll_count++] = client;
		*poll_entry = (struct pollfd){client->fd, 0, 0};
		if (!client->end_of_input && hak_connection_may_request(client) &&
			hak_service_request_us(&server->service, client) <= now)
			poll_entry->events |= POLLIN;
		if (hak_connection_pending(client))
			poll_entry->events |= POLLOUT;
	}
}

/* Greets a new client, or tells it that there is no room for it. Where all places are taken, one that is idle ends. */
static void welcome(struct hak_server *server, int fd, uint64_t now)
{
	struct hak_service *service = &server->service;
	struct hak_connection *entry = NULL;

	service->stats.connections++;
	for (size_t i = 0; i < HAK_SERVICE_CLIENTS && !entry; i++) {
		if (service->clients[i].fd < 0)
			entry = &service->clients[i];
	}
	if (entry) {
		service->stats.clients++;
	} else {
		entry = hak_service_make_room(service, now);
		service->stats.disconnected += entry != NULL;
	}
	if (!entry) {
		hak_endpoint_refuse(fd, HAK_ERROR_busy, "too many clients");
		return;
	}
	hak_connection_open(entry, fd, now);
	hak_service_greet(service, entry);
	service->stats.bytes_sent += hak_connection_send(entry, now);
}

static void accept_clients(struct hak_server *server, uint64_t now)
{
	/* A bounded number a round, so that a flood of connections does not starve the clients that there are. */
	for (int i = 0; i < HAK_SERVICE_CLIENTS; i++) {
		int fd = hak_endpoint_accept(&server->endpoint);

		if (fd >= 0) {
			welcome(server, fd, now);
		} else if (fd != HAK_ENDPOINT_FORBIDDEN && fd != -ECONNABORTED && fd != -EINTR) {
			/* Whoever waits goes on waiting, and poll would go on telling. */
			if (fd != -EAGAIN)
				server->accept_after_us = now + ACCEPT_PAUSE_US;
			return;
		}
	}
}

static void receive_all(struct hak_server *server, uint64_t now)
{
	for (nfds_t i = 1; i < server->poll_count; i++) {
		struct hak_connection *client = server->polled[i];
		short events = server->polls[i].revents;

		if (!events)
			continue;
		if (events & POLLOUT)
			client->blocked = false;
		if (events & (POLLIN | POLLHUP | POLLERR))
			hak_connection_receive(client);
		/* Hung up and nothing left to read, or more than it may ask at a time: nobody is there to send to. */
		if ((events & (POLLHUP | POLLERR)) &&
			(client->end_of_input || hak_service_request_us(&server->service, client) > now))
			client->broken = true;
	}
}

/* Answers, streams and sends for one client, and ends its connection when that is due. */
static void serve(struct hak_server *server, struct hak_connection *client, uint64_t now)
{
	struct hak_service *service = &server->service;

	hak_service_answer(service, client, now);
	hak_service_stream(service, client, now);
	if (hak_connection_pending(client) && !client->broken)
		service->stats.bytes_sent += hak_connection_send(client, now);
	/* The clock was read before the answers were queued: progress may be younger than now. */
	if (hak_connection_pending(client) && client->progress_us + server->stuck_us < now) {
		client->broken = true;
		service->stats.disconnected++;
	}
	if (hak_connection_is_over(client)) {
		hak_service_close(service, client);
		service->stats.clients--;
	}
}

static void rest(uint64_t time_us)
{
	const struct timespec time = {0, (long)time_us * 1000};

	nanosleep(&time, NULL);
}

/* Waits until something happens or is due. */
static void wait_for_events(struct hak_server *server)
{
	struct pollfd *polls = server->polls;
	uint64_t now = hak_snapshot_now_us();
	uint64_t rest_us = hak_pace_rest_us(&server->pace, now);

	if (rest_us) {
		rest(rest_us);
		now = hak_snapshot_now_us();
	}

	prepare_polls(server, now);
	if (poll(polls, server->poll_count, timeout_ms(server, now)) >= 0)
		return;
	/* Nothing is known of any descriptor this time. But for an interruption the next call will fail as well, for
	 * instance while the program's limit on descriptors is lower than what is open: no spinning. */
	if (errno != EINTR)
		rest(TICK_US);
	for (nfds_t i = 0; i < server->poll_count; i++)
		polls[i].revents = 0;
}

static void end_round(struct hak_server *server)
{
	uint64_t cpu_us = hak_snapshot_clock_us(CLOCK_THREAD_CPUTIME_ID);

	hak_pace_round(&server->pace, hak_snapshot_now_us(), cpu_us - server->cpu_us);
	server->cpu_us = cpu_us;
}

static void run_round(struct hak_server *server)
{
	bool prints = hak_trace_lines() != 0;
	uint64_t now;

	wait_for_events(server);
	if (prints)
		hak_fd_borrow_stderr();
	now = hak_snapshot_now_us();
	receive_all(server, now);
	hak_service_begin_round(&server->service, now);
	/* Each round begins with another one, as there may not be enough of everything for all. */
	server->turn++;
	for (size_t i = 0; i < HAK_SERVICE_CLIENTS; i++) {
		struct hak_connection *client = &server->service.clients[(server->turn + i) % HAK_SERVICE_CLIENTS];

		if (client->fd >= 0)
			serve(server, client, now);
	}
	/* Last, when those who have left have made room. */
	if (server->polls[0].revents & POLLIN)
		accept_clients(server, now);
	if (now >= server->purge_us) {
		hak_inspect_purge_due();
		hak_service_tidy(&server->service, now);
		server->purge_us = now + TICK_US;
	}
	if (prints)
		hak_fd_return_stderr();
	end_round(server);
}

/* Makes the socket, in a descriptor table that the program can't reach. */
static int begin(struct hak_server *server)
{
	int error = hak_fd_own_table();

	if (error < 0) {
		hak_copy_text(server->failed, sizeof(server->failed), "a descriptor table of its own");
		return error;
	}
	error = hak_endpoint_open(&server->endpoint, server->hakmem_dir, server->xdg_runtime_dir,
		server->service.start_time);
	hak_copy_text(server->failed, sizeof(server->failed), server->endpoint.path);
	return error;
}

/* When the thread wakes it waits for a processor that is free, rather than push one of the program's threads off its own.
 * Its share stays the same, for it takes the allocator's locks at times; policies of real time are the program's choice. */
static void be_patient(void)
{
	static const struct sched_param none = {0};

	if (sched_getscheduler(0) == SCHED_OTHER)
		(void)sched_setscheduler(0, SCHED_BATCH, &none);
}

static void *run(void *argument)
{
	struct hak_server *server = argument;
	int error;

	prctl(PR_SET_NAME, "hakmem");
	be_patient();
	error = begin(server);
	server->error = error;
	sem_post(&server->started);
	if (error < 0)
		return NULL;
	while (!hak_load_relaxed(&server->stop))
		run_round(server);
	hak_service_free(&server->service);
	close(server->endpoint.listener);
	hak_endpoint_unlink(&server->endpoint);
	return NULL;
}

/* Creates the thread, which inherits the caller's signal mask, and waits until it serves. */
static int create_thread(struct hak_server *server)
{
	pthread_attr_t attributes;
	bool busy = hak_trace_busy;
	int error;

	/* What libc allocates for the thread is none of the program's blocks: it would be its leak. */
	hak_trace_busy = true;
	sem_init(&server->started, 0, 0);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	error = pthread_create(&server->thread, &attributes, run, server);
	/* A program with much static TLS needs more of the stack than that. */
	if (error == EINVAL)
		error = pthread_create(&server->thread, NULL, run, server);
	pthread_attr_destroy(&attributes);
	hak_trace_busy = busy;
	if (error)
		return -error;
	while (sem_wait(&server->started) != 0)
		continue;
	if (server->error < 0)
		pthread_join(server->thread, NULL);
	return server->error;
}

struct hak_server *hak_server_start(const struct hak_server_options *options, int *error, char *path, size_t size)
{
	struct hak_server *server = hak_memory_map(sizeof(*server), HAK_MEMORY_PRIVATE);
	struct hak_undisturbed undisturbed;
	struct hak_proc_stat stat;

	*error = -ENOMEM;
	if (!server)
		return NULL;
	hak_proc_stat(&stat);
	hak_service_init(&server->service);
	server->service.dump_pattern = options->dump_pattern;
	hak_control_begin(options->trace_groups);
	server->service.trace_bytes = options->trace_bytes;
	server->service.start_time = stat.start_time;
	server->stuck_us = options->stuck_ms * 1000;
	hak_copy_text(server->hakmem_dir, sizeof(server->hakmem_dir), options->hakmem_dir);
	hak_copy_text(server->xdg_runtime_dir, sizeof(server->xdg_runtime_dir), options->xdg_runtime_dir);
	/* Every signal stays blocked in the thread, from its first instruction on. And a handler that forks while the
	 * thread is waited for would leave a child waiting for a thread that it does not have. */
	hak_undisturbed_begin(&undisturbed);
	*error = create_thread(server);
	hak_undisturbed_end(&undisturbed);
	if (path)
		hak_copy_text(path, size, *error < 0 ? server->failed : server->endpoint.path);
	if (*error == 0)
		return server;
	hak_service_free(&server->service);
	hak_memory_unmap(server, sizeof(*server));
	return NULL;
}

void hak_server_stop(struct hak_server *server)
{
	hak_store_relaxed(&server->stop, 1);
	pthread_join(server->thread, NULL);
	hak_memory_unmap(server, sizeof(*server));
}

void hak_server_unlink(const struct hak_server *server)
{
	hak_endpoint_unlink(&server->endpoint);
}
