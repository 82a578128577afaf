/* A child's endpoint (introspect/attach.c): of all threads whose slow path comes at the time, one starts it, and whoever
 * finds it started finds all of it. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tests/model/atomic.h"

#include "introspect/crash.h"
#include "introspect/dump.h"
#include "introspect/fault.h"
#include "introspect/proc.h"
#include "introspect/protocol.h"
#include "introspect/quiet.h"
#include "introspect/ring.h"
#include "introspect/server.h"
#include "introspect/snapshot.h"
#include "introspect/trace_file.h"

/* Stands for what its maker writes. */
struct hak_server {
	char contents;
};
static struct hak_server only_server;
static uint32_t alive;       /* as trace_file.c has it */
static unsigned started, unlinked;

static struct hak_server *start_one(void)
{
	model_plain(&only_server);
	started++;
	return &only_server;
}

#define hak_snapshot_now_us() ((uint64_t)1 << 40)
#define hak_undisturbed_begin(undisturbed) ((void)(undisturbed))
#define hak_undisturbed_end(undisturbed) ((void)(undisturbed))
#define hak_trace_request_tick(on) ((void)(on))
#define hak_server_start(options, error, path, size) ((void)(options), *(error) = 0, (void)(path), start_one())
#define hak_server_unlink(found) (model_plain(found), (void)unlinked++)
#define hak_trace_file_open(options, tried, size) ((void)(options), (void)(tried), 0)
#define hak_trace_file_alive() (&alive)
#define hak_trace_file_end() ((void)0)
#define hak_ring_record(event) ((void)(event))
#include "introspect/attach.c"

static void setup(void)
{
	hak_config.introspect = 1;
	memset(&attached, 0, sizeof(attached));
	attached.owner = getpid();
	attached.is_child = true;
	recording = &alive;
	alive = 0; /* wiped, in a child */
	started = unlinked = 0;
}

static void slow_path(void)
{
	tick();
}

static void end(void)
{
	hak_detach();
}

static void check(void)
{
	model_require(started == 1 && attached.server, "the endpoint is started once");
}

static void check_end(void)
{
	check();
	model_require(unlinked <= 1, "its socket goes once");
}

int main(void)
{
	static const struct model models[] = {
		{"two threads", setup, {slow_path, slow_path}, check, {0}},
		{"three threads", setup, {slow_path, slow_path, slow_path}, check, {0}},
		{"the process ends meanwhile", setup, {slow_path, end}, check_end, {0}},
		{0},
	};
	static const struct model_spare spares[] = {
		{"tick", 0, NULL, 0, "whoever comes second does nothing"},
		{"start_trace_file", 0, NULL, 0, "the word says no more than that events may be recorded: ring.c brings its own acquire"},
		{0},
	};

	return model_main(models, spares);
}
