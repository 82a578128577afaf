#include "viewer/site_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define OPEN_SHARE 0.05 /* of all, from which on a node going down shows what is below it by itself */

struct site_then {
	uint64_t id;
	double alloc_bytes;
};

/* ---- The filter ---- */

static bool read_value(const char *text, size_t length, uint64_t *value)
{
	*value = 0;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9' || *value > UINT64_MAX / 100000)
			return false;
		*value = *value * 10 + (uint64_t)(text[i] - '0');
	}
	return length > 0;
}

/* Takes one word. Returns what such a word takes, if its value is none, or else NULL. */
static const char *take_word(const char *word, size_t length, struct sites_filter *out, char *words)
{
	uint64_t value;
	if (strncmp(word, "class=", 6) == 0) {
		if (length == 11 && strncmp(word + 6, "large", 5) == 0) {
			out->class = PROFILE_NO_CLASS;
			return NULL;
		}
		if (!read_value(word + 6, length - 6, &value) || value > 255)
			return "class= takes a number from 0 to 255, or large";
		out->class = (int)value;
		return NULL;
	}
	if (strncmp(word, "thread=", 7) == 0) {
		if (!read_value(word + 7, length - 7, &value))
			return "thread= takes a thread's number";
		out->tid = value;
		return NULL;
	}
	if (strncmp(word, "age=", 4) == 0) {
		if (!read_value(word + 4, length - 4, &value))
			return "age= takes a number of seconds";
		out->age_min_ms = value * 1000;
		return NULL;
	}
	size_t end = strlen(words);
	/* It has as much room as the filter, of which this is a part. */
	sprintf(words + end, "%s%.*s", end > 0 ? " " : "", (int)length, word);
	return NULL;
}

bool site_rows_filter(const char *filter, struct sites_filter *out, char *words, struct problem *problem)
{
	bool good = true;
	*out = SITES_NO_FILTER;
	words[0] = '\0';
	for (;;) {
		filter += strspn(filter, " ");
		size_t length = strcspn(filter, " ");
		if (length == 0)
			return good;
		const char *takes = take_word(filter, length, out, words);
		if (takes != NULL && good)
			good = problem_set(problem, "%.*s is left out: %s", (int)length, filter, takes);
		filter += length;
	}
}

static bool has(const char *text, const char *word, size_t length)
{
	for (; text != NULL && *text != '\0'; text++) {
		if (strncasecmp(text, word, length) == 0)
			return true;
	}
	return false;
}

/* Whether each of the words is in one of the lines. */
static bool fits(const struct symbol *const *lines, size_t count, const char *words)
{
	for (size_t length; *(words += strspn(words, " ")) != '\0'; words += length) {
		bool found = false;
		length = strcspn(words, " ");
		for (size_t i = 0; i < count && !found; i++)
			found = has(lines[i]->function, words, length) || has(lines[i]->file, words, length) ||
				has(lines[i]->module != NULL ? lines[i]->module->path : NULL, words, length);
		if (!found)
			return false;
	}
	return true;
}

/* ---- Rates ---- */

static int compare_then(const void *a, const void *b)
{
	const struct site_then *left = a, *right = b;
	return left->id < right->id ? -1 : left->id > right->id;
}

/* Keeps what the profile says, before another takes its place. It is called while the old one may be gone. */
static void remember(struct site_rows *rows, const struct profile *profile)
{
	struct site_then *then = calloc(profile->site_count + 1, sizeof(*then));
	size_t count = 0;
	for (size_t i = 0; then != NULL && i < profile->site_count; i++)
		then[count++] = (struct site_then){profile->stacks[profile->sites[i].stack].id, profile->sites[i].alloc_bytes};
	if (count > 1)
		qsort(then, count, sizeof(*then), compare_then);
	free(rows->then);
	rows->then = then;
	rows->then_count = count;
	rows->then_us = profile->time_us;
}

static double rate_of(const struct site_rows *rows, const struct site *site)
{
	const struct site_then key = {.id = rows->profile->stacks[site->stack].id};
	if (rows->before == NULL || rows->profile->time_us <= rows->before_us)
		return -1;
	const struct site_then *found =
		rows->before_count > 0 ? bsearch(&key, rows->before, rows->before_count, sizeof(key), compare_then) : NULL;
	double before = found != NULL ? found->alloc_bytes : 0, seconds = (double)(rows->profile->time_us - rows->before_us) / 1e6;
	return site->alloc_bytes >= before ? (site->alloc_bytes - before) / seconds : -1;
}

/* ---- The table ---- */

static void fill_table(struct site_rows *rows)
{
	for (size_t i = 0; i < rows->sites.count; i++) {
		const struct site *site = &rows->sites.rows[i];
		size_t count;
		const struct symbol *const *lines = symbols_of_stack(rows->symbols, site->stack, &count);
		rows->rows[rows->count++] = (struct site_row){
			.sum = *site, .symbol = count > 0 ? lines[symbols_place(lines, count)] : NULL,
			.rate = rate_of(rows, site), .path = rows->profile->stacks[site->stack].id,
		};
	}
}

/* ---- The tree ---- */

static int compare_paths(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
	return left < right ? -1 : left > right;
}

static bool is_turned(const struct site_rows *rows, uint64_t path)
{
	return rows->turned_count > 0 && bsearch(&path, rows->turned, rows->turned_count, sizeof(path), compare_paths) != NULL;
}

/* The same for the same function below the same ones, also in a later profile. */
static uint64_t path_below(uint64_t path, const struct symbol *symbol)
{
	char name[SYMBOL_TEXT];
	for (const char *at = symbol_name(name, symbol); *at != '\0'; at++)
		path = (path ^ (unsigned char)*at) * 1099511628211u;
	return (path ^ '/') * 1099511628211u;
}

static int by_live(const void *a, const void *b, void *context)
{
	const struct calltree *tree = context;
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
	const struct calltree_node *one = &tree->nodes[left], *other = &tree->nodes[right];
	if (one->live_bytes != other->live_bytes)
		return one->live_bytes > other->live_bytes ? -1 : 1;
	return one->alloc_bytes != other->alloc_bytes ? (one->alloc_bytes > other->alloc_bytes ? -1 : 1) : left < right ? -1 : left > right;
}

/* Adds what is below a node that is open. It recurs as deep as the longest stack at most: PROFILE_DEPTH_MAX lines, some more
 * with what is inlined. */
/* NOLINTNEXTLINE(misc-no-recursion): bounded */
static void add_below(struct site_rows *rows, const struct calltree *tree, uint32_t node, uint64_t path)
{
	uint32_t *children;
	size_t count = calltree_children(tree, node, by_live, (void *)tree, &children);
	for (size_t i = 0; i < count; i++) {
		const struct calltree_node *child = &tree->nodes[children[i]];
		struct site_row *row = &rows->rows[rows->count++];
		*row = (struct site_row){
			.symbol = child->symbol, .rate = -1, .depth = child->depth - 1, .opens = child->end > children[i] + 1,
			.path = path_below(path, child->symbol),
		};
#define COPY(name) row->sum.name = child->name;
		CALLTREE_SUMS(COPY)
#undef COPY
		bool by_itself = rows->view == SITE_VIEW_DOWN && child->live_bytes >= OPEN_SHARE * tree->nodes[0].live_bytes && child->live_bytes > 0;
		row->open = row->opens && by_itself != is_turned(rows, row->path);
		if (row->open)
			add_below(rows, tree, children[i], row->path);
	}
	free(children);
}

static bool fill_tree(struct site_rows *rows)
{
	struct calltree tree;
	if (!calltree_make(&tree, &rows->sites, rows->symbols, rows->view == SITE_VIEW_UP))
		return false;
	free(rows->rows);
	rows->rows = calloc(tree.count + 1, sizeof(*rows->rows));
	if (rows->rows != NULL)
		add_below(rows, &tree, 0, 14695981039346656037u);
	calltree_free(&tree);
	return rows->rows != NULL;
}

/* ---- Both ---- */

/* Leaves the sites whose stacks have the words. */
static void sift(struct site_rows *rows, const char *words)
{
	size_t kept = 0;
	memset(&rows->total, 0, sizeof(rows->total));
	for (size_t i = 0; i < rows->sites.count; i++) {
		size_t count;
		const struct symbol *const *lines = symbols_of_stack(rows->symbols, rows->sites.rows[i].stack, &count);
		if (*words != '\0' && !fits(lines, count, words))
			continue;
		rows->sites.rows[kept++] = rows->sites.rows[i];
		site_add(&rows->total, &rows->sites.rows[i]);
	}
	rows->sites.count = kept;
}

/* With a filter on blocks only sites that have some are of interest. */
static void leave_out_empty(struct sites *sites)
{
	size_t kept = 0;
	for (size_t i = 0; i < sites->count; i++) {
		if (sites->rows[i].samples > 0)
			sites->rows[kept++] = sites->rows[i];
	}
	sites->count = kept;
}

static bool make(struct site_rows *rows)
{
	struct sites_filter filter;
	char words[sizeof(rows->filter)];
	rows->wrong.text[0] = '\0';
	site_rows_filter(rows->filter, &filter, words, &rows->wrong);
	if (!sites_make(&rows->sites, rows->profile, &filter))
		return false;
	if (filter.class != SITES_ANY || filter.tid != 0 || filter.age_min_ms != 0)
		leave_out_empty(&rows->sites);
	sift(rows, words);
	if (rows->view != SITE_VIEW_TABLE)
		return fill_tree(rows);
	rows->rows = calloc(rows->sites.count + 1, sizeof(*rows->rows));
	if (rows->rows != NULL)
		fill_table(rows);
	return rows->rows != NULL;
}

static void forget(struct site_rows *rows)
{
	sites_free(&rows->sites);
	free(rows->rows);
	rows->rows = NULL;
	rows->count = 0;
	memset(&rows->total, 0, sizeof(rows->total));
}

/* Has symbols for another profile. */
static bool follow(struct site_rows *rows, const struct profile *profile, const struct binaries_where *where)
{
	if (rows->symbols == NULL)
		return (rows->symbols = symbols_open(profile, where)) != NULL;
	if (symbols_move(rows->symbols, profile))
		return true;
	symbols_close(rows->symbols);
	rows->symbols = NULL;
	return false;
}

void site_rows_update(struct site_rows *rows, const struct profile *profile, const struct binaries_where *where, enum site_view view,
	const char *filter)
{
	bool same = rows->serial == profile->serial;
	if (same && rows->view == view && strcmp(rows->filter, filter) == 0 && !rows->turned_since && !rows->failed)
		return;
	forget(rows);
	rows->failed = !same && !follow(rows, profile, where);
	rows->profile = profile;
	rows->serial = profile->serial;
	rows->view = view;
	rows->turned_since = false;
	snprintf(rows->filter, sizeof(rows->filter), "%s", filter);
	/* Rates are since the profile that came before this one; its figures are kept until the next. */
	if (!same && !rows->failed) {
		free(rows->before);
		rows->before = rows->then;
		rows->before_count = rows->then_count;
		rows->before_us = rows->then_us;
		rows->then = NULL;
		rows->then_count = 0;
		remember(rows, profile);
	}
	if (!rows->failed && rows->symbols != NULL && !make(rows)) {
		forget(rows);
		rows->failed = true;
	}
}

void site_rows_turn(struct site_rows *rows, uint64_t path)
{
	size_t at = 0;
	while (at < rows->turned_count && rows->turned[at] < path)
		at++;
	rows->turned_since = true;
	if (at < rows->turned_count && rows->turned[at] == path) {
		memmove(&rows->turned[at], &rows->turned[at + 1], (rows->turned_count - at - 1) * sizeof(path));
		rows->turned_count--;
		return;
	}
	uint64_t *turned = realloc(rows->turned, (rows->turned_count + 1) * sizeof(path));
	if (turned == NULL)
		return;
	rows->turned = turned;
	memmove(&turned[at + 1], &turned[at], (rows->turned_count - at) * sizeof(path));
	turned[at] = path;
	rows->turned_count++;
}

void site_rows_free(struct site_rows *rows)
{
	forget(rows);
	symbols_close(rows->symbols);
	free(rows->turned);
	free(rows->then);
	free(rows->before);
	memset(rows, 0, sizeof(*rows));
}
