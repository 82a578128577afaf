#include "introspect/gcc.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>
#include <unwind.h>

#include "introspect/library.h"
#include "introspect/object.h"

static __typeof__(_Unwind_Backtrace) *backtrace = _Unwind_Backtrace;
static __typeof__(_Unwind_GetIP) *get_ip = _Unwind_GetIP;

#define NAME "libgcc_s.so.1"

/* dl_iterate_phdr's callback: whether it is the file. To ask dlopen for what is there already takes as long as to load it, if it isn't. */
static int is_libgcc(struct dl_phdr_info *info, size_t size, void *ignored)
{
	const char *file = info->dlpi_name ? strrchr(info->dlpi_name, '/') : NULL;

	(void)size, (void)ignored;
	return file && strcmp(file + 1, NAME) == 0;
}

void hak_gcc_begin(bool load)
{
	void *library = load || dl_iterate_phdr(is_libgcc, NULL) ? hak_library_load(NAME) : NULL;
	void *symbols[2] = {NULL};

	if (!library)
		return;
	symbols[0] = hak_library_symbol(library, "_Unwind_Backtrace");
	symbols[1] = hak_library_symbol(library, "_Unwind_GetIP");
	if (!symbols[0] || !symbols[1])
		return;
	*(void **)&backtrace = symbols[0];
	*(void **)&get_ip = symbols[1];
}

struct walk {
	uintptr_t *frames;
	unsigned count, room;
};

static _Unwind_Reason_Code take_frame(struct _Unwind_Context *context, void *argument)
{
	struct walk *walk = argument;

	if (walk->count == walk->room)
		return _URC_END_OF_STACK;
	walk->frames[walk->count] = get_ip(context);
	if (!walk->frames[walk->count])
		return _URC_END_OF_STACK;
	walk->count++;
	return _URC_NO_REASON;
}

unsigned hak_gcc_walk(uintptr_t *frames, unsigned room)
{
	struct walk walk = {.frames = frames, .room = room};

	backtrace(take_frame, &walk);
	return walk.count;
}

#ifdef DLFO_STRUCT_HAS_EH_DBASE
/* The copy asks for files by this name, libc's of 2.35. Answered here the library goes on needing no libc as young as that. */
HAK_HIDDEN int _dl_find_object(void *address, struct dl_find_object *out) /* NOLINT(bugprone-reserved-identifier) */
{
	struct hak_object object;

	if (!hak_object_find((uintptr_t)address, &object))
		return -1;
	*out = (struct dl_find_object){.dlfo_eh_frame = (void *)(uintptr_t)object.unwind_table};
	return 0;
}
#endif
