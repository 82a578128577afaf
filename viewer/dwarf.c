#include "viewer/dwarf.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <stdlib.h>
#include <unistd.h>

/* The addresses of a unit of compilation; a unit may have several ranges. */
struct unit {
	Dwarf_Addr low, high;
	Dwarf_Off die;
};

struct dwarf {
	Dwfl *dwfl;
	Dwfl_Module *module;
	char *debug_path;
	Dwfl_Callbacks callbacks;
	struct unit *units; /* by address; clang leaves out the table that libdw would find them by */
	size_t unit_count, unit_capacity;
	bool units_read;
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
	dwfl_end(dwarf->dwfl);
	free(dwarf->units);
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

/* The scopes that lie around the code at `address`, innermost first. To be freed; the number, 0 or less: none. */
static int scopes_of(struct dwarf *dwarf, Dwarf_Die *unit, Dwarf_Addr address, Dwarf_Die **scopes)
{
	Dwarf_Die innermost;
	Dwarf_Addr bias;
	*scopes = NULL;
	int count = dwarf_getscopes(unit, address, scopes);
	/* Around an inlined function this names where it was written; where it lies is told by the DIE's own place. */
	bool found = count > 0 &&
		dwarf_offdie(dwfl_module_getdwarf(dwarf->module, &bias), dwarf_dieoffset(&(*scopes)[0]), &innermost) != NULL;
	free(*scopes);
	*scopes = NULL;
	return found ? dwarf_getscopes_die(&innermost, scopes) : 0;
}

/* The functions around the code at `address`; out[0] has file and line already. */
static size_t add_functions(struct dwarf *dwarf, Dwarf_Die *unit, Dwarf_Addr address, struct dwarf_line out[DWARF_LINES_MAX])
{
	Dwarf_Die *scopes;
	size_t count = 0;
	int scope_count = scopes_of(dwarf, unit, address, &scopes);
	for (int i = 0; i < scope_count && count < DWARF_LINES_MAX; i++) {
		bool inlined = dwarf_tag(&scopes[i]) == DW_TAG_inlined_subroutine;
		if (!inlined && dwarf_tag(&scopes[i]) != DW_TAG_subprogram)
			continue;
		out[count].linkage = name_of(&scopes[i]);
		out[count].inlined = inlined;
		if (++count == DWARF_LINES_MAX || !inlined)
			break;
		out[count] = (struct dwarf_line){.linkage = NULL};
		set_call(&out[count], unit, &scopes[i]);
	}
	free(scopes);
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
	GElf_Sym symbol;
	GElf_Off offset;
	const char *name = dwfl_module_addrinfo(dwarf->module, address, &offset, &symbol, NULL, NULL, NULL);
	bool known = count > 0 && out[count - 1].linkage != NULL;
	if (name != NULL && *name != '\0' && (count == 0 || !out[count - 1].inlined) && (!known || name[0] == '_')) {
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
