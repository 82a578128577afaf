#include "viewer/profile_model.h"

#include <stdlib.h>
#include <string.h>

#include "viewer/format.h"
#include "viewer/model.h"

#define COLUMNS_MAX 32
#define ESTIMATE_MAX 1e24 /* far above any heap's bytes squared by weights; keeps sums finite */
#define WEIGHT_MAX 1e12

/* ---- Values ---- */

static const cJSON *get(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

static bool wrong(struct problem *problem, const char *name, const char *want)
{
	return problem_set(problem, "profile.%s is missing or not %s", name, want);
}

static bool read_address(const cJSON *item, uint64_t *value)
{
	char *end;
	if (!cJSON_IsString(item) || strncmp(item->valuestring, "0x", 2) != 0)
		return false;
	*value = strtoull(item->valuestring + 2, &end, 16);
	return end > item->valuestring + 2 && *end == '\0';
}

/* An estimate: not negative and not beyond what sums can hold. */
static bool read_estimate(const cJSON *item, double *value)
{
	if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= ESTIMATE_MAX))
		return false;
	*value = item->valuedouble;
	return true;
}

static bool read_array(const cJSON *document, const char *name, size_t limit, const cJSON **array, size_t *count,
	struct problem *problem)
{
	*array = get(document, name);
	if (!cJSON_IsArray(*array))
		return wrong(problem, name, "an array");
	*count = (size_t)cJSON_GetArraySize(*array);
	if (*count > limit)
		return problem_set(problem, "profile.%s has %zu rows, more than the %zu that this viewer takes", name, *count, limit);
	return true;
}

static bool out_of_memory(struct problem *problem)
{
	return problem_set(problem, "out of memory for a profile");
}

/* ---- Stacks ---- */

static int compare_stacks(const void *a, const void *b)
{
	const struct profile_stack *left = a, *right = b;
	return left->id < right->id ? -1 : left->id > right->id;
}

/* The place of the stack with this id; the last one's where it isn't told. */
static uint32_t find_stack(const struct profile *profile, uint64_t id)
{
	const struct profile_stack key = {.id = id};
	const struct profile_stack *found =
		bsearch(&key, profile->stacks, profile->stack_count - 1, sizeof(key), compare_stacks);
	return (uint32_t)(found != NULL ? (size_t)(found - profile->stacks) : profile->stack_count - 1);
}

/* Counts the frames of all rows, so that they get one array. Returns false for more than there may be. */
static bool count_frames(const cJSON *rows, size_t *total)
{
	const cJSON *row;
	*total = 0;
	cJSON_ArrayForEach(row, rows) {
		int depth = cJSON_GetArraySize(cJSON_GetArrayItem(row, 1));
		if (depth > PROFILE_DEPTH_MAX)
			return false;
		*total += (size_t)depth;
	}
	return *total <= PROFILE_FRAMES_MAX;
}

static bool read_stack(const cJSON *row, struct profile_stack *stack, uint64_t *frames)
{
	const cJSON *addresses = cJSON_GetArrayItem(row, 1), *address;
	if (!cJSON_IsArray(row) || !cJSON_IsArray(addresses) || !model_number(cJSON_GetArrayItem(row, 0), &stack->id))
		return false;
	stack->frames = frames;
	cJSON_ArrayForEach(address, addresses) {
		if (!read_address(address, &frames[stack->depth++]))
			return false;
	}
	return true;
}

static bool read_stacks(const cJSON *document, struct profile *out, struct problem *problem)
{
	const cJSON *rows, *row;
	size_t count = 0, total = 0, used = 0, number = 0;
	if (!read_array(document, "frames", PROFILE_STACKS_MAX, &rows, &count, problem))
		return false;
	if (!count_frames(rows, &total))
		return problem_set(problem, "profile.frames has a stack of over %u frames, or over %u in all", PROFILE_DEPTH_MAX,
			PROFILE_FRAMES_MAX);
	out->stacks = calloc(count + 1, sizeof(*out->stacks));
	out->frames = calloc(total + 1, sizeof(*out->frames));
	if (out->stacks == NULL || out->frames == NULL)
		return out_of_memory(problem);
	cJSON_ArrayForEach(row, rows) {
		struct profile_stack *stack = &out->stacks[number];
		if (!read_stack(row, stack, out->frames + used))
			return problem_set(problem, "row %zu of profile.frames is not a number and an array of addresses", number);
		used += stack->depth;
		number++;
	}
	qsort(out->stacks, count, sizeof(*out->stacks), compare_stacks);
	for (size_t i = 1; i < count; i++) {
		if (out->stacks[i].id == out->stacks[i - 1].id)
			return problem_set(problem, "profile.frames has stack %llu twice", (unsigned long long)out->stacks[i].id);
	}
	out->stacks[count] = (struct profile_stack){.id = UINT64_MAX, .frames = out->frames + used};
	out->stack_count = count + 1;
	return true;
}

/* ---- Rows with named columns ---- */

/* Finds each wanted column in the array of names. -1: it isn't there. */
static bool read_columns(const cJSON *document, const char *name, const char *const *wanted, size_t wanted_count,
	size_t required, int *place, struct problem *problem)
{
	const cJSON *array, *item;
	size_t count = 0;
	int at = 0;
	if (!read_array(document, name, COLUMNS_MAX, &array, &count, problem))
		return false;
	for (size_t i = 0; i < wanted_count; i++)
		place[i] = -1;
	cJSON_ArrayForEach(item, array) {
		for (size_t i = 0; cJSON_IsString(item) && i < wanted_count; i++) {
			if (strcmp(item->valuestring, wanted[i]) == 0)
				place[i] = at;
		}
		at++;
	}
	for (size_t i = 0; i < required; i++) {
		if (place[i] < 0)
			return problem_set(problem, "profile.%s has no column %s", name, wanted[i]);
	}
	return true;
}

/* The cells of a row in the wanted order; NULL for those that aren't there. */
static bool read_cells(const cJSON *row, const int *place, size_t wanted_count, const cJSON **out)
{
	const cJSON *cells[COLUMNS_MAX] = {NULL}, *cell;
	int at = 0;
	if (!cJSON_IsArray(row))
		return false;
	cJSON_ArrayForEach(cell, row) {
		if (at == COLUMNS_MAX)
			break;
		cells[at++] = cell;
	}
	for (size_t i = 0; i < wanted_count; i++)
		out[i] = place[i] >= 0 ? cells[place[i]] : NULL;
	return true;
}

#define COLUMN_NAME(name) #name,
#define COLUMN_ENUM(name) SITE_##name,
enum site_column { SITE_stack, PROFILE_SITE(COLUMN_ENUM) SITE_lifetimes, SITE_COLUMNS };
static const char *const site_names[SITE_COLUMNS] = {"stack", PROFILE_SITE(COLUMN_NAME) "lifetimes"};

static bool read_lifetimes(const cJSON *cell, size_t count, double out[PROFILE_LIFETIMES_MAX])
{
	const cJSON *item;
	size_t at = 0;
	if (count == 0)
		return true;
	if (!cJSON_IsArray(cell))
		return false;
	cJSON_ArrayForEach(item, cell) {
		if (at == count || !read_estimate(item, &out[at]))
			return false;
		at++;
	}
	return at == count;
}

static bool read_site(const struct profile *profile, const cJSON *const cells[SITE_COLUMNS], struct profile_site *site)
{
	uint64_t id;
	if (!model_number(cells[SITE_stack], &id))
		return false;
	site->stack = find_stack(profile, id);
#define READ_ESTIMATE(name) \
	if (!read_estimate(cells[SITE_##name], &site->name)) \
		return false;
	PROFILE_SITE(READ_ESTIMATE)
	return read_lifetimes(cells[SITE_lifetimes], profile->lifetime_count, site->lifetimes);
}

static bool read_sites(const cJSON *document, struct profile *out, struct problem *problem)
{
	const cJSON *rows, *row, *cells[SITE_COLUMNS];
	int place[SITE_COLUMNS];
	size_t count = 0;
	if (!read_columns(document, "site_fields", site_names, SITE_COLUMNS, SITE_COLUMNS - (out->lifetime_count == 0), place, problem) ||
		!read_array(document, "sites", PROFILE_STACKS_MAX, &rows, &count, problem))
		return false;
	out->sites = calloc(count + 1, sizeof(*out->sites));
	if (out->sites == NULL)
		return out_of_memory(problem);
	cJSON_ArrayForEach(row, rows) {
		if (!read_cells(row, place, SITE_COLUMNS, cells) || !read_site(out, cells, &out->sites[out->site_count]))
			return problem_set(problem, "row %zu of profile.sites is not valid", out->site_count);
		out->site_count++;
	}
	return true;
}

#define BLOCK_COLUMNS(X) \
	X(address) X(bytes) X(class) X(stack) X(tid) X(age_ms) X(weight) X(slab_live) X(slab_capacity) X(slab_cached) \
	X(slab_bytes)
#define BLOCK_ENUM(name) BLOCK_##name,
enum block_column { BLOCK_COLUMNS(BLOCK_ENUM) BLOCK_block_bytes, BLOCK_COLUMN_COUNT };
static const char *const block_names[BLOCK_COLUMN_COUNT] = {BLOCK_COLUMNS(COLUMN_NAME) "block_bytes"};

static bool read_class(const cJSON *cell, int *class)
{
	uint64_t number = 0;
	bool large = cJSON_IsNull(cell);
	if (!large && (!model_number(cell, &number) || number >= MODEL_CLASSES_MAX))
		return false;
	*class = large ? PROFILE_NO_CLASS : (int)number;
	return true;
}

static bool read_block(const struct profile *profile, const cJSON *const cells[BLOCK_COLUMN_COUNT], struct profile_block *block)
{
	uint64_t id;
	if (!read_address(cells[BLOCK_address], &block->address) || !model_number(cells[BLOCK_bytes], &block->bytes) ||
		!read_class(cells[BLOCK_class], &block->class) || !model_number(cells[BLOCK_stack], &id) ||
		!model_number(cells[BLOCK_tid], &block->tid) || !model_number(cells[BLOCK_age_ms], &block->age_ms) ||
		!read_estimate(cells[BLOCK_weight], &block->weight) || !model_number(cells[BLOCK_slab_live], &block->slab_live) ||
		!model_number(cells[BLOCK_slab_capacity], &block->slab_capacity) ||
		!model_number(cells[BLOCK_slab_cached], &block->slab_cached) || !model_number(cells[BLOCK_slab_bytes], &block->slab_bytes))
		return false;
	/* No block stands for less than itself. */
	if (block->weight < 1 || block->weight > WEIGHT_MAX)
		return false;
	if (cells[BLOCK_block_bytes] != NULL && !model_number(cells[BLOCK_block_bytes], &block->block_bytes))
		return false;
	if (cells[BLOCK_block_bytes] == NULL && block->slab_capacity > 0)
		block->block_bytes = block->slab_bytes / block->slab_capacity;
	block->stack = find_stack(profile, id);
	return true;
}

static bool read_blocks(const cJSON *document, struct profile *out, struct problem *problem)
{
	const cJSON *rows, *row, *cells[BLOCK_COLUMN_COUNT];
	int place[BLOCK_COLUMN_COUNT];
	size_t count = 0;
	if (!read_columns(document, "live_fields", block_names, BLOCK_COLUMN_COUNT, BLOCK_block_bytes, place, problem) ||
		!read_array(document, "live", PROFILE_BLOCKS_MAX, &rows, &count, problem))
		return false;
	out->blocks = calloc(count + 1, sizeof(*out->blocks));
	if (out->blocks == NULL)
		return out_of_memory(problem);
	cJSON_ArrayForEach(row, rows) {
		if (!read_cells(row, place, BLOCK_COLUMN_COUNT, cells) || !read_block(out, cells, &out->blocks[out->block_count]))
			return problem_set(problem, "row %zu of profile.live is not valid", out->block_count);
		out->block_count++;
	}
	return true;
}

/* ---- Modules ---- */

static int compare_modules(const void *a, const void *b)
{
	const struct profile_module *left = a, *right = b;
	return left->base < right->base ? -1 : left->base > right->base;
}

static int hex_digit(char digit)
{
	const char *digits = "0123456789abcdef", *found = digit != '\0' ? strchr(digits, digit) : NULL;
	return found != NULL ? (int)(found - digits) : -1;
}

/* A build-id that is none is as good as one that isn't told. */
static void read_build_id(const cJSON *item, struct profile_module *module)
{
	const char *text = cJSON_IsString(item) ? item->valuestring : "";
	size_t length = strlen(text);
	if (length % 2 != 0 || length / 2 > PROFILE_BUILD_ID_MAX)
		return;
	for (size_t i = 0; i < length; i += 2) {
		int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
		if (high < 0 || low < 0)
			return;
		module->build_id[i / 2] = (uint8_t)(high << 4 | low);
	}
	module->build_id_bytes = (unsigned)(length / 2);
}

static bool read_module(const cJSON *row, struct profile_module *module)
{
	const cJSON *path = get(row, "path");
	uint64_t offset = 0;
	if (!cJSON_IsString(path) || !read_address(get(row, "base"), &module->base) || !read_address(get(row, "end"), &module->end) ||
		module->end < module->base)
		return false;
	/* What lies at the base is that far into the file. */
	if (get(row, "offset") != NULL && (!model_number(get(row, "offset"), &offset) || offset > module->base))
		return false;
	module->base -= offset;
	read_build_id(get(row, "build_id"), module);
	module->path = strdup(path->valuestring);
	return module->path != NULL;
}

/* Of a dump they stand beside the profile. */
static bool read_modules(const cJSON *document, const cJSON *profile, struct profile *out, struct problem *problem)
{
	const cJSON *rows, *row;
	size_t count = 0;
	if (!read_array(get(profile, "modules") != NULL ? profile : document, "modules", PROFILE_MODULES_MAX, &rows, &count, problem))
		return false;
	out->modules = calloc(count + 1, sizeof(*out->modules));
	if (out->modules == NULL)
		return out_of_memory(problem);
	cJSON_ArrayForEach(row, rows) {
		out->modules[out->module_count].is_main = out->module_count == 0;
		if (!read_module(row, &out->modules[out->module_count]))
			return problem_set(problem, "row %zu of modules is not a path and addresses", out->module_count);
		out->module_count++;
	}
	qsort(out->modules, out->module_count, sizeof(*out->modules), compare_modules);
	return true;
}

const struct profile_module *profile_module_of(const struct profile *profile, uint64_t address)
{
	size_t low = 0, high = profile->module_count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (profile->modules[middle].base <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && address < profile->modules[low - 1].end ? &profile->modules[low - 1] : NULL;
}

const char *profile_module_name(const struct profile_module *module)
{
	const char *slash = strrchr(module->path, '/');
	return slash != NULL && slash[1] != '\0' ? slash + 1 : module->path;
}

bool profile_module_is_allocator(const struct profile_module *module)
{
	return strncmp(profile_module_name(module), "libhakmem", 9) == 0;
}

/* ---- All of it ---- */

static bool read_counters(const cJSON *document, struct profile *out, struct problem *problem)
{
	const cJSON *state = get(document, "state"), *engine = get(document, "engine"), *kind;
#define READ_COUNTER(name) \
	if (!model_number(get(document, #name), &out->name)) \
		return wrong(problem, #name, "an integer from 0 to 2^53");
#define READ_OPTION(name) \
	if (get(document, #name) != NULL) \
		READ_COUNTER(name)
	PROFILE_COUNTERS(READ_COUNTER, READ_OPTION)
	out->on = cJSON_IsString(state) && strcmp(state->valuestring, "on") == 0;
	format_printable(out->engine, sizeof(out->engine), cJSON_IsString(engine) ? engine->valuestring : "");
	cJSON_ArrayForEach(kind, get(document, "unwind_failures")) {
		struct profile_failure *failure = &out->failures[out->failure_count];
		if (kind->string == NULL || !model_number(kind, &failure->count))
			return wrong(problem, "unwind_failures", "an object of counts");
		format_printable(failure->kind, sizeof(failure->kind), kind->string);
		if (failure->count > 0 && ++out->failure_count == PROFILE_FAILURES_MAX)
			break;
	}
	return true;
}

static bool read_bounds(const cJSON *document, struct profile *out, struct problem *problem)
{
	const cJSON *array, *item;
	size_t count = 0;
	if (get(document, "lifetime_bounds_ms") == NULL)
		return true;
	if (!read_array(document, "lifetime_bounds_ms", PROFILE_LIFETIMES_MAX - 1, &array, &count, problem))
		return false;
	cJSON_ArrayForEach(item, array) {
		if (!model_number(item, &out->lifetime_bounds_ms[out->lifetime_count++]))
			return wrong(problem, "lifetime_bounds_ms", "an array of integers");
	}
	out->lifetime_count++;
	return true;
}

/* The part of a document that is the profile; NULL: there is none. */
static const cJSON *profile_of(const cJSON *document)
{
	const cJSON *type = get(document, "type"), *profile = get(document, "profile");
	if (cJSON_IsObject(profile))
		return profile;
	return cJSON_IsString(type) && strcmp(type->valuestring, "profile") == 0 ? document : NULL;
}

bool profile_is_in(const cJSON *document)
{
	return profile_of(document) != NULL;
}

struct profile *profile_parse(const cJSON *document, struct problem *problem)
{
	const cJSON *source = profile_of(document);
	if (source == NULL) {
		problem_set(problem, "it holds no profile: " PROFILE_WANTED);
		return NULL;
	}
	static uint64_t read_so_far; /* the viewer has one thread */
	struct profile *profile = calloc(1, sizeof(*profile));
	if (profile == NULL) {
		out_of_memory(problem);
		return NULL;
	}
	profile->serial = ++read_so_far;
	if (read_counters(source, profile, problem) && read_bounds(source, profile, problem) &&
		read_modules(document, source, profile, problem) && read_stacks(source, profile, problem) &&
		read_sites(source, profile, problem) && read_blocks(source, profile, problem))
		return profile;
	profile_free(profile);
	return NULL;
}

void profile_free(struct profile *profile)
{
	if (profile == NULL)
		return;
	for (size_t i = 0; i < profile->module_count; i++)
		free(profile->modules[i].path);
	free(profile->modules);
	free(profile->sites);
	free(profile->blocks);
	free(profile->stacks);
	free(profile->frames);
	free(profile);
}
