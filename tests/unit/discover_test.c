#include "viewer/discover.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "introspect/protocol.h"
#include "tests/unit/unit.h"

static char directory[] = "discover_test_XXXXXX";

/* A process that serves the socket of `pid`, greeting each client. */
static pid_t serve(pid_t pid, uint64_t start_time, const char *exe)
{
	char name[HAK_PROTOCOL_NAME_MAX], hello[512];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	hak_protocol_socket_name(pid, start_time, name, sizeof(name));
	CU_ASSERT_TRUE_FATAL(hak_protocol_address(&address, directory, -1, name));
	snprintf(hello, sizeof(hello),
		"{\"type\":\"hello\",\"protocol\":1,\"version\":\"0.1\",\"pid\":%d,\"exe\":\"%s\"}\n", (int)pid, exe);
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	CU_ASSERT_EQUAL_FATAL(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	listen(listener, 4);
	pid_t server = fork();
	for (int fd; server == 0 && (fd = accept(listener, NULL, NULL)) >= 0; close(fd)) {
		if (write(fd, hello, strlen(hello)) < 0)
			_exit(1);
	}
	close(listener);
	return server;
}

static const struct found *find(const struct discovery *discovery, pid_t pid)
{
	for (size_t i = 0; i < discovery->count; i++) {
		if (discovery->rows[i].pid == pid)
			return &discovery->rows[i];
	}
	return NULL;
}

static void start_times(void)
{
	uint64_t first = 0, second = 0;
	CU_ASSERT_TRUE(discover_start_time(getpid(), &first));
	CU_ASSERT_TRUE(discover_start_time(getpid(), &second));
	CU_ASSERT_TRUE(first > 0);
	UNIT_EQUAL(first, second);
	CU_ASSERT_FALSE(discover_start_time(2147483646, &first));
}

static void sockets_are_listed(void)
{
	struct discovery discovery;
	struct problem problem = {""};
	char stray[128];
	uint64_t start_time;
	/* A target that is alive, one whose process is gone, and files that are neither. */
	pid_t sleeper = fork();
	if (sleeper == 0)
		pause();
	CU_ASSERT_TRUE(discover_start_time(sleeper, &start_time));
	pid_t server = serve(sleeper, start_time, "/bin/a\\u001bb");
	pid_t dead = serve(2147483645, 12345, "/bin/dead");
	kill(dead, SIGKILL);
	waitpid(dead, NULL, 0);
	snprintf(stray, sizeof(stray), "%s/notes.txt", directory);
	fclose(fopen(stray, "w"));
	CU_ASSERT_TRUE_FATAL(discover_all(&discovery, &problem));
	const struct found *row = find(&discovery, sleeper);
	CU_ASSERT_PTR_NOT_NULL_FATAL(row);
	UNIT_EQUAL(row->state, FOUND_OPEN);
	UNIT_STRING(row->exe, "/bin/a?b");
	UNIT_EQUAL(discovery.open, 1);
	row = find(&discovery, 2147483645);
	CU_ASSERT_PTR_NOT_NULL_FATAL(row);
	UNIT_EQUAL(row->state, FOUND_DEAD);
	CU_ASSERT_PTR_NOT_NULL(strstr(row->reason, "removed"));
	CU_ASSERT_NOT_EQUAL(access(row->path, F_OK), 0);
	discover_free(&discovery);
	CU_ASSERT_EQUAL(access(stray, F_OK), 0);
	unlink(stray);

	char path[512];
	CU_ASSERT_TRUE(discover_pid(sleeper, path, sizeof(path), &problem));
	CU_ASSERT_EQUAL(strncmp(path, directory, strlen(directory)), 0);
	/* The endpoint closes, but the process lives: nothing is removed. */
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	CU_ASSERT_TRUE_FATAL(discover_all(&discovery, &problem));
	row = find(&discovery, sleeper);
	CU_ASSERT_PTR_NOT_NULL_FATAL(row);
	UNIT_EQUAL(row->state, FOUND_CLOSED);
	CU_ASSERT_EQUAL(access(path, F_OK), 0);
	discover_free(&discovery);
	unlink(path);
	kill(sleeper, SIGKILL);
	waitpid(sleeper, NULL, 0);
}

static void reasons(void)
{
	struct problem problem = {""};
	char path[512];
	CU_ASSERT_FALSE(discover_pid(2147483646, path, sizeof(path), &problem));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "no process 2147483646"));
	CU_ASSERT_FALSE(discover_pid(getpid(), path, sizeof(path), &problem));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "doesn't run on HAKMEM"));
}

static void an_old_socket_of_a_reused_pid_is_not_taken(void)
{
	struct problem problem = {""};
	char path[512];
	uint64_t start_time = 0;
	pid_t sleeper = fork();
	if (sleeper == 0)
		pause();
	discover_start_time(sleeper, &start_time);
	pid_t server = serve(sleeper, start_time + 1, "/bin/old");
	CU_ASSERT_FALSE(discover_pid(sleeper, path, sizeof(path), &problem));
	kill(server, SIGKILL);
	kill(sleeper, SIGKILL);
	waitpid(server, NULL, 0);
	waitpid(sleeper, NULL, 0);
}

static pid_t sleeping(void)
{
	pid_t pid = fork();
	if (pid == 0)
		pause();
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Other users could have put anything there. */
static void directories_that_others_write_to_are_passed_by(void)
{
	static const mode_t modes[] = {0777, 0770, 01777};
	struct discovery discovery;
	struct problem problem = {""};
	char path[512];
	uint64_t start_time = 0;
	pid_t sleeper = sleeping();
	discover_start_time(sleeper, &start_time);
	pid_t server = serve(sleeper, start_time, "/bin/a");
	CU_ASSERT_TRUE(discover_is_private(directory, geteuid()));
	CU_ASSERT_FALSE(discover_is_private(directory, geteuid() + 1));
	CU_ASSERT_FALSE(discover_is_private("no such directory", geteuid()));
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		chmod(directory, modes[i]);
		CU_ASSERT_FALSE(discover_is_private(directory, geteuid()));
		CU_ASSERT_TRUE_FATAL(discover_all(&discovery, &problem));
		CU_ASSERT_PTR_NULL(find(&discovery, sleeper));
		discover_free(&discovery);
		CU_ASSERT_FALSE(discover_pid(sleeper, path, sizeof(path), &problem));
	}
	chmod(directory, 0700);
	CU_ASSERT_TRUE(discover_pid(sleeper, path, sizeof(path), &problem));
	unlink(path);
	end(server);
	end(sleeper);
}

static void whose_socket_it_may_be(void)
{
	CU_ASSERT_TRUE(discover_speaks_for(geteuid(), getpid()));
	CU_ASSERT_TRUE(discover_speaks_for(0, getpid()));
	CU_ASSERT_FALSE(discover_speaks_for(geteuid() + 4242, getpid()));
	CU_ASSERT_FALSE(discover_speaks_for(geteuid() + 1, 2147483646));
}

static void sweeping_takes_only_dead_ones(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char path[512], name[HAK_PROTOCOL_NAME_MAX];
	struct problem problem;
	uint64_t start_time = 0;
	pid_t sleeper = sleeping();
	discover_start_time(sleeper, &start_time);
	end(serve(2147483645, 1, "/bin/dead"));
	end(serve(sleeper, start_time + 1, "/bin/before"));
	/* One of a container: its pid means nothing here, but somebody listens. */
	pid_t foreign = serve(2147483644, 1, "/bin/foreign");
	/* A process that is there, even if nobody listens. */
	end(serve(sleeper, start_time, "/bin/stopped"));
	discover_sweep();
	hak_protocol_socket_name(2147483645, 1, name, sizeof(name));
	hak_protocol_address(&address, directory, -1, name);
	CU_ASSERT_NOT_EQUAL(access(address.sun_path, F_OK), 0);
	hak_protocol_socket_name(sleeper, start_time + 1, name, sizeof(name));
	hak_protocol_address(&address, directory, -1, name);
	CU_ASSERT_NOT_EQUAL(access(address.sun_path, F_OK), 0);
	hak_protocol_socket_name(2147483644, 1, name, sizeof(name));
	hak_protocol_address(&address, directory, -1, name);
	CU_ASSERT_EQUAL(access(address.sun_path, F_OK), 0);
	end(foreign);
	CU_ASSERT_TRUE(discover_pid(sleeper, path, sizeof(path), &problem));
	end(sleeper);
	discover_sweep();
	CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
	CU_ASSERT_NOT_EQUAL(access(address.sun_path, F_OK), 0);
}

/* Sockets that listen and say nothing, as those of stopped processes: they are waited for together. */
static void silent_ones_cost_one_time_out(void)
{
	enum { SILENT = 8 };
	struct discovery discovery;
	struct problem problem = {""};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listeners[SILENT];
	unsigned silent = 0;
	for (int i = 0; i < SILENT; i++) {
		char name[HAK_PROTOCOL_NAME_MAX];
		hak_protocol_socket_name(2147483600 + i, 1, name, sizeof(name));
		hak_protocol_address(&address, directory, -1, name);
		listeners[i] = socket(AF_UNIX, SOCK_STREAM, 0);
		CU_ASSERT_EQUAL_FATAL(bind(listeners[i], (struct sockaddr *)&address, sizeof(address)), 0);
		listen(listeners[i], 4);
	}
	long long begun = unit_now_ms();
	CU_ASSERT_TRUE_FATAL(discover_all(&discovery, &problem));
	CU_ASSERT_TRUE(unit_now_ms() - begun < SILENT * 1000 / 2);
	for (size_t i = 0; i < discovery.count; i++)
		silent += strstr(discovery.rows[i].reason, "doesn't answer") != NULL;
	UNIT_EQUAL(silent, SILENT);
	discover_free(&discovery);
	for (int i = 0; i < SILENT; i++)
		close(listeners[i]);
	discover_sweep();
}

int main(int argc, char **argv)
{
	static const struct unit_case cases[] = {
		UNIT(start_times), UNIT(sockets_are_listed), UNIT(reasons),
		UNIT(an_old_socket_of_a_reused_pid_is_not_taken),
		UNIT(directories_that_others_write_to_are_passed_by), UNIT(whose_socket_it_may_be),
		UNIT(sweeping_takes_only_dead_ones), UNIT(silent_ones_cost_one_time_out),
	};
	char command[64];
	if (mkdtemp(directory) == NULL || setenv("HAKMEM_DIR", directory, 1) != 0)
		return 2;
	int status = unit_run("discover", cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
	snprintf(command, sizeof(command), "rm -r %s", directory);
	return system(command) == 0 ? status : 2;
}
