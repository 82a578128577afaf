#include "viewer/symbols.h"

#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "viewer/demangle.h"
#include "viewer/dwarf.h"
#include "viewer/format.h"

/* A module's file, once somebody asked for it. */
struct file {
	struct dwarf *dwarf;
	char *missing; /* why there is none; NULL: it is there, or not yet looked for */
	bool tried;
};

/* What lies at an address: the same for all stacks that go through it. The first two members are the key. */
struct place {
	uint64_t address;
	bool exact; /* the instruction itself, not one behind a call */
	bool is_signal_frame;
	size_t count;
	struct symbol lines[];
};

struct lines {
	const struct symbol **rows; /* NULL: not yet asked for */
	size_t count;
};

struct symbols {
	const struct profile *profile;
	struct binaries_where where;
	char *debug_path;
	struct profile_module *modules;
	struct file *files;  /* one a module */
	size_t module_count;
	struct lines *lines; /* one a stack */
	size_t stack_count;
	void *places, *texts; /* trees of tsearch */
};

/* ---- Opening and closing ---- */

static void forget_lines(struct symbols *symbols)
{
	for (size_t i = 0; symbols->lines != NULL && i < symbols->stack_count; i++)
		free(symbols->lines[i].rows);
	free(symbols->lines);
	symbols->lines = NULL;
}

static void forget_files(struct symbols *symbols)
{
	for (size_t i = 0; symbols->files != NULL && i < symbols->module_count; i++) {
		dwarf_close(symbols->files[i].dwarf);
		free(symbols->files[i].missing);
		free(symbols->modules[i].path);
	}
	tdestroy(symbols->places, free);
	tdestroy(symbols->texts, free);
	free(symbols->files);
	free(symbols->modules);
	symbols->places = symbols->texts = NULL;
	symbols->files = NULL;
	symbols->modules = NULL;
	symbols->module_count = 0;
}

/* Symbols outlive the profile that they were first asked for with, so they have modules of their own. */
static bool copy_modules(struct symbols *symbols, const struct profile *profile)
{
	symbols->files = calloc(profile->module_count + 1, sizeof(*symbols->files));
	symbols->modules = calloc(profile->module_count + 1, sizeof(*symbols->modules));
	if (symbols->files == NULL || symbols->modules == NULL)
		return false;
	for (size_t i = 0; i < profile->module_count; i++) {
		symbols->modules[i] = profile->modules[i];
		symbols->modules[i].path = strdup(profile->modules[i].path);
		symbols->module_count++;
		if (symbols->modules[i].path == NULL)
			return false;
	}
	return true;
}

static bool has_modules(const struct symbols *symbols, const struct profile *profile)
{
	if (symbols->modules == NULL || symbols->module_count != profile->module_count)
		return false;
	for (size_t i = 0; i < profile->module_count; i++) {
		const struct profile_module *ours = &symbols->modules[i], *theirs = &profile->modules[i];
		if (ours->base != theirs->base || ours->end != theirs->end || strcmp(ours->path, theirs->path) != 0 ||
			ours->build_id_bytes != theirs->build_id_bytes ||
			memcmp(ours->build_id, theirs->build_id, ours->build_id_bytes) != 0)
			return false;
	}
	return true;
}

bool symbols_move(struct symbols *symbols, const struct profile *profile)
{
	forget_lines(symbols);
	symbols->profile = profile;
	symbols->stack_count = profile->stack_count;
	symbols->lines = calloc(profile->stack_count + 1, sizeof(*symbols->lines));
	if (symbols->lines == NULL)
		return false;
	if (has_modules(symbols, profile))
		return true;
	forget_files(symbols);
	return copy_modules(symbols, profile);
}

struct symbols *symbols_open(const struct profile *profile, const struct binaries_where *where)
{
	struct symbols *symbols = calloc(1, sizeof(*symbols));
	if (symbols == NULL)
		return NULL;
	symbols->where = *where;
	symbols->debug_path = binaries_debug_path(where);
	/* Or libdw would ask servers for what isn't here, and wait for them. */
	unsetenv("DEBUGINFOD_URLS");
	if (symbols->debug_path != NULL && symbols_move(symbols, profile))
		return symbols;
	symbols_close(symbols);
	return NULL;
}

void symbols_close(struct symbols *symbols)
{
	if (symbols == NULL)
		return;
	forget_lines(symbols);
	forget_files(symbols);
	free(symbols->debug_path);
	free(symbols);
}

/* ---- Texts ---- */

static int compare_texts(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The one copy of a text, taking over `text`. What files hold may not drive a terminal. */
static const char *keep(struct symbols *symbols, char *text)
{
	if (text == NULL)
		return NULL;
	for (char *at = text; *at != '\0'; at++) {
		if ((unsigned char)*at < ' ' || *at == 127)
			*at = '?';
	}
	char **found = tsearch(text, &symbols->texts, compare_texts);
	if (found == NULL || *found != text)
		free(text);
	return found != NULL ? *found : NULL;
}

static const char *keep_copy(struct symbols *symbols, const char *text)
{
	return text != NULL ? keep(symbols, strdup(text)) : NULL;
}

/* A source file, with its folder where it has none. */
static const char *keep_file(struct symbols *symbols, const struct dwarf_line *line)
{
	char *path = NULL;
	if (line->file == NULL || *line->file == '/' || line->folder == NULL)
		return keep_copy(symbols, line->file);
	return asprintf(&path, "%s/%s", line->folder, line->file) >= 0 ? keep(symbols, path) : NULL;
}

/* ---- Places ---- */

static struct dwarf *dwarf_of(struct symbols *symbols, const struct profile_module *module)
{
	struct file *file = &symbols->files[module - symbols->modules];
	char path[PATH_MAX];
	struct problem problem;
	if (file->tried)
		return file->dwarf;
	file->tried = true;
	int fd = binaries_open(&symbols->where, module, path, &problem);
	if (fd >= 0)
		file->dwarf = dwarf_open(fd, path, symbols->debug_path);
	if (fd >= 0 && file->dwarf == NULL)
		problem_set(&problem, "%s: its symbols can't be read", path);
	if (file->dwarf == NULL)
		file->missing = strdup(problem.text);
	return file->dwarf;
}

static int compare_places(const void *a, const void *b)
{
	const struct place *left = a, *right = b;
	if (left->address != right->address)
		return left->address < right->address ? -1 : 1;
	return (int)left->exact - (int)right->exact;
}

static bool is_vdso(const struct profile_module *module)
{
	return strncmp(module->path, "linux-vdso", 10) == 0 || strcmp(module->path, "[vdso]") == 0;
}

/* Looks an address up. */
static struct place *make_place(struct symbols *symbols, uint64_t address, bool exact)
{
	struct dwarf_line found[DWARF_LINES_MAX];
	/* The profile's modules are the same, in the same order. */
	const struct profile_module *theirs = profile_module_of(symbols->profile, address - !exact);
	const struct profile_module *module = theirs != NULL ? &symbols->modules[theirs - symbols->profile->modules] : NULL;
	struct dwarf *dwarf = module != NULL ? dwarf_of(symbols, module) : NULL;
	uint64_t base = module != NULL ? module->base : 0, offset = address - !exact - base;
	bool is_signal_frame = module != NULL && (is_vdso(module) || (dwarf != NULL && dwarf_is_signal_frame(dwarf, offset)));
	size_t count = dwarf != NULL && !is_signal_frame ? dwarf_lines(dwarf, offset, found) : 0;
	struct place *place = calloc(1, sizeof(*place) + (count + 1) * sizeof(place->lines[0]));
	if (place == NULL)
		return NULL;
	*place = (struct place){.address = address, .exact = exact, .is_signal_frame = is_signal_frame, .count = count > 0 ? count : 1};
	for (size_t i = 0; i < place->count; i++) {
		struct symbol *symbol = &place->lines[i];
		*symbol = (struct symbol){.module = module, .address = address, .offset = offset};
		if (i >= count)
			continue;
		/* Without the version that is behind the names of a shared library. */
		symbol->linkage = found[i].linkage != NULL ? keep(symbols, strndup(found[i].linkage, strcspn(found[i].linkage, "@"))) : NULL;
		symbol->function = symbol->linkage != NULL ? keep(symbols, demangle(symbol->linkage)) : NULL;
		symbol->file = keep_file(symbols, &found[i]);
		symbol->line = found[i].line;
		symbol->inlined = found[i].inlined;
	}
	if (is_signal_frame)
		place->lines[0].function = keep_copy(symbols, "<signal handler called>");
	return place;
}

static const struct place *place_at(struct symbols *symbols, uint64_t address, bool exact)
{
	const struct place key = {.address = address, .exact = exact};
	struct place **found = tfind(&key, &symbols->places, compare_places);
	if (found != NULL)
		return *found;
	struct place *place = make_place(symbols, address, exact);
	if (place != NULL && tsearch(place, &symbols->places, compare_places) == NULL) {
		free(place);
		return NULL;
	}
	return place;
}

/* ---- Stacks ---- */

/* Whether a line is of the allocator itself, whose frames lead every stack. */
static bool is_allocator(const struct symbol *symbol)
{
	static const char *const names[] = {"malloc", "calloc", "realloc", "reallocarray", "aligned_alloc", "memalign", "posix_memalign",
		"valloc", "pvalloc"};
	if (symbol->module != NULL && profile_module_is_allocator(symbol->module))
		return true;
	if (symbol->function == NULL)
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(symbol->function, names[i]) == 0)
			return true;
	}
	return strncmp(symbol->function, "hak_", 4) == 0;
}

static bool add_line(struct lines *lines, size_t *capacity, const struct symbol *symbol)
{
	if (lines->count == *capacity) {
		size_t wanted = *capacity > 0 ? 2 * *capacity : 16;
		/* NOLINTNEXTLINE(bugprone-sizeof-expression): the rows are pointers */
		const struct symbol **rows = realloc(lines->rows, wanted * sizeof(*rows));
		if (rows == NULL)
			return false;
		lines->rows = rows;
		*capacity = wanted;
	}
	if (lines->rows != NULL)
		lines->rows[lines->count++] = symbol;
	return true;
}

static void fill_lines(struct symbols *symbols, const struct profile_stack *stack, struct lines *lines)
{
	size_t capacity = 0;
	bool exact = false, leading = true;
	for (unsigned i = 0; i < stack->depth; i++) {
		const struct place *place = place_at(symbols, stack->frames[i], exact);
		/* What a signal interrupted is no return address: its own instruction is meant. */
		exact = place != NULL && place->is_signal_frame;
		for (size_t line = 0; place != NULL && line < place->count; line++) {
			leading = leading && is_allocator(&place->lines[line]);
			if (!leading && !add_line(lines, &capacity, &place->lines[line]))
				return;
		}
	}
}

const struct symbol *const *symbols_of_stack(struct symbols *symbols, uint32_t stack, size_t *count)
{
	struct lines *lines = &symbols->lines[stack];
	if (lines->rows == NULL)
		fill_lines(symbols, &symbols->profile->stacks[stack], lines);
	*count = lines->count;
	return lines->rows;
}

size_t symbols_place(const struct symbol *const *lines, size_t count)
{
	static const char *const prefixes[] = {"operator new", "std::", "__gnu_cxx::", "alloc::", "<alloc::", "core::", "<core::", "__rust_",
		"__rdl_", "__rg_", "void std::"};
	for (size_t i = 0; i < count; i++) {
		bool passed = lines[i]->function != NULL;
		for (size_t p = 0; passed && p < sizeof(prefixes) / sizeof(prefixes[0]); p++) {
			if (strncmp(lines[i]->function, prefixes[p], strlen(prefixes[p])) == 0)
				passed = false;
		}
		if (passed)
			return i;
	}
	return 0;
}

const char *symbols_missing(const struct symbols *symbols, size_t number)
{
	for (size_t i = 0; i < symbols->module_count; i++) {
		const struct file *file = &symbols->files[i];
		if (file->missing != NULL && !is_vdso(&symbols->modules[i]) && number-- == 0)
			return file->missing;
	}
	return NULL;
}

const char *symbol_name(char out[SYMBOL_TEXT], const struct symbol *symbol)
{
	if (symbol->function != NULL) {
		snprintf(out, SYMBOL_TEXT, "%s", symbol->function);
	} else if (symbol->module != NULL) {
		char name[256];
		format_printable(name, sizeof(name), profile_module_name(symbol->module));
		snprintf(out, SYMBOL_TEXT, "%s+0x%" PRIx64, *name != '\0' ? name : "?", symbol->offset);
	} else {
		snprintf(out, SYMBOL_TEXT, "0x%" PRIx64, symbol->address);
	}
	return out;
}

const char *symbol_source(char out[SYMBOL_TEXT], const struct symbol *symbol, bool with_folders)
{
	const char *slash = symbol->file != NULL ? strrchr(symbol->file, '/') : NULL;
	const char *name = symbol->file == NULL ? "" : slash != NULL && !with_folders ? slash + 1 : symbol->file;
	if (symbol->file != NULL && symbol->line > 0)
		snprintf(out, SYMBOL_TEXT, "%.480s:%u", name, symbol->line);
	else
		snprintf(out, SYMBOL_TEXT, "%s", name);
	return out;
}
