/* api.c: the functions of lib/hakmem.h that need introspection. lib/hakmem.c has weak ones that return -ENOSYS. They run
 * on the program's threads, and need neither a setting nor the endpoint. */
#include "introspect/api.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "introspect/config.h"
#include "introspect/dump.h"
#include "introspect/encode.h"
#include "introspect/memory.h"
#include "introspect/proc.h"
#include "introspect/quiet.h"
#include "introspect/snapshot.h"

/* Takes a snapshot and encodes it into `out`. Returns 0 or a negative errno. */
static int take(struct hak_buffer *out)
{
	struct hak_snapshot *snapshot = hak_memory_map(sizeof(*snapshot), HAK_MEMORY_PRIVATE);
	struct hak_json json;
	int error = -ENOMEM;

	if (!snapshot)
		return error;
	hak_snapshot_init(snapshot);
	if (hak_snapshot_take(snapshot)) {
		hak_json_to_buffer(&json, out);
		hak_encode_snapshot(&json, snapshot);
		hak_json_newline(&json);
		error = hak_json_finish(&json) ? 0 : -json.error;
	}
	hak_snapshot_free(snapshot);
	hak_memory_unmap(snapshot, sizeof(*snapshot));
	return error;
}

int64_t hak_snapshot(char *buffer, size_t size)
{
	struct hak_undisturbed undisturbed;
	struct hak_buffer text = {0};
	int64_t result;

	hak_undisturbed_begin(&undisturbed);
	result = take(&text);
	if (size)
		buffer[0] = 0;
	if (result == 0) {
		result = (int64_t)text.length - 1; /* without the newline */
		if ((size_t)result < size) {
			memcpy(buffer, text.data, (size_t)result);
			buffer[result] = 0;
		}
	}
	hak_buffer_free(&text);
	hak_undisturbed_end(&undisturbed);
	return result;
}

static int write_all(int descriptor, const char *bytes, size_t length)
{
	while (length) {
		ssize_t got = write(descriptor, bytes, length);

		if (got < 0 && errno != EINTR)
			return -errno;
		if (got == 0)
			return -EIO; /* what takes nothing would be written to for ever */
		if (got > 0) {
			bytes += got;
			length -= (size_t)got;
		}
	}
	return 0;
}

int hak_snapshot_to(int descriptor)
{
	struct hak_buffer text = {0};
	struct hak_quiet quiet;
	int kept = errno;
	int error;

	hak_quiet_begin(&quiet);
	error = take(&text);
	if (error == 0)
		error = write_all(descriptor, text.data, text.length);
	hak_buffer_free(&text);
	hak_quiet_end(&quiet);
	errno = kept;
	return error;
}

int hak_dump(const char *path)
{
	char whole[HAK_DUMP_PATH_MAX], exe[HAK_PROC_TEXT_MAX];
	int error = -ENAMETOOLONG, kept = errno;
	uint64_t bytes;
	bool fits;

	hak_proc_exe(exe, sizeof(exe));
	fits = path ? hak_dump_resolve(path, whole, sizeof(whole)) :
		      hak_dump_expand(hak_config.dump_path, exe, getpid(), whole, sizeof(whole));
	if (fits)
		error = hak_dump_write(whole, "request", &bytes);
	errno = kept;
	return error;
}
