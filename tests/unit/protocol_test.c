/* Names and directories that endpoints and clients must agree on. */
#include "introspect/protocol.h"

#include "lib/base.h"
#include "tests/unit/unit.h"

static void directories(void)
{
	static const struct {
		unsigned candidate;
		const char *hakmem_dir, *xdg;
		uid_t uid;
		const char *expected; /* NULL: there is none */
	} cases[] = {
		{0, NULL, NULL, 1000, "/tmp/hakmem-1000"}, {1, NULL, NULL, 1000, NULL},
		{0, "", "", 1000, "/tmp/hakmem-1000"},
		{0, NULL, "/run/user/7", 7, "/run/user/7/hakmem"}, {1, NULL, "/run/user/7", 7, "/tmp/hakmem-7"},
		{2, NULL, "/run/user/7", 7, NULL}, {0, NULL, "relative", 7, "/tmp/hakmem-7"},
		{0, NULL, NULL, 0, "/run/hakmem"}, {1, NULL, NULL, 0, "/tmp/hakmem-0"}, {2, NULL, NULL, 0, NULL},
		{0, NULL, "/x", 0, "/x/hakmem"}, {1, NULL, "/x", 0, "/run/hakmem"}, {2, NULL, "/x", 0, "/tmp/hakmem-0"},
		{0, "/chosen", "/x", 0, "/chosen"}, {1, "/chosen", "/x", 0, NULL}, {0, "here", NULL, 5, "here"},
	};
	for (size_t i = 0; i < HAK_COUNT_OF(cases); i++) {
		char out[HAK_PROTOCOL_PATH_MAX];
		size_t length = hak_protocol_directory(cases[i].candidate, cases[i].hakmem_dir, cases[i].xdg,
			cases[i].uid, out, sizeof(out));
		if (cases[i].expected)
			UNIT_STRING(out, cases[i].expected);
		UNIT_EQUAL(length, cases[i].expected ? strlen(cases[i].expected) : 0);
	}
	char small[8];
	UNIT_EQUAL(hak_protocol_directory(0, "/1234567", NULL, 1, small, sizeof(small)), 0);
	UNIT_EQUAL(hak_protocol_directory(0, "/123456", NULL, 1, small, sizeof(small)), 7);
	UNIT_EQUAL(hak_protocol_directory(0, "/x", NULL, 1, small, 0), 0);
}

static void socket_names(void)
{
	char name[HAK_PROTOCOL_NAME_MAX];
	pid_t pid = 0;
	uint64_t start = 1;
	UNIT_EQUAL(hak_protocol_socket_name(INT32_MAX, UINT64_MAX, name, sizeof(name)), strlen(name));
	UNIT_STRING(name, "2147483647-18446744073709551615.sock");
	hak_protocol_socket_name(42, 0, name, sizeof(name));
	UNIT_STRING(name, "42-0.sock");
	CU_ASSERT_TRUE(hak_protocol_parse_name(name, &pid, &start));
	UNIT_EQUAL(pid, 42);
	UNIT_EQUAL(start, 0);
	CU_ASSERT_TRUE(hak_protocol_parse_name("2147483647-1234567890123456789.sock", &pid, &start));
	UNIT_EQUAL(pid, INT32_MAX);
	UNIT_EQUAL(start, 1234567890123456789u);
	UNIT_EQUAL(hak_protocol_socket_name(42, 0, name, 9), 0);
	static const char *const others[] = {"", ".", "..", ".42-0.sock", "42.sock", "42-.sock", "-0.sock", "42-0",
		"42-0.sock2", "42-0.soc", "0-1.sock", "2147483648-1.sock", "1-99999999999999999999.sock", "a-1.sock",
		"1-1x.sock", " 1-1.sock", "+1-1.sock"};
	for (size_t i = 0; i < HAK_COUNT_OF(others); i++)
		CU_ASSERT_FALSE(hak_protocol_parse_name(others[i], &pid, &start));
}

static void addresses(void)
{
	struct sockaddr_un address;
	char directory[200];
	CU_ASSERT_TRUE(hak_protocol_address(&address, "/run/x", -1, "1-2.sock"));
	UNIT_STRING(address.sun_path, "/run/x/1-2.sock");
	UNIT_EQUAL(address.sun_family, AF_UNIX);
	memset(directory, 'd', sizeof(directory));
	directory[sizeof(directory) - 1] = 0;
	CU_ASSERT_FALSE(hak_protocol_address(&address, directory, -1, "1-2.sock"));
	CU_ASSERT_TRUE(hak_protocol_address(&address, directory, 17, "1-2.sock"));
	UNIT_STRING(address.sun_path, "/proc/thread-self/fd/17/1-2.sock");
	directory[sizeof(address.sun_path) - strlen("/1-2.sock") - 1] = 0;
	CU_ASSERT_TRUE(hak_protocol_address(&address, directory, -1, "1-2.sock"));
	UNIT_EQUAL(strlen(address.sun_path), sizeof(address.sun_path) - 1);
}

UNIT_MAIN("protocol", UNIT(directories), UNIT(socket_names), UNIT(addresses))
