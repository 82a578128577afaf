#include "viewer/pprof.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* Members of the messages, by the numbers that profile.proto gives them. */
enum { PROFILE_SAMPLE_TYPE = 1, PROFILE_SAMPLE = 2, PROFILE_MAPPING = 3, PROFILE_LOCATION = 4, PROFILE_FUNCTION = 5,
	PROFILE_STRING = 6, PROFILE_DURATION = 10, PROFILE_PERIOD_TYPE = 11, PROFILE_PERIOD = 12, PROFILE_COMMENT = 13,
	PROFILE_DEFAULT_TYPE = 14 };
enum { TYPE_TYPE = 1, TYPE_UNIT = 2 };
enum { SAMPLE_LOCATION = 1, SAMPLE_VALUE = 2 };
enum { MAPPING_ID = 1, MAPPING_START = 2, MAPPING_LIMIT = 3, MAPPING_FILE = 5, MAPPING_BUILD_ID = 6, MAPPING_HAS_FUNCTIONS = 7,
	MAPPING_HAS_FILES = 8, MAPPING_HAS_LINES = 9, MAPPING_HAS_INLINES = 10 };
enum { LOCATION_ID = 1, LOCATION_MAPPING = 2, LOCATION_ADDRESS = 3, LOCATION_LINE = 4 };
enum { LINE_FUNCTION = 1, LINE_LINE = 2 };
enum { FUNCTION_ID = 1, FUNCTION_NAME = 2, FUNCTION_SYSTEM_NAME = 3, FUNCTION_FILE = 4 };

/* Something that has got a number. */
struct numbered {
	const void *key;
	const void *key2;
	uint64_t number;
};

struct pprof {
	struct bytes out, part, inner;
	const struct profile *profile;
	void *strings, *functions, *locations; /* trees of struct numbered */
	uint64_t string_count, function_count, location_count;
	bool *has_functions; /* one a module: some of its addresses are known */
	bool failed;
};

/* ---- The wire ---- */

static void put_number(struct bytes *out, unsigned member, uint64_t number)
{
	if (number == 0)
		return;
	bytes_number(out, (uint64_t)member << 3);
	bytes_number(out, number);
}

static void put_bytes(struct bytes *out, unsigned member, const void *data, size_t length)
{
	bytes_number(out, (uint64_t)member << 3 | 2);
	bytes_number(out, length);
	bytes_put(out, data, length);
}

/* Ends a message that was put together in `part`. */
static void put_part(struct pprof *pprof, struct bytes *out, unsigned member, struct bytes *part)
{
	put_bytes(out, member, part->data, part->length);
	pprof->failed |= part->failed;
	bytes_reset(part);
}

/* ---- Numbers ---- */

static int compare_strings(const void *a, const void *b)
{
	return strcmp(((const struct numbered *)a)->key, ((const struct numbered *)b)->key);
}

static int compare_keys(const void *a, const void *b)
{
	const struct numbered *left = a, *right = b;
	if (left->key != right->key)
		return left->key < right->key ? -1 : 1;
	return left->key2 < right->key2 ? -1 : left->key2 > right->key2;
}

/* The number of a key; *is_new says that it has just got it. 0 without memory. */
static uint64_t number_of(struct pprof *pprof, void **tree, struct numbered key, uint64_t *count, bool *is_new,
	int (*compare)(const void *, const void *))
{
	struct numbered **found = tfind(&key, tree, compare);
	*is_new = found == NULL;
	if (found != NULL)
		return (*found)->number;
	struct numbered *made = malloc(sizeof(*made));
	if (made == NULL || (*made = key, made->number = *count, tsearch(made, tree, compare) == NULL)) {
		free(made);
		pprof->failed = true;
		*is_new = false;
		return 0;
	}
	return (*count)++;
}

static void free_string(void *numbered)
{
	free((char *)((struct numbered *)numbered)->key);
	free(numbered);
}

/* The text's place in the table of strings, where it is put. */
static uint64_t string(struct pprof *pprof, const char *text)
{
	bool is_new;
	struct numbered key = {.key = text}, **found = tfind(&key, &pprof->strings, compare_strings);
	if (found != NULL)
		return (*found)->number;
	if ((key.key = strdup(text)) == NULL) {
		pprof->failed = true;
		return 0;
	}
	uint64_t number = number_of(pprof, &pprof->strings, key, &pprof->string_count, &is_new, compare_strings);
	if (is_new)
		put_bytes(&pprof->out, PROFILE_STRING, text, strlen(text));
	else
		free((char *)key.key);
	return number;
}

/* The function of a line: known by its name and its file. */
static uint64_t function(struct pprof *pprof, const struct symbol *line)
{
	bool is_new;
	const struct numbered key = {.key = line->function, .key2 = line->file};
	uint64_t number = number_of(pprof, &pprof->functions, key, &pprof->function_count, &is_new, compare_keys);
	if (is_new) {
		uint64_t name = string(pprof, line->function), system_name = string(pprof, line->linkage != NULL ? line->linkage : line->function),
			 file = line->file != NULL ? string(pprof, line->file) : 0;
		put_number(&pprof->part, FUNCTION_ID, number);
		put_number(&pprof->part, FUNCTION_NAME, name);
		put_number(&pprof->part, FUNCTION_SYSTEM_NAME, system_name);
		put_number(&pprof->part, FUNCTION_FILE, file);
		put_part(pprof, &pprof->out, PROFILE_FUNCTION, &pprof->part);
	}
	return number;
}

/* The location of the lines from `lines[0]` on: one address, with the functions that were inlined there. *used is how many
 * lines that are. */
static uint64_t location(struct pprof *pprof, const struct symbol *const *lines, size_t count, size_t *used)
{
	bool is_new;
	uint64_t functions[256];
	size_t known = 0, end = 1;
	while (end < count && lines[end - 1]->inlined)
		end++;
	*used = end;
	uint64_t number = number_of(pprof, &pprof->locations, (struct numbered){.key = lines[0]}, &pprof->location_count, &is_new, compare_keys);
	if (!is_new)
		return number;
	for (size_t i = 0; i < end && i < 256; i++)
		functions[known++] = lines[i]->function != NULL ? function(pprof, lines[i]) : 0;
	const struct profile_module *module = lines[0]->module != NULL ?
		profile_module_of(pprof->profile, lines[0]->module->base + lines[0]->offset) : NULL;
	put_number(&pprof->part, LOCATION_ID, number);
	if (module != NULL)
		put_number(&pprof->part, LOCATION_MAPPING, (uint64_t)(module - pprof->profile->modules) + 1);
	put_number(&pprof->part, LOCATION_ADDRESS, module != NULL ? module->base + lines[0]->offset : lines[0]->address);
	for (size_t i = 0; i < known; i++) {
		if (functions[i] == 0)
			continue;
		if (module != NULL)
			pprof->has_functions[module - pprof->profile->modules] = true;
		put_number(&pprof->inner, LINE_FUNCTION, functions[i]);
		put_number(&pprof->inner, LINE_LINE, lines[i]->line);
		put_part(pprof, &pprof->part, LOCATION_LINE, &pprof->inner);
	}
	put_part(pprof, &pprof->out, PROFILE_LOCATION, &pprof->part);
	return number;
}

/* ---- The parts of the file ---- */

static void put_type(struct pprof *pprof, unsigned member, const char *type, const char *unit)
{
	uint64_t type_number = string(pprof, type), unit_number = string(pprof, unit);
	put_number(&pprof->part, TYPE_TYPE, type_number);
	put_number(&pprof->part, TYPE_UNIT, unit_number);
	put_part(pprof, &pprof->out, member, &pprof->part);
}

static void put_sample(struct pprof *pprof, const struct site *site, struct symbols *symbols, struct bytes *locations)
{
	const uint64_t values[] = {
		site_whole(site->allocs), site_whole(site->alloc_bytes), site_whole(site->live_blocks), site_whole(site->live_bytes),
	};
	size_t count, used;
	const struct symbol *const *lines = symbols_of_stack(symbols, site->stack, &count);
	for (size_t at = 0; at < count; at += used)
		bytes_number(locations, location(pprof, lines + at, count - at, &used));
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		bytes_number(&pprof->inner, values[i]);
	put_part(pprof, &pprof->part, SAMPLE_LOCATION, locations);
	put_part(pprof, &pprof->part, SAMPLE_VALUE, &pprof->inner);
	put_part(pprof, &pprof->out, PROFILE_SAMPLE, &pprof->part);
}

/* The program comes first. */
static void put_mapping(struct pprof *pprof, size_t i)
{
	const struct profile_module *module = &pprof->profile->modules[i];
	char id[2 * PROFILE_BUILD_ID_MAX + 1] = "";
	for (size_t byte = 0; byte < module->build_id_bytes; byte++) {
		id[2 * byte] = "0123456789abcdef"[module->build_id[byte] >> 4];
		id[2 * byte + 1] = "0123456789abcdef"[module->build_id[byte] & 15];
	}
	uint64_t path = string(pprof, module->path), build_id = string(pprof, id);
	put_number(&pprof->part, MAPPING_ID, i + 1);
	put_number(&pprof->part, MAPPING_START, module->base);
	put_number(&pprof->part, MAPPING_LIMIT, module->end);
	put_number(&pprof->part, MAPPING_FILE, path);
	put_number(&pprof->part, MAPPING_BUILD_ID, build_id);
	for (unsigned has = MAPPING_HAS_FUNCTIONS; has <= MAPPING_HAS_INLINES; has++)
		put_number(&pprof->part, has, pprof->has_functions[i]);
	put_part(pprof, &pprof->out, PROFILE_MAPPING, &pprof->part);
}

static void put_mappings(struct pprof *pprof)
{
	size_t main = 0;
	while (main < pprof->profile->module_count && !pprof->profile->modules[main].is_main)
		main++;
	if (main < pprof->profile->module_count)
		put_mapping(pprof, main);
	for (size_t i = 0; i < pprof->profile->module_count; i++) {
		if (i != main)
			put_mapping(pprof, i);
	}
}

static bool gzip(struct bytes *out, const struct bytes *in)
{
	z_stream stream = {.next_in = in->data, .avail_in = (uInt)in->length};
	if (in->failed || in->length > UINT32_MAX || deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	size_t room = deflateBound(&stream, (uLong)in->length), before = out->length;
	stream.next_out = bytes_extend(out, room);
	stream.avail_out = (uInt)room;
	bool done = stream.next_out != NULL && deflate(&stream, Z_FINISH) == Z_STREAM_END;
	if (done)
		out->length = before + stream.total_out;
	deflateEnd(&stream);
	return done;
}

bool pprof_write(struct bytes *out, const struct profile_source *source, const struct sites *sites, struct symbols *symbols)
{
	struct pprof pprof = {.profile = source->profile, .function_count = 1, .location_count = 1};
	struct bytes locations = {.data = NULL};
	pprof.has_functions = calloc(source->profile->module_count + 1, sizeof(bool));
	if (pprof.has_functions == NULL)
		return false;
	string(&pprof, ""); /* the first has to be the empty one */
	put_type(&pprof, PROFILE_SAMPLE_TYPE, "alloc_objects", "count");
	put_type(&pprof, PROFILE_SAMPLE_TYPE, "alloc_space", "bytes");
	put_type(&pprof, PROFILE_SAMPLE_TYPE, "inuse_objects", "count");
	put_type(&pprof, PROFILE_SAMPLE_TYPE, "inuse_space", "bytes");
	put_type(&pprof, PROFILE_PERIOD_TYPE, "space", "bytes");
	put_number(&pprof.out, PROFILE_PERIOD, source->profile->rate);
	put_number(&pprof.out, PROFILE_DURATION, source->uptime_us * 1000);
	put_number(&pprof.out, PROFILE_DEFAULT_TYPE, string(&pprof, "inuse_space"));
	for (size_t i = 0; i < sites->count; i++)
		put_sample(&pprof, &sites->rows[i], symbols, &locations);
	put_mappings(&pprof);
	bool written = !pprof.failed && !pprof.out.failed && gzip(out, &pprof.out);
	tdestroy(pprof.strings, free_string);
	tdestroy(pprof.functions, free);
	tdestroy(pprof.locations, free);
	free(pprof.has_functions);
	bytes_free(&pprof.out);
	bytes_free(&pprof.part);
	bytes_free(&pprof.inner);
	bytes_free(&locations);
	return written;
}
