#include "viewer/dwarf.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "viewer/dwarf_scopes.h"

/* The addresses of a unit of compilation; a unit may have several ranges. */
struct unit {
	Dwarf_Addr low, high;
	Dwarf_Off die;
};

#define SIZELESS_MAX 4096

/* A function as linkers see it. */
struct name {
	uint64_t low, size; /* 0: not told */
	const char *text;
};

struct dwarf {
	Dwfl *dwfl;
	Dwfl_Module *module;
	char *debug_path;
	Dwfl_Callbacks callbacks;
	struct unit *units; /* by address; clang leaves out the table that libdw would find them by */
	size_t unit_count, unit_capacity;
	bool units_read;
	dwarf_scopes scopes;
	struct name *names; /* of functions */
	size_t name_count;
	bool names_read;
};

/* The file is given when the module is reported; there is none to look for. */
static int no_elf(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base, char **file, Elf **elf)
{
	(void)module, (void)data, (void)name, (void)base, (void)file, (void)elf;
	return -1;
}

struct dwarf *dwarf_open(int fd, const char *path, char *debug_path)
{
	struct dwarf *dwarf = calloc(1, sizeof(*dwarf));
	if (dwarf == NULL) {
		close(fd);
		return NULL;
	}
	dwarf->debug_path = debug_path;
	dwarf->callbacks = (Dwfl_Callbacks){
		.find_elf = no_elf, .find_debuginfo = dwfl_standard_find_debuginfo, .section_address = dwfl_offline_section_address,
		.debuginfo_path = &dwarf->debug_path,
	};
	/* A handle of its own for each file: modules of a hostile document that overlap don't meet. */
	dwarf->dwfl = dwfl_begin(&dwarf->callbacks);
	if (dwarf->dwfl != NULL) {
		dwfl_report_begin(dwarf->dwfl);
		dwarf->module = dwfl_report_elf(dwarf->dwfl, path, path, fd, 0, true);
		dwfl_report_end(dwarf->dwfl, NULL, NULL);
	}
	if (dwarf->module != NULL)
		return dwarf;
	close(fd);
	dwarf_close(dwarf);
	return NULL;
}

void dwarf_close(struct dwarf *dwarf)
{
	if (dwarf == NULL)
		return;
	dwarf_scopes_free(&dwarf->scopes);
	dwfl_end(dwarf->dwfl);
	free(dwarf->units);
	free(dwarf->names);
	free(dwarf);
}

/* ---- Units ---- */

static bool add_unit(struct dwarf *dwarf, struct unit unit)
{
	if (dwarf->unit_count == dwarf->unit_capacity) {
		size_t capacity = dwarf->unit_capacity > 0 ? 2 * dwarf->unit_capacity : 64;
		struct unit *units = realloc(dwarf->units, capacity * sizeof(*units));
		if (units == NULL)
			return false;
		dwarf->units = units;
		dwarf->unit_capacity = capacity;
	}
	dwarf->units[dwarf->unit_count++] = unit;
	return true;
}

static int compare_units(const void *a, const void *b)
{
	const struct unit *left = a, *right = b;
	return left->low < right->low ? -1 : left->low > right->low;
}

static void read_units(struct dwarf *dwarf)
{
	Dwarf_Addr bias, base, low, high;
	Dwarf_Die *die = NULL;
	dwarf->units_read = true;
	while ((die = dwfl_module_nextcu(dwarf->module, die, &bias)) != NULL) {
		for (ptrdiff_t at = 0; (at = dwarf_ranges(die, at, &base, &low, &high)) > 0;) {
			if (high > low && !add_unit(dwarf, (struct unit){low + bias, high + bias, dwarf_dieoffset(die)}))
				return;
		}
	}
	if (dwarf->unit_count > 1)
		qsort(dwarf->units, dwarf->unit_count, sizeof(*dwarf->units), compare_units);
}

/* The unit that an address belongs to. `bias` is what its debug information's addresses are less than the file's. */
static Dwarf_Die *unit_of(struct dwarf *dwarf, uint64_t address, Dwarf_Die *room, Dwarf_Addr *bias)
{
	Dwarf_Die *found = dwfl_module_addrdie(dwarf->module, address, bias);
	if (found != NULL)
		return found;
	if (!dwarf->units_read)
		read_units(dwarf);
	size_t low = 0, high = dwarf->unit_count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (dwarf->units[middle].low <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || address >= dwarf->units[low - 1].high)
		return NULL;
	Dwarf *debug = dwfl_module_getdwarf(dwarf->module, bias);
	return debug != NULL ? dwarf_offdie(debug, dwarf->units[low - 1].die, room) : NULL;
}

/* ---- Names of linkers ---- */

/* In the order of addresses; of several names for one address the one that people know comes last: with a size, and with the
 * fewest underscores before it. */
static int compare_names(const void *a, const void *b)
{
	const struct name *left = a, *right = b;
	if (left->low != right->low)
		return left->low < right->low ? -1 : 1;
	if ((left->size > 0) != (right->size > 0))
		return left->size > 0 ? 1 : -1;
	size_t underscores = strspn(left->text, "_"), others = strspn(right->text, "_");
	return underscores != others ? (underscores > others ? -1 : 1) : -strcmp(left->text, right->text);
}

/* libdwfl's own search looks at every symbol each time. */
static void read_names(struct dwarf *dwarf)
{
	int count = dwfl_module_getsymtab(dwarf->module);
	dwarf->names_read = true;
	dwarf->names = count > 0 ? calloc((size_t)count, sizeof(*dwarf->names)) : NULL;
	for (int i = 0; dwarf->names != NULL && i < count; i++) {
		GElf_Sym symbol;
		GElf_Addr address;
		const char *text = dwfl_module_getsym_info(dwarf->module, i, &symbol, &address, NULL, NULL, NULL);
		int type = GELF_ST_TYPE(symbol.st_info);
		if (text != NULL && *text != '\0' && symbol.st_shndx != SHN_UNDEF && (type == STT_FUNC || type == STT_GNU_IFUNC))
			dwarf->names[dwarf->name_count++] = (struct name){address, symbol.st_size, text};
	}
	if (dwarf->names != NULL)
		qsort(dwarf->names, dwarf->name_count, sizeof(*dwarf->names), compare_names);
}

/* The function's name at `address`. One without a size, as in assembler, reaches to the next, but not far. */
static const char *name_at(struct dwarf *dwarf, uint64_t address)
{
	if (!dwarf->names_read)
		read_names(dwarf);
	size_t low = 0, high = dwarf->names != NULL ? dwarf->name_count : 0;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (dwarf->names[middle].low <= address)
			low = middle + 1;
		else
			high = middle;
	}
	const struct name *name = low > 0 ? &dwarf->names[low - 1] : NULL;
	return name != NULL && address - name->low < (name->size > 0 ? name->size : SIZELESS_MAX) ? name->text : NULL;
}

/* ---- Lines ---- */

static const char *name_of(Dwarf_Die *die)
{
	Dwarf_Attribute attribute;
	const char *name = NULL;
	if (dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute) != NULL ||
		dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute) != NULL)
		name = dwarf_formstring(&attribute);
	/* In C it is an alias that the source doesn't have. */
	bool mangled = name != NULL && name[0] == '_' && (name[1] == 'Z' || name[1] == 'R');
	return mangled ? name : dwarf_diename(die);
}

static uint64_t number_of(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attribute;
	Dwarf_Word value;
	return dwarf_attr(die, name, &attribute) != NULL && dwarf_formudata(&attribute, &value) == 0 ? value : 0;
}

/* Where an inlined function was called. */
static void set_call(struct dwarf_line *line, Dwarf_Die *unit, Dwarf_Die *call)
{
	Dwarf_Files *files;
	size_t count, file = number_of(call, DW_AT_call_file);
	if (dwarf_getsrcfiles(unit, &files, &count) == 0 && file < count && file > 0)
		line->file = dwarf_filesrc(files, file, NULL, NULL);
	line->line = (unsigned)number_of(call, DW_AT_call_line);
}

/* The functions around the code at `address`; out[0] has file and line already. */
static size_t add_functions(struct dwarf *dwarf, Dwarf_Die *unit, Dwarf_Addr address, struct dwarf_line out[DWARF_LINES_MAX])
{
	Dwarf_Die scopes[DWARF_LINES_MAX];
	Dwarf_Addr bias;
	Dwarf *debug = dwfl_module_getdwarf(dwarf->module, &bias);
	size_t count = debug != NULL ? dwarf_scopes_at(&dwarf->scopes, debug, unit, address, scopes, DWARF_LINES_MAX) : 0;
	for (size_t i = 0; i < count; i++) {
		out[i].linkage = name_of(&scopes[i]);
		out[i].inlined = i + 1 < count;
		if (i + 1 == count)
			break;
		out[i + 1] = (struct dwarf_line){.linkage = NULL};
		set_call(&out[i + 1], unit, &scopes[i]);
	}
	return count;
}

static const char *folder_of(Dwarf_Die *unit)
{
	Dwarf_Attribute attribute;
	return dwarf_attr(unit, DW_AT_comp_dir, &attribute) != NULL ? dwarf_formstring(&attribute) : NULL;
}

size_t dwarf_lines(struct dwarf *dwarf, uint64_t address, struct dwarf_line out[DWARF_LINES_MAX])
{
	Dwarf_Addr bias = 0;
	Dwarf_Die room, *unit = unit_of(dwarf, address, &room, &bias);
	size_t count = 0;
	int line = 0;
	out[0] = (struct dwarf_line){.linkage = NULL};
	if (unit != NULL) {
		Dwarf_Line *place = dwarf_getsrc_die(unit, address - bias);
		if (place != NULL && dwarf_lineno(place, &line) == 0) {
			out[0].file = dwarf_linesrc(place, NULL, NULL);
			out[0].line = line > 0 ? (unsigned)line : 0;
		}
		count = add_functions(dwarf, unit, address - bias, out);
		for (size_t i = 0; i < (count > 0 ? count : 1); i++)
			out[i].folder = folder_of(unit);
	}
	/* The table of symbols knows the outermost function too. Of functions that only their file sees, debug information has
	 * no more than the last part of a name of C++ or Rust, while a name of C may have been given a suffix here. */
	const char *name = name_at(dwarf, address);
	bool known = count > 0 && out[count - 1].linkage != NULL;
	if (name != NULL && (count == 0 || !out[count - 1].inlined) && (!known || name[0] == '_')) {
		count = count > 0 ? count : 1;
		if (!known || name[1] == 'Z' || name[1] == 'R')
			out[count - 1].linkage = name;
	}
	return count > 0 ? count : out[0].file != NULL;
}

bool dwarf_is_signal_frame(struct dwarf *dwarf, uint64_t address)
{
	Dwarf_Addr bias = 0, start, end;
	Dwarf_Frame *frame = NULL;
	bool is_signal = false;
	Dwarf_CFI *cfi = dwfl_module_eh_cfi(dwarf->module, &bias);
	if (cfi == NULL || dwarf_cfi_addrframe(cfi, address - bias, &frame) != 0)
		return false;
	if (dwarf_frame_info(frame, &start, &end, &is_signal) < 0)
		is_signal = false;
	free(frame);
	return is_signal;
}
