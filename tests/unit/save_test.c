#include "viewer/save.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "tests/unit/unit.h"

static char folder[PATH_MAX];
static struct problem problem;

/* A path in the folder; the last four stay valid. */
static const char *in(const char *name)
{
	static char paths[4][PATH_MAX + 64];
	static unsigned next;
	char *path = paths[next++ % 4];
	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static const char *content(const char *path)
{
	static char text[64];
	FILE *file = fopen(path, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	return text;
}

static bool save(const char *path, const char *text)
{
	problem.text[0] = '\0';
	return save_text(path, text, strlen(text), &problem);
}

static void files_are_replaced_and_private(void)
{
	struct stat status, again;
	umask(022);
	CU_ASSERT_TRUE(save(in("plain"), "one"));
	UNIT_STRING(content(in("plain")), "one\n");
	CU_ASSERT_EQUAL_FATAL(stat(in("plain"), &status), 0);
	UNIT_EQUAL(status.st_mode & 0777, 0600);
	int before = open(in("plain"), O_RDONLY);
	CU_ASSERT_TRUE(save(in("plain"), "two"));
	UNIT_STRING(content(in("plain")), "two\n");
	/* Whoever had the old file open goes on seeing the whole of it. */
	CU_ASSERT_EQUAL_FATAL(fstat(before, &again), 0);
	UNIT_EQUAL(again.st_ino, status.st_ino);
	UNIT_EQUAL(again.st_size, 4);
	close(before);
}

/* What is no text gets nothing behind it. */
static void bytes(void)
{
	CU_ASSERT_TRUE(save_bytes(in("bytes"), "a\0b", 3, &problem));
	struct stat status;
	CU_ASSERT_EQUAL(stat(in("bytes"), &status), 0);
	CU_ASSERT_EQUAL(status.st_size, 3);
	unlink(in("bytes"));
}

static void links_stay_links(void)
{
	struct stat status;
	CU_ASSERT_TRUE(save(in("target"), "old"));
	CU_ASSERT_EQUAL(symlink("target", in("link")), 0);
	CU_ASSERT_EQUAL(symlink("nothing yet", in("dangling")), 0);
	CU_ASSERT_TRUE(save(in("link"), "new"));
	CU_ASSERT_TRUE(lstat(in("link"), &status) == 0 && S_ISLNK(status.st_mode));
	UNIT_STRING(content(in("target")), "new\n");
	CU_ASSERT_TRUE(save(in("dangling"), "made"));
	CU_ASSERT_TRUE(lstat(in("dangling"), &status) == 0 && S_ISLNK(status.st_mode));
	UNIT_STRING(content(in("nothing yet")), "made\n");
}

static void a_fifo_is_written_to(void)
{
	char text[64] = "";
	struct stat status;
	CU_ASSERT_EQUAL_FATAL(mkfifo(in("fifo"), 0600), 0);
	int reader = open(in("fifo"), O_RDONLY | O_NONBLOCK);
	CU_ASSERT_TRUE(save(in("fifo"), "through"));
	CU_ASSERT_EQUAL(read(reader, text, sizeof(text) - 1), 8);
	UNIT_STRING(text, "through\n");
	close(reader);
	CU_ASSERT_TRUE(lstat(in("fifo"), &status) == 0 && S_ISFIFO(status.st_mode));
}

static void a_device_stays_a_device(void)
{
	struct stat status;
	UNIT_LEAVE_IF(mknod(in("null"), S_IFCHR | 0600, 1 << 8 | 3) != 0, "this user can't make devices");
	int fd = open(in("null"), O_WRONLY);
	close(fd);
	UNIT_LEAVE_IF(fd < 0, "devices can't be opened in this folder");
	CU_ASSERT_TRUE(save(in("null"), "nothing"));
	CU_ASSERT_TRUE(lstat(in("null"), &status) == 0 && S_ISCHR(status.st_mode));
}

static void what_cannot_be_written(void)
{
	CU_ASSERT_FALSE(save(folder, "x"));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "directory"));
	CU_ASSERT_FALSE(save(in("no folder/x"), "x"));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "No such file"));
	CU_ASSERT_FALSE(save("", "x"));
	if (access("/dev/full", W_OK) == 0) {
		CU_ASSERT_EQUAL(symlink("/dev/full", in("full")), 0);
		CU_ASSERT_FALSE(save(in("full"), "x"));
		CU_ASSERT_PTR_NOT_NULL(strstr(problem.text, "No space"));
	}
}

static void places(void)
{
	char out[PATH_MAX];
	CU_ASSERT_TRUE(save(in("there"), "x"));
	CU_ASSERT_EQUAL(symlink("there", in("to there")), 0);
	CU_ASSERT_EQUAL(symlink(folder, in("round")), 0);
	CU_ASSERT_TRUE(save_place(in("to there"), out));
	UNIT_STRING(out, in("there"));
	CU_ASSERT_TRUE(save_place(in("round/new file"), out));
	UNIT_STRING(out, in("new file"));
	CU_ASSERT_TRUE(save_place("/no-such-name-at-the-top", out));
	UNIT_STRING(out, "/no-such-name-at-the-top");
	CU_ASSERT_FALSE(save_place(folder, out));
	CU_ASSERT_FALSE(save_place(in("none/x"), out));
	CU_ASSERT_FALSE(save_place("", out));
	CU_ASSERT_FALSE(save_place("/dev/null", out));
	CU_ASSERT_EQUAL_FATAL(chdir(folder), 0);
	CU_ASSERT_TRUE(save_place("bare", out));
	UNIT_STRING(out, in("bare"));
}

int main(int argc, char **argv)
{
	static const struct unit_case cases[] = {
		UNIT(files_are_replaced_and_private), UNIT(bytes), UNIT(links_stay_links), UNIT(a_fifo_is_written_to),
		UNIT(a_device_stays_a_device), UNIT(what_cannot_be_written), UNIT(places),
	};
	char relative[] = "save_test_XXXXXX", command[PATH_MAX + 16];
	if (mkdtemp(relative) == NULL || realpath(relative, folder) == NULL)
		return 2;
	int status = unit_run("save", cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
	snprintf(command, sizeof(command), "rm -r '%s'", folder);
	return system(command) == 0 ? status : 2;
}
