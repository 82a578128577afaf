#include "viewer/guard_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "introspect/protocol.h"
#include "viewer/format.h"
#include "viewer/model.h"

static const cJSON *get(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

static bool wrong(struct problem *problem, const char *name, const char *want)
{
	return problem_set(problem, "%s is missing or not %s", name, want);
}

static bool read_address(const cJSON *item, uint64_t *value)
{
	char *end;
	if (!cJSON_IsString(item) || strncmp(item->valuestring, "0x", 2) != 0)
		return false;
	*value = strtoull(item->valuestring + 2, &end, 16);
	return end > item->valuestring + 2 && *end == '\0';
}

static void read_text(const cJSON *item, char *out, size_t size)
{
	format_printable(out, size, cJSON_IsString(item) ? item->valuestring : "");
}

/* ---- Stacks ---- */

/* Stacks become a profile of nothing else, by which symbols are found. */
struct reading {
	struct guards *out;
	cJSON *frames; /* rows of number and addresses, as a profile has them */
	uint32_t stacks;
	struct problem *problem;
};

/* Adds a stack; pc: the instruction itself, as if it were behind a call, which is how frames are told. */
static bool add_stack(struct reading *reading, const cJSON *frames, const uint64_t *pc, uint32_t *stack)
{
	cJSON *row = cJSON_CreateArray(), *addresses = cJSON_CreateArray();
	const cJSON *frame;
	char text[32];
	bool good = cJSON_IsArray(frames) && cJSON_GetArraySize(frames) < PROFILE_DEPTH_MAX;
	if (pc != NULL) {
		snprintf(text, sizeof(text), "0x%llx", (unsigned long long)*pc + 1);
		cJSON_AddItemToArray(addresses, cJSON_CreateString(text));
	}
	cJSON_ArrayForEach(frame, frames) {
		good = good && cJSON_IsString(frame);
		if (good)
			cJSON_AddItemToArray(addresses, cJSON_CreateString(frame->valuestring));
	}
	*stack = reading->stacks++;
	cJSON_AddItemToArray(row, cJSON_CreateNumber(*stack));
	cJSON_AddItemToArray(row, addresses);
	cJSON_AddItemToArray(reading->frames, row);
	return good || wrong(reading->problem, "frames", "an array of addresses");
}

static void add_names(cJSON *document, const char *key, const char *const *names, size_t count)
{
	cJSON *array = cJSON_AddArrayToObject(document, key);
	for (size_t i = 0; i < count; i++)
		cJSON_AddItemToArray(array, cJSON_CreateString(names[i]));
}

static bool make_profile(struct reading *reading, const cJSON *modules)
{
	static const char *const site_fields[] = {
		"stack", "allocs", "alloc_bytes", "alloc_variance", "frees", "free_bytes", "temporary", "lifetimes"};
	static const char *const live_fields[] = {"address", "bytes", "class", "stack", "tid", "age_ms", "weight", "slab_live",
		"slab_capacity", "slab_cached", "slab_bytes", "block_bytes"};
	static const char *const numbers[] = {"rate", "samples", "live_samples"};
	cJSON *document = cJSON_CreateObject();
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		cJSON_AddNumberToObject(document, numbers[i], 0);
	cJSON_AddStringToObject(document, "type", HAK_TYPE_PROFILE);
	cJSON_AddStringToObject(document, "state", "off");
	cJSON_AddStringToObject(document, "engine", "none");
	add_names(document, "site_fields", site_fields, sizeof(site_fields) / sizeof(site_fields[0]));
	add_names(document, "live_fields", live_fields, sizeof(live_fields) / sizeof(live_fields[0]));
	cJSON_AddArrayToObject(document, "sites");
	cJSON_AddArrayToObject(document, "live");
	cJSON_AddItemReferenceToObject(document, "frames", reading->frames);
	if (modules != NULL)
		cJSON_AddItemReferenceToObject(document, "modules", (cJSON *)(uintptr_t)modules);
	reading->out->profile = profile_parse(document, reading->problem);
	cJSON_Delete(document);
	return reading->out->profile != NULL;
}

/* ---- Blocks ---- */

static bool read_deed(struct reading *reading, const cJSON *item, const uint64_t *pc, struct guard_deed *out)
{
	if (!cJSON_IsObject(item) || !model_number(get(item, "tid"), &out->tid))
		return wrong(reading->problem, "tid", "a number");
	if (!model_number(get(item, "time_us"), &out->time_us))
		out->time_us = 0;
	return add_stack(reading, get(item, "frames"), pc, &out->stack);
}

static bool read_block(struct reading *reading, const cJSON *item, struct guard_block *out)
{
	char state[12];
	uint64_t class;
	*out = (struct guard_block){.class = PROFILE_NO_CLASS};
	if (!read_address(get(item, "address"), &out->address) || out->address == 0)
		return wrong(reading->problem, "a block's address", "an address");
	if (!model_number(get(item, "bytes"), &out->bytes))
		return wrong(reading->problem, "a block's bytes", "a number");
	if (model_number(get(item, "class"), &class) && class < MODEL_CLASSES_MAX)
		out->class = (int)class;
	read_text(get(item, "level"), out->level, sizeof(out->level));
	read_text(get(item, "state"), state, sizeof(state));
	out->freed = strcmp(state, "freed") == 0;
	return read_deed(reading, get(item, "allocated"), NULL, &out->allocated) &&
		(!out->freed || read_deed(reading, get(item, "freed"), NULL, &out->gone));
}

/* Takes a block, unless it is there already. */
static bool take_block(struct reading *reading, const cJSON *item)
{
	struct guards *out = reading->out;
	struct guard_block block;
	uint64_t address;
	if (!cJSON_IsObject(item) || out->block_count == GUARDS_BLOCKS_MAX)
		return true;
	if (read_address(get(item, "address"), &address) && guards_block_at(out, address) != NULL)
		return true;
	if (!read_block(reading, item, &block))
		return false;
	struct guard_block *grown = realloc(out->blocks, (out->block_count + 1) * sizeof(*grown));
	if (grown == NULL)
		return problem_set(reading->problem, "out of memory for guarded blocks");
	out->blocks = grown;
	size_t at = out->block_count++;
	for (; at > 0 && grown[at - 1].address > block.address; at--)
		grown[at] = grown[at - 1];
	grown[at] = block;
	return true;
}

static bool read_blocks(struct reading *reading, const cJSON *document)
{
	const cJSON *item, *crash = get(document, "crash");
	cJSON_ArrayForEach(item, get(document, "blocks")) {
		if (!take_block(reading, item))
			return false;
	}
	cJSON_ArrayForEach(item, get(crash, "pointers")) {
		if (!take_block(reading, get(item, "guarded")))
			return false;
	}
	return take_block(reading, get(get(crash, "heap"), "guarded")) && take_block(reading, get(get(document, "report"), "guarded"));
}

/* ---- Reports ---- */

static int digit_of(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_row(const char *text, uint8_t out[GUARDS_ROW])
{
	if (strlen(text) != (size_t)2 * GUARDS_ROW)
		return false;
	for (size_t i = 0; i < GUARDS_ROW; i++) {
		int high = digit_of(text[2 * i]), low = digit_of(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static bool read_memory(struct reading *reading, const cJSON *item, struct guard_report *out)
{
	const cJSON *row;
	if (!read_address(get(item, "address"), &out->memory_at))
		return wrong(reading->problem, "memory.address", "an address");
	cJSON_ArrayForEach(row, get(item, "rows")) {
		if (out->row_count == GUARDS_ROWS_MAX)
			break;
		out->readable[out->row_count] = cJSON_IsString(row);
		if (cJSON_IsString(row) && !read_row(row->valuestring, out->memory[out->row_count]))
			return wrong(reading->problem, "a row of memory", "32 hex digits");
		out->row_count++;
	}
	return true;
}

static bool read_report(struct reading *reading, const cJSON *item, struct guard_report *out)
{
	const cJSON *access = get(item, "access");
	uint64_t pc, slot = 0;
	read_text(get(item, "text"), out->text, sizeof(out->text));
	read_text(get(item, "end"), out->end, sizeof(out->end));
	read_text(get(access, "thread"), out->thread, sizeof(out->thread));
	read_text(get(access, "kind"), out->access, sizeof(out->access));
	if (!read_address(get(item, "address"), &out->address))
		return wrong(reading->problem, "a report's address", "an address");
	if (!model_number(get(item, "damage"), &out->damage))
		out->damage = 0;
	if (read_address(get(item, "ss"), &out->superslab) && model_number(get(item, "slot"), &slot) && slot < MODEL_SLOTS)
		out->slot = (unsigned)slot;
	bool has_pc = read_address(get(access, "pc"), &pc);
	if (!read_deed(reading, access, has_pc ? &pc : NULL, &out->by))
		return false;
	if (!model_number(get(item, "time_us"), &out->by.time_us))
		out->by.time_us = 0;
	if (get(item, "block") != NULL && !read_block(reading, get(item, "block"), &out->block))
		return false;
	return get(item, "memory") == NULL || read_memory(reading, get(item, "memory"), out);
}

static bool read_reports(struct reading *reading, const cJSON *document)
{
	const cJSON *rows = get(document, "reports"), *row;
	struct guards *out = reading->out;
	size_t count = cJSON_IsArray(rows) ? (size_t)cJSON_GetArraySize(rows) : 0;
	if (count > GUARDS_REPORTS_MAX)
		return problem_set(reading->problem, "there are %zu reports, more than the %u that this viewer takes", count, GUARDS_REPORTS_MAX);
	out->reports = calloc(count + 1, sizeof(*out->reports));
	if (out->reports == NULL)
		return problem_set(reading->problem, "out of memory for %zu reports", count);
	cJSON_ArrayForEach(row, rows) {
		if (!read_report(reading, row, &out->reports[out->report_count]))
			return false;
		out->report_count++;
	}
	return true;
}

/* ---- All of it ---- */

static bool type_is(const cJSON *document, const char *type)
{
	const cJSON *word = get(document, "type");
	return cJSON_IsString(word) && strcmp(word->valuestring, type) == 0;
}

/* Whether a crash's address, or a register at that moment, was a guarded block's. */
static bool crash_is_about_one(const cJSON *crash)
{
	const cJSON *pointer;
	cJSON_ArrayForEach(pointer, get(crash, "pointers")) {
		if (get(pointer, "guarded") != NULL)
			return true;
	}
	return get(get(crash, "heap"), "guarded") != NULL;
}

bool guards_are_in(const cJSON *document)
{
	return type_is(document, HAK_TYPE_GUARDED) || cJSON_IsArray(get(document, "reports")) || get(get(document, "report"), "guarded") != NULL ||
		crash_is_about_one(get(document, "crash"));
}

struct guards *guards_parse(const cJSON *document, struct problem *problem)
{
	struct reading reading = {.out = calloc(1, sizeof(struct guards)), .frames = cJSON_CreateArray(), .problem = problem};
	bool good = reading.out != NULL && reading.frames != NULL;
	if (!good)
		problem_set(problem, "out of memory for guards");
	good = good && read_blocks(&reading, document) && read_reports(&reading, document) &&
		make_profile(&reading, get(document, "modules"));
	if (good && !model_number(get(document, "time_us"), &reading.out->time_us))
		reading.out->time_us = 0;
	if (good)
		reading.out->is_dump = type_is(document, HAK_TYPE_DUMP);
	cJSON_Delete(reading.frames);
	if (good)
		return reading.out;
	guards_free(reading.out);
	return NULL;
}

void guards_free(struct guards *guards)
{
	if (guards == NULL)
		return;
	profile_free(guards->profile);
	free(guards->blocks);
	free(guards->reports);
	free(guards);
}

const struct guard_block *guards_block_at(const struct guards *guards, uint64_t address)
{
	for (size_t low = 0, high = guards->block_count; low < high;) {
		size_t middle = (low + high) / 2;
		if (guards->blocks[middle].address == address)
			return &guards->blocks[middle];
		if (guards->blocks[middle].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}
