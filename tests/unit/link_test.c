#include "viewer/link.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "introspect/protocol.h"
#include "tests/unit/unit.h"
#include "viewer/discover.h"

#define HELLO "{\"type\":\"hello\",\"protocol\":1,\"version\":\"0.1\",\"pid\":%d,\"exe\":\"/bin/x\"}\n"

static void process_ids(void)
{
	pid_t pid = 0;
	CU_ASSERT_TRUE(link_names_pid("4711", &pid));
	UNIT_EQUAL(pid, 4711);
	CU_ASSERT_FALSE(link_names_pid("0", &pid));
	CU_ASSERT_FALSE(link_names_pid("", &pid));
	CU_ASSERT_FALSE(link_names_pid("-5", &pid));
	CU_ASSERT_FALSE(link_names_pid("4711.json", &pid));
	CU_ASSERT_FALSE(link_names_pid("99999999999", &pid));
	CU_ASSERT_FALSE(link_names_pid("999999999999999999999999", &pid));
}

/* A command's endpoint comes some time after it was started, goes when it runs another program, and comes back. */
static void an_endpoint_is_looked_for_until_it_comes(void)
{
	char directory[] = "link_test_XXXXXX", name[HAK_PROTOCOL_NAME_MAX];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct link link;
	uint64_t start_time = 0;
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
	setenv("HAKMEM_DIR", directory, 1);
	discover_start_time(getpid(), &start_time);
	hak_protocol_socket_name(getpid(), start_time, name, sizeof(name));
	CU_ASSERT_TRUE(hak_protocol_address(&address, directory, -1, name));
	link_init(&link);
	CU_ASSERT_FALSE(link_retry(&link));
	link_expect(&link, getpid());
	CU_ASSERT_FALSE(link_retry(&link));
	for (int round = 0; round < 2; round++) {
		int listener = socket(AF_UNIX, SOCK_STREAM, 0);
		CU_ASSERT_EQUAL_FATAL(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
		listen(listener, 1);
		pid_t server = fork();
		if (server == 0) {
			int fd = accept(listener, NULL, NULL);
			_exit(dprintf(fd, HELLO, (int)getppid()) < 0);
		}
		/* Where others can write, anybody may have put it there. */
		chmod(directory, 0777);
		link_expect(&link, getpid());
		CU_ASSERT_FALSE(link_retry(&link));
		chmod(directory, 0700);
		long long deadline = unit_now_ms() + 20000;
		while (!link_retry(&link) && unit_now_ms() < deadline) {
		}
		CU_ASSERT_TRUE(link_is_open(&link));
		CU_ASSERT_TRUE(link_retry(&link));
		link_close(&link);
		CU_ASSERT_FALSE(link_is_open(&link));
		close(listener);
		waitpid(server, NULL, 0);
		unlink(address.sun_path);
	}
	rmdir(directory);
}

static void targets_that_are_not_there(void)
{
	struct link link;
	struct problem problem = {""};
	link_init(&link);
	CU_ASSERT_FALSE(link_open(&link, "2147483646", LINK_TIMEOUT_MS, &problem));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "no process"));
	CU_ASSERT_FALSE(link_open(&link, "no/such.sock", LINK_TIMEOUT_MS, &problem));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "no/such.sock"));
	CU_ASSERT_FALSE(link_is_open(&link));
}

UNIT_MAIN("link", UNIT(process_ids), UNIT(an_endpoint_is_looked_for_until_it_comes), UNIT(targets_that_are_not_there))
