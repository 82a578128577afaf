#include "viewer/snapshot_json.h"

#include <inttypes.h>
#include <string.h>

#include "viewer/format.h"

void json_put_text(FILE *out, const char *text)
{
	uint32_t code;
	fputc('"', out);
	while ((code = format_utf8_next(&text)) != 0) {
		char bytes[4] = {0};
		if (code == '"' || code == '\\')
			fprintf(out, "\\%c", (int)code);
		else if (code < 0x20 || (code >= 0x7f && code < 0xa0))
			fprintf(out, "\\u%04x", (unsigned)code);
		else if (code == 0xfffd)
			fputc('?', out);
		else
			fwrite(bytes, 1, format_utf8_put(bytes, code), out);
	}
	fputc('"', out);
}

/* {"a":1,…} of a section; the first field is told by what stands before it. */
#define PUT_FIELD(field) fprintf(out, "%s\"" #field "\":%" PRIu64, separator, row->field), separator = ",";

static void put_class_sizes(FILE *out, const struct snapshot *snapshot)
{
	fputs(",\"classes\":[", out);
	for (size_t i = 0; i < snapshot->class_count; i++)
		fprintf(out, "%s{\"class\":%zu,\"block_bytes\":%" PRIu64 ",\"slots_per_slab\":%" PRIu64 "}", i > 0 ? "," : "", i,
			snapshot->classes[i].block_bytes, snapshot->classes[i].slots_per_slab);
	fputc(']', out);
}

static void put_sections(FILE *out, const struct snapshot *snapshot)
{
#define PUT_SECTION(name, fields) \
	{ \
		const __typeof__(snapshot->name) *row = &snapshot->name; \
		const char *separator = "{"; \
		fputs("\"" #name "\":", out); \
		fields(PUT_FIELD, PUT_FIELD) \
		if (strcmp(#name, "geometry") == 0) \
			put_class_sizes(out, snapshot); \
		if (strcmp(#name, "guard") == 0) { \
			fputs(",\"level\":", out); \
			json_put_text(out, snapshot->guard_level[0] != '\0' ? snapshot->guard_level : "off"); \
		} \
		fputs("},", out); \
	}
	MODEL_SECTIONS(PUT_SECTION)
}

static void put_rows(FILE *out, const struct snapshot *snapshot)
{
	fputs("\"classes\":[", out);
	for (size_t i = 0; i < snapshot->class_count; i++) {
		const struct class_row *row = &snapshot->classes[i];
		const char *separator = i > 0 ? ",{" : "{";
		MODEL_CLASS(PUT_FIELD, PUT_FIELD)
		fputc('}', out);
	}
	fputs("],\"threads\":[", out);
	for (size_t i = 0; i < snapshot->thread_count; i++) {
		const struct thread_row *row = &snapshot->threads[i];
		const char *separator = i > 0 ? ",{" : "{";
		MODEL_THREAD(PUT_FIELD, PUT_FIELD)
		fputs(",\"name\":", out);
		json_put_text(out, row->name);
		fputc('}', out);
	}
	fputs("],", out);
}

static void put_words(FILE *out, const char *words)
{
	char word[128];
	fputc('[', out);
	for (const char *separator = ""; *words != '\0'; separator = ",") {
		size_t length = strcspn(words, ",");
		snprintf(word, sizeof(word), "%.*s", (int)length, words);
		fputs(separator, out);
		json_put_text(out, word);
		words += length + (words[length] == ',');
	}
	fputc(']', out);
}

/* Process and trace, which have texts beside their counters. */
static void put_texts(FILE *out, const struct snapshot *snapshot)
{
	{
		const __typeof__(snapshot->process) *row = &snapshot->process;
		const char *separator = "\"process\":{";
		MODEL_PROCESS(PUT_FIELD, PUT_FIELD)
	}
	fputs(",\"exe\":", out);
	json_put_text(out, snapshot->process.exe);
	fputs(",\"cmdline\":", out);
	json_put_text(out, snapshot->process.cmdline);
	{
		const __typeof__(snapshot->trace) *row = &snapshot->trace;
		const char *separator = "},\"trace\":{";
		MODEL_TRACE(PUT_FIELD, PUT_FIELD)
	}
	fputs(",\"groups\":", out);
	put_words(out, snapshot->trace.groups);
	fputs("},", out);
}

static void put_superslab(FILE *out, const struct snapshot *snapshot, const struct superslab *superslab)
{
	static const char *const states[] = {"UNUSED", "ACTIVE", "EMPTY"};
	fprintf(out, "{\"ss\":\"0x%" PRIx64 "\",\"index\":%" PRIu64 ",\"in_lru\":%s,\"active_slots\":%u,\"slots\":[", superslab->address,
		superslab->index, superslab->in_lru ? "true" : "false", superslab->active_slots);
	for (unsigned i = 0; i < MODEL_SLOTS; i++) {
		const struct slot *slot = &superslab->slots[i];
		fprintf(out, "%s[\"%s\",", i > 0 ? "," : "", states[slot->state]);
		if (slot->class == SLOT_NO_CLASS)
			fputs("null", out);
		else
			fprintf(out, "%u", slot->class);
		fprintf(out, ",%u,%u,%u,%" PRIu64 "]", slot->used, slot->capacity, slot->span,
			slot_age_ms(snapshot, slot));
	}
	fputs("]}", out);
}

void snapshot_json(FILE *out, const struct snapshot *snapshot)
{
	fprintf(out, "{\"type\":\"snapshot\",\"protocol\":%" PRIu64 ",\"version\":", snapshot->protocol);
	json_put_text(out, snapshot->version);
	fprintf(out, ",\"seq\":%" PRIu64 ",\"time_us\":%" PRIu64 ",\"realtime_us\":%" PRIu64 ",\"uptime_us\":%" PRIu64 ",", snapshot->seq,
		snapshot->time_us, snapshot->realtime_us, snapshot->uptime_us);
	put_texts(out, snapshot);
	put_sections(out, snapshot);
	put_rows(out, snapshot);
	/* The columns in the order that put_superslab writes them. */
	fputs("\"slot_fields\":[\"state\",\"class\",\"used\",\"capacity\",\"span\",\"age_ms\"],\"superslabs\":[", out);
	for (size_t i = 0; i < snapshot->superslab_count; i++) {
		if (i > 0)
			fputc(',', out);
		put_superslab(out, snapshot, &snapshot->superslabs[i]);
	}
	fputs("]}\n", out);
}
