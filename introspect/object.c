#include "introspect/object.h"

#include <dlfcn.h>
#include <link.h>

#include "introspect/library.h"
#include "introspect/proc.h"
#include "lib/atomic.h"

static char program[HAK_PROC_TEXT_MAX]; /* its path */

struct search {
	uintptr_t address;
	struct hak_object *out;
};

/* dl_iterate_phdr's callback. */
static int take_if_here(struct dl_phdr_info *info, size_t size, void *argument)
{
	struct search *search = argument;
	bool here = false;

	(void)size;
	*search->out = (struct hak_object){.bias = info->dlpi_addr, .path = info->dlpi_name ? info->dlpi_name : ""};
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];

		if (segment->p_type == PT_LOAD)
			here |= search->address - info->dlpi_addr - segment->p_vaddr < segment->p_memsz;
		else if (segment->p_type == PT_GNU_EH_FRAME)
			search->out->unwind_table = (const uint8_t *)(info->dlpi_addr + segment->p_vaddr);
	}
	return here;
}

static bool find_by_list(uintptr_t address, struct hak_object *out)
{
	struct search search = {address, out};

	return dl_iterate_phdr(take_if_here, &search) != 0;
}

#ifdef DLFO_STRUCT_HAS_EH_DBASE
static __typeof__(_dl_find_object) *find_object;

void hak_object_begin(void)
{
	void *symbol = hak_library_symbol ? hak_library_symbol(NULL, "_dl_find_object") : NULL;

	hak_proc_exe(program, sizeof(program));
	hak_store_release((void **)&find_object, symbol);
}

bool hak_object_find(uintptr_t address, struct hak_object *out)
{
	__typeof__(_dl_find_object) *find = hak_load_acquire(&find_object);
	struct dl_find_object found;

	if (!find)
		return find_by_list(address, out);
	if (find((void *)address, &found) != 0)
		return false;
	*out = (struct hak_object){
		.bias = found.dlfo_link_map->l_addr,
		.path = found.dlfo_link_map->l_name ? found.dlfo_link_map->l_name : "",
		.unwind_table = found.dlfo_eh_frame,
	};
	return true;
}
#else
void hak_object_begin(void)
{
	hak_proc_exe(program, sizeof(program));
}

bool hak_object_find(uintptr_t address, struct hak_object *out)
{
	return find_by_list(address, out);
}
#endif

void hak_object_format(struct hak_fmt *fmt, uintptr_t address)
{
	struct hak_object object;

	if (!hak_object_find(address, &object)) {
		hak_fmt_hex(fmt, address);
		return;
	}
	hak_fmt_text(fmt, object.path[0] ? object.path : program);
	hak_fmt_char(fmt, '+');
	hak_fmt_hex(fmt, address - object.bias);
}
