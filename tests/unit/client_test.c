#include "viewer/client.h"

#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "tests/unit/unit.h"

#define HELLO "{\"type\":\"hello\",\"protocol\":1,\"version\":\"0.1\",\"pid\":7,\"start_time\":9,\"exe\":\"/bin/x\"," \
	"\"capabilities\":[\"ping\",\"profile\",\"events\"]}\n"

static char path[64];

/* A server in a child process: it sends `greeting`, then after one request `reply`, then closes. Returns its pid. */
static pid_t serve(const char *greeting, const char *reply, size_t reply_length)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(path, sizeof(path), "client_test_%d.sock", (int)getpid());
	snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", path);
	unlink(path);
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	CU_ASSERT_EQUAL_FATAL(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	CU_ASSERT_EQUAL_FATAL(listen(listener, 1), 0);
	pid_t pid = fork();
	if (pid == 0) {
		char request[64];
		int fd = accept(listener, NULL, NULL);
		bool good = write(fd, greeting, strlen(greeting)) == (ssize_t)strlen(greeting);
		if (reply != NULL && read(fd, request, sizeof(request)) > 0) {
			for (size_t sent = 0; good && sent < reply_length;) {
				ssize_t count = write(fd, reply + sent, reply_length - sent);
				good = count > 0;
				sent += good ? (size_t)count : 0;
			}
		} else if (*greeting == '\0') {
			pause();
		}
		_exit(good ? 0 : 1);
	}
	close(listener);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	unlink(path);
}

static void greeting(void)
{
	struct client client;
	struct problem problem = {""};
	pid_t pid = serve(HELLO, NULL, 0);
	UNIT_EQUAL(client_connect(&client, path, 5000, &problem), CLIENT_CONNECTED);
	UNIT_EQUAL(client.pid, 7);
	UNIT_EQUAL(client.start_time, 9);
	UNIT_STRING(client.version, "0.1");
	UNIT_STRING(client.exe, "/bin/x");
	CU_ASSERT_TRUE(client.has_events);
	CU_ASSERT_TRUE(client.has_profile);
	client_close(&client);
	client_close(&client);
	end(pid);
}

static void wrong_greetings(void)
{
	static const struct {
		const char *greeting, *named;
	} cases[] = {
		{"HTTP/1.0 400 Bad\n", "not a HAKMEM endpoint"},
		{"{\"type\":\"hello\"}\n", "not a HAKMEM endpoint"},
		{"[]\n", "not a HAKMEM endpoint"},
		{"{\"type\":\"hello\",\"protocol\":\"1\",\"version\":\"0\",\"pid\":7,\"exe\":\"x\"}\n",
		"not a HAKMEM endpoint"},
		{"{\"type\":\"hello\",\"protocol\":2,\"version\":\"9\",\"pid\":7,\"exe\":\"x\"}\n", "protocol 2"},
		{"{\"type\":\"error\",\"code\":\"busy\",\"message\":\"too many clients\"}\n", "too many clients"},
		{"{\"type\":\"hello\"", "the connection ended"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct client client;
		struct problem problem = {""};
		pid_t pid = serve(cases[i].greeting, NULL, 0);
		UNIT_EQUAL(client_connect(&client, path, 5000, &problem), CLIENT_REFUSED);
		if (strstr(problem.text, cases[i].named) == NULL)
			fprintf(stderr, "\n    \"%s\" doesn't say %s\n", problem.text, cases[i].named);
		CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, cases[i].named));
		CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, path));
		CU_ASSERT_EQUAL(client.fd, -1);
		end(pid);
	}
}

static void nobody_there(void)
{
	struct client client;
	struct problem problem = {""};
	UNIT_EQUAL(client_connect(&client, "client_test_none.sock", 1000, &problem), CLIENT_ABSENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "client_test_none.sock"));
	UNIT_EQUAL(client_connect(&client, "", 1000, &problem), CLIENT_REFUSED);
	UNIT_EQUAL(client_connect(&client, "/", 1000, &problem), CLIENT_REFUSED);
	pid_t pid = serve("", NULL, 0);
	UNIT_EQUAL(client_connect(&client, path, 50, &problem), CLIENT_SILENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "stopped"));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	UNIT_EQUAL(client_connect(&client, path, 1000, &problem), CLIENT_ABSENT);
	unlink(path);
}

/* A socket that is named after a process greets as that process. */
static void the_name_and_the_greeting_agree(void)
{
	static const struct {
		const char *name;
		enum client_connect_result result;
	} cases[] = {{"7-9.sock", CLIENT_CONNECTED}, {"8-9.sock", CLIENT_REFUSED}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct client client;
		struct problem problem = {""};
		pid_t pid = serve(HELLO, NULL, 0);
		CU_ASSERT_EQUAL_FATAL(rename(path, cases[i].name), 0);
		UNIT_EQUAL(client_connect(&client, cases[i].name, 5000, &problem), cases[i].result);
		CU_ASSERT_EQUAL(strstr(problem.text, "named after") != NULL, cases[i].result == CLIENT_REFUSED);
		client_close(&client);
		unlink(cases[i].name);
		end(pid);
	}
}

static void the_peer_is_known(void)
{
	struct client client;
	struct problem problem = {""};
	pid_t pid = serve(HELLO, NULL, 0);
	UNIT_EQUAL(client_open(&client, path, &problem), CLIENT_CONNECTED);
	UNIT_EQUAL(client.peer_pid, getpid());
	UNIT_EQUAL(client.peer_uid, geteuid());
	/* What has arrived is read although the time is over. */
	struct pollfd readable = {client.fd, POLLIN, 0};
	CU_ASSERT_EQUAL(poll(&readable, 1, 20000), 1);
	UNIT_EQUAL(client_greet(&client, path, client_now_ms() - 1, &problem), CLIENT_CONNECTED);
	client_close(&client);
	end(pid);
}

/* A message far longer than a read, and several in one. */
static void lines_of_all_lengths(void)
{
	static char reply[3000000];
	struct client client;
	struct problem problem = {""};
	size_t length;
	memset(reply, 'x', sizeof(reply));
	memcpy(reply, "\na\nbb\n", 6);
	reply[sizeof(reply) - 6] = '\n';
	memcpy(reply + sizeof(reply) - 5, "tail", 4);
	pid_t pid = serve(HELLO, reply, sizeof(reply) - 1);
	UNIT_EQUAL(client_connect(&client, path, 5000, &problem), CLIENT_CONNECTED);
	CU_ASSERT_TRUE(client_send(&client, "snapshot"));
	int64_t deadline = client_now_ms() + 20000;
	char *line = client_wait(&client, deadline, &length, &problem);
	CU_ASSERT_TRUE(line != NULL && length == 0);
	UNIT_STRING(client_wait(&client, deadline, &length, &problem), "a");
	UNIT_STRING(client_wait(&client, deadline, &length, &problem), "bb");
	line = client_wait(&client, deadline, &length, &problem);
	CU_ASSERT_PTR_NOT_NULL_FATAL(line);
	UNIT_EQUAL(length, sizeof(reply) - 6 - 6);
	UNIT_EQUAL(strlen(line), length);
	/* Half a line isn't handed out. */
	CU_ASSERT_PTR_NULL(client_wait(&client, deadline, &length, &problem));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "ended"));
	client_close(&client);
	end(pid);
}

/* A target can't make the viewer take all memory. */
static void endless_lines_end_the_connection(void)
{
	size_t length = CLIENT_LINE_MAX + 1;
	char *reply = malloc(length);
	struct client client;
	struct problem problem = {""};
	CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
	memset(reply, 'x', length);
	pid_t pid = serve(HELLO, reply, length);
	UNIT_EQUAL(client_connect(&client, path, 5000, &problem), CLIENT_CONNECTED);
	CU_ASSERT_TRUE(client_send(&client, "snapshot"));
	CU_ASSERT_PTR_NULL(client_wait(&client, client_now_ms() + 20000, &length, &problem));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "too long"));
	CU_ASSERT_TRUE(client.capacity <= CLIENT_LINE_MAX);
	client_close(&client);
	free(reply);
	end(pid);
}

/* What isn't the answer is passed over; who is refused learns why. */
static void answers_and_refusals(void)
{
	static const struct {
		const char *reply, *problem;
	} cases[] = {
		{"{\"type\":\"events\"}\n7\n{\"type\":\"guarded\",\"n\":5}\n", ""},
		{"{\"type\":\"error\",\"code\":\"later\",\"message\":\"too many\\u001b requests\"}\n", "the target answers: too many? requests"},
		{"{\"type\":\"error\",\"code\":5}\n", "the target answers: error"},
		{"{\"type\":\"error\",\"code\":\"unknown_verb\",\"message\":\"?\"}\n", "its libhakmem.so is of a version that keeps nothing"},
		{"{\"type\":\n", "its answer is not JSON"},
		{"{\"type\":\"events\"}\n", "the connection ended"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct client client;
		struct problem problem = {""};
		pid_t pid = serve(HELLO, cases[i].reply, strlen(cases[i].reply));
		UNIT_EQUAL(client_connect(&client, path, 5000, &problem), CLIENT_CONNECTED);
		cJSON *document = client_ask(&client, "guarded", "guarded", "keeps nothing", &problem);
		UNIT_STRING(problem.text, cases[i].problem);
		CU_ASSERT_EQUAL(document != NULL, *cases[i].problem == '\0');
		CU_ASSERT_EQUAL(cJSON_HasObjectItem(document, "n") != 0, document != NULL);
		cJSON_Delete(document);
		client_close(&client);
		end(pid);
	}
}

static void long_requests_are_refused(void)
{
	char request[5000];
	struct client client = {.fd = 0};
	memset(request, 'x', sizeof(request));
	request[sizeof(request) - 1] = '\0';
	CU_ASSERT_FALSE(client_send(&client, request));
	client.fd = -1;
	CU_ASSERT_FALSE(client_send(&client, "ping"));
	CU_ASSERT_FALSE(client_fill(&client));
}

/* sun_path holds 107 bytes; a longer path goes through its opened directory. */
static void long_paths(void)
{
	char cwd[PATH_MAX / 2], directory[PATH_MAX], full[PATH_MAX + 128];
	struct client client;
	struct problem problem = {""};
	CU_ASSERT_PTR_NOT_NULL_FATAL(getcwd(cwd, sizeof(cwd)));
	snprintf(directory, sizeof(directory), "%s/%0120d", cwd, 7);
	CU_ASSERT_EQUAL_FATAL(mkdir(directory, 0700), 0);
	pid_t pid = serve(HELLO, NULL, 0);
	snprintf(full, sizeof(full), "%s/%s", directory, path);
	CU_ASSERT_EQUAL(rename(path, full), 0);
	UNIT_EQUAL(client_connect(&client, full, 5000, &problem), CLIENT_CONNECTED);
	UNIT_STRING(problem.text, "");
	client_close(&client);
	unlink(full);
	rmdir(directory);
	end(pid);
}

UNIT_MAIN("client", UNIT(greeting), UNIT(wrong_greetings), UNIT(nobody_there), UNIT(lines_of_all_lengths),
	UNIT(endless_lines_end_the_connection), UNIT(answers_and_refusals),
	UNIT(long_requests_are_refused), UNIT(long_paths), UNIT(the_name_and_the_greeting_agree),
	UNIT(the_peer_is_known))
