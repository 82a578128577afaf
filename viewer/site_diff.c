#include "viewer/site_diff.h"

#include <inttypes.h>
#include <math.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "viewer/format.h"
#include "viewer/site_words.h"
#include "viewer/snapshot_json.h"

/* ---- Which is which ---- */

/* A stack in words that are the same in another process: of each frame the file and the place in it. To be freed. */
static char *key_of(const struct profile *profile, const struct profile_stack *stack)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	if (out == NULL)
		return NULL;
	for (unsigned i = 0; i < stack->depth; i++) {
		const struct profile_module *module = profile_module_of(profile, stack->frames[i]);
		if (module == NULL) {
			fprintf(out, "%" PRIx64 ";", stack->frames[i]);
			continue;
		}
		for (unsigned byte = 0; byte < module->build_id_bytes; byte++)
			fprintf(out, "%02x", module->build_id[byte]);
		fprintf(out, "%s+%" PRIx64 ";", module->build_id_bytes == 0 ? module->path : "", stack->frames[i] - module->base);
	}
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(((const struct site_change *)a)->key, ((const struct site_change *)b)->key);
}

/* Puts the sites of one side into the rows, each beside the same one of the other side. */
static bool add_side(struct site_diff *diff, int side, void **tree)
{
	const struct profile *profile = diff->sources[side].profile;
	struct sites_filter filter = SITES_NO_FILTER;
	struct sites sites;
	filter.age_min_ms = sites_leak_age(profile);
	bool made = sites_make(&sites, profile, &filter);
	for (size_t i = 0; made && i < sites.count; i++) {
		struct site_change *row = &diff->rows[diff->count];
		*row = (struct site_change){.key = key_of(profile, &profile->stacks[sites.rows[i].stack])};
		struct site_change **found = row->key != NULL ? tsearch(row, tree, compare_keys) : NULL;
		if (found == NULL) {
			free(row->key);
			made = false;
			break;
		}
		if (*found == row)
			diff->count++;
		else
			free(row->key);
		/* Two stacks of a profile may be the same here: frames of no module, or a module that was loaded twice. */
		struct site *site = side == 0 ? &(*found)->before : &(*found)->after;
		site->stack = sites.rows[i].stack;
		site_add(site, &sites.rows[i]);
		*(side == 0 ? &(*found)->was : &(*found)->is) = true;
	}
	sites_free(&sites);
	return made;
}

double site_change_growth(const struct site_change *change)
{
	return change->after.live_bytes - change->before.live_bytes;
}

double site_change_error(const struct site_change *change)
{
	return sqrt(change->after.live_variance + change->before.live_variance);
}

static int by_growth(const void *a, const void *b)
{
	double left = site_change_growth(a), right = site_change_growth(b);
	return left != right ? (left > right ? -1 : 1) : compare_keys(a, b);
}

static void no_free(void *row)
{
	(void)row; /* rows are members of an array */
}

bool site_diff_make(struct site_diff *diff, const struct profile_source sources[2], const struct binaries_where *where)
{
	void *tree = NULL;
	memset(diff, 0, sizeof(*diff));
	memcpy(diff->sources, sources, sizeof(diff->sources));
	diff->rows = calloc(sources[0].profile->stack_count + sources[1].profile->stack_count + 1, sizeof(*diff->rows));
	for (int side = 0; side < 2; side++) {
		struct binaries_where here = *where;
		here.pid = sources[side].running;
		diff->symbols[side] = symbols_open(sources[side].profile, &here);
	}
	bool made = diff->rows != NULL && diff->symbols[0] != NULL && diff->symbols[1] != NULL && add_side(diff, 0, &tree) &&
		add_side(diff, 1, &tree);
	tdestroy(tree, no_free);
	/* Those that are as they were go. */
	size_t kept = 0;
	for (size_t i = 0; diff->rows != NULL && i < diff->count; i++) {
		struct site_change *row = &diff->rows[i];
		if (row->before.live_bytes != row->after.live_bytes || row->before.pinned_bytes != row->after.pinned_bytes)
			diff->rows[kept++] = *row;
		else
			free(row->key);
	}
	diff->count = kept;
	if (made && kept > 1)
		qsort(diff->rows, kept, sizeof(*diff->rows), by_growth);
	return made;
}

void site_diff_free(struct site_diff *diff)
{
	for (size_t i = 0; i < diff->count; i++)
		free(diff->rows[i].key);
	free(diff->rows);
	for (int side = 0; side < 2; side++) {
		symbols_close(diff->symbols[side]);
		profile_source_close(&diff->sources[side]);
	}
	memset(diff, 0, sizeof(*diff));
}

/* The lines of a row's stack. */
static const struct symbol *const *lines_of(const struct site_diff *diff, const struct site_change *row, size_t *count)
{
	int side = row->is ? 1 : 0;
	return symbols_of_stack(diff->symbols[side], side == 1 ? row->after.stack : row->before.stack, count);
}

/* ---- In words ---- */

static const char *growth_text(char out[SITE_WORDS + 1], double growth, double error)
{
	char amount[SITE_WORDS];
	snprintf(out, SITE_WORDS + 1, "%s%s", growth > 0 ? "+" : growth < 0 ? "-" : "", site_words_bytes(amount, fabs(growth), error));
	return out;
}

static void print_row(FILE *out, const struct site_diff *diff, const struct site_change *row)
{
	char growth[SITE_WORDS + 1], pinned[SITE_WORDS + 1], before[FORMAT_MAX], after[FORMAT_MAX], name[SYMBOL_TEXT], source[SYMBOL_TEXT];
	double pins = row->after.pinned_bytes - row->before.pinned_bytes;
	size_t count;
	const struct symbol *const *lines = lines_of(diff, row, &count);
	fprintf(out, "  %s: %s to %s%s", growth_text(growth, site_change_growth(row), site_change_error(row)),
		format_bytes(before, site_whole(row->before.live_bytes)), format_bytes(after, site_whole(row->after.live_bytes)),
		!row->was ? ", new" : !(row->after.samples > 0) ? ", gone" : "");
	if (fabs(pins) >= 1)
		fprintf(out, "; pinned %s", growth_text(pinned, pins, sqrt(row->after.pinned_variance + row->before.pinned_variance)));
	fputc('\n', out);
	for (size_t i = 0; i < count && i < SITE_DIFF_FRAMES; i++) {
		symbol_source(source, lines[i], false);
		fprintf(out, "      %s%s%s%s\n", symbol_name(name, lines[i]), *source != '\0' ? "  " : "", source, lines[i]->inlined ? "  (inlined)" : "");
	}
	if (count > SITE_DIFF_FRAMES)
		fprintf(out, "      and %zu more\n", count - SITE_DIFF_FRAMES);
}

void site_diff_text(FILE *out, const struct site_diff *diff)
{
	fprintf(out, "\nCall sites, by growth of live bytes (without the youngest tenth): %zu changed\n", diff->count);
	for (size_t i = 0; i < diff->count && i < SITE_DIFF_ROWS; i++)
		print_row(out, diff, &diff->rows[i]);
	if (diff->count > SITE_DIFF_ROWS)
		fprintf(out, "  and %zu more\n", diff->count - SITE_DIFF_ROWS);
}

/* ---- JSON ---- */

static void put_change(FILE *out, const char *name, double before, double after)
{
	fprintf(out, "\"%s\":{\"before\":%.0f,\"after\":%.0f,\"growth\":%.0f},", name, before, after, after - before);
}

void site_diff_json(FILE *out, const struct site_diff *diff)
{
	char name[SYMBOL_TEXT], source[SYMBOL_TEXT];
	fputs(",\"sites\":[", out);
	for (size_t i = 0; i < diff->count; i++) {
		const struct site_change *row = &diff->rows[i];
		size_t count;
		const struct symbol *const *lines = lines_of(diff, row, &count);
		fputs(i > 0 ? ",{" : "{", out);
		put_change(out, "live_bytes", row->before.live_bytes, row->after.live_bytes);
		put_change(out, "live_blocks", row->before.live_blocks, row->after.live_blocks);
		put_change(out, "pinned_bytes", row->before.pinned_bytes, row->after.pinned_bytes);
		fprintf(out, "\"live_bytes_error\":%.0f,\"frames\":[", site_change_error(row));
		for (size_t line = 0; line < count; line++) {
			fputs(line > 0 ? ",{\"function\":" : "{\"function\":", out);
			json_put_text(out, symbol_name(name, lines[line]));
			fputs(",\"source\":", out);
			json_put_text(out, symbol_source(source, lines[line], true));
			fputc('}', out);
		}
		fputs("]}", out);
	}
	fputc(']', out);
}
