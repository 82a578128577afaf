#include "viewer/preferences.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "viewer/format.h"
#include "viewer/save.h"

#define FILE_BYTES_MAX 65536
#define NAME_MAX_BYTES 32
#define VALUE_MAX_BYTES 64

/* The words for colours and cells, in the file. */
static const struct {
	const char *word;
	int value;
} colour_words[] = {{"all", 256}, {"16", 16}, {"8", 8}, {"none", 0}};
static const char *const cell_words[SLOT_MODES] = {"class+fill", "class", "fill", "age"};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

void preferences_init(struct preferences *preferences)
{
	*preferences = (struct preferences){.panel = -1, .interval_ms = -1, .colours = -1, .cells = -1};
	for (int i = 0; i < PANEL_COUNT; i++)
		preferences->sort[i] = -1;
}

bool preferences_path(char path[PATH_MAX])
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	/* As the XDG specification has it, a relative path counts as none. */
	if (config != NULL && *config == '/')
		return snprintf(path, PATH_MAX, "%s/hakmem/top.conf", config) < PATH_MAX;
	return home != NULL && *home == '/' && snprintf(path, PATH_MAX, "%s/.config/hakmem/top.conf", home) < PATH_MAX;
}

/* Splits `name = value` of one line. Returns false for lines that say nothing, and for those without =, whose name then
 * is the whole line. */
static bool split(const char *line, size_t length, char name[NAME_MAX_BYTES], char value[VALUE_MAX_BYTES])
{
	const char *blanks = " \t\r", *end = line + length;
	name[0] = value[0] = '\0';
	while (line < end && strchr(blanks, *line) != NULL)
		line++;
	while (end > line && strchr(blanks, end[-1]) != NULL)
		end--;
	if (line == end || *line == '#')
		return false;
	const char *equals = memchr(line, '=', (size_t)(end - line)), *behind = equals != NULL ? equals : end;
	while (behind > line && strchr(blanks, behind[-1]) != NULL)
		behind--;
	snprintf(name, NAME_MAX_BYTES, "%.*s", (int)(behind - line), line);
	if (equals == NULL)
		return false;
	for (equals++; equals < end && strchr(blanks, *equals) != NULL; equals++) {
	}
	snprintf(value, VALUE_MAX_BYTES, "%.*s", (int)(end - equals), equals);
	return true;
}

static int panel_named(const char *name)
{
	for (int i = 0; i < PANEL_COUNT; i++) {
		if (strcmp(panel_texts[i].name, name) == 0)
			return i;
	}
	return -1;
}

static bool read_panel(struct preferences *preferences, const char *value, struct problem *problem)
{
	int panel = panel_named(value);
	if (panel < 0)
		return problem_set(problem, "there is no panel \"%s\"; there is overview, slotmap, classes, …", value);
	preferences->panel = panel;
	return true;
}

static bool read_delay(struct preferences *preferences, const char *value, struct problem *problem)
{
	char *end;
	double seconds = strtod(value, &end);
	if (end == value || *end != '\0' || !(seconds >= 0.01 && seconds <= 3600))
		return problem_set(problem, "delay is a number of seconds from 0.01 to 3600, not \"%s\"", value);
	preferences->interval_ms = (int)lround(seconds * 1000);
	return true;
}

static bool read_colours(struct preferences *preferences, const char *value, struct problem *problem)
{
	for (size_t i = 0; i < COUNT_OF(colour_words); i++) {
		if (strcmp(colour_words[i].word, value) == 0) {
			preferences->colours = colour_words[i].value;
			return true;
		}
	}
	return problem_set(problem, "colours are all, 16, 8 or none, not \"%s\"", value);
}

static bool read_cells(struct preferences *preferences, const char *value, struct problem *problem)
{
	for (int i = 0; i < SLOT_MODES; i++) {
		if (strcmp(cell_words[i], value) == 0) {
			preferences->cells = i;
			return true;
		}
	}
	return problem_set(problem, "cells are class+fill, class, fill or age, not \"%s\"", value);
}

/* "Slack" or "Slack reversed". */
static bool read_sort(struct preferences *preferences, const char *name, const char *value, struct problem *problem)
{
	int panel = panel_named(name);
	if (panel < 0 || panels[panel]->column_name == NULL)
		return problem_set(problem, "there is no panel \"%s\" that can be sorted", name);
	size_t length = strcspn(value, " ");
	bool reversed = strcmp(value + length, " reversed") == 0;
	for (int i = 0; i < panels[panel]->sorts && (reversed || value[length] == '\0'); i++) {
		const char *column = panels[panel]->column_name(i);
		if (strlen(column) == length && strncmp(column, value, length) == 0) {
			preferences->sort[panel] = i;
			preferences->reversed[panel] = reversed;
			return true;
		}
	}
	return problem_set(problem, "%s has no column \"%s\"; a column's head, and reversed behind it, is meant", name, value);
}

static bool read_line(struct preferences *preferences, const char *name, const char *value, struct problem *problem)
{
	if (strcmp(name, "panel") == 0)
		return read_panel(preferences, value, problem);
	if (strcmp(name, "delay") == 0)
		return read_delay(preferences, value, problem);
	if (strcmp(name, "colours") == 0)
		return read_colours(preferences, value, problem);
	if (strcmp(name, "cells") == 0)
		return read_cells(preferences, value, problem);
	if (strncmp(name, "sort.", 5) == 0)
		return read_sort(preferences, name + 5, value, problem);
	return problem_set(problem, "\"%s\" is not known; panel, delay, colours, cells and sort.PANEL are", name);
}

bool preferences_read(struct preferences *preferences, const char *text, struct problem *problem)
{
	char name[NAME_MAX_BYTES], value[VALUE_MAX_BYTES];
	bool good = true;
	for (int number = 1; *text != '\0'; number++) {
		struct problem inner;
		size_t length = strcspn(text, "\n");
		bool said = split(text, length, name, value), fine = true;
		if (said)
			fine = read_line(preferences, name, value, &inner);
		else if (*name != '\0')
			fine = problem_set(&inner, "\"%s\" is no setting; a line is name = value", name);
		if (!fine && good)
			problem_set(problem, "line %d: %s", number, inner.text);
		good = good && fine;
		text += length + (text[length] == '\n');
	}
	return good;
}

/* A setting's value as text. Returns false for one that isn't said. */
static bool value_of(const struct preferences *preferences, const char *name, char value[VALUE_MAX_BYTES])
{
	int panel = strncmp(name, "sort.", 5) == 0 ? panel_named(name + 5) : -1;
	value[0] = '\0';
	if (strcmp(name, "panel") == 0 && preferences->panel >= 0)
		snprintf(value, VALUE_MAX_BYTES, "%s", panel_texts[preferences->panel].name);
	else if (strcmp(name, "delay") == 0 && preferences->interval_ms > 0)
		snprintf(value, VALUE_MAX_BYTES, "%g", preferences->interval_ms / 1000.0);
	else if (strcmp(name, "cells") == 0 && preferences->cells >= 0)
		snprintf(value, VALUE_MAX_BYTES, "%s", cell_words[preferences->cells]);
	else if (panel >= 0 && preferences->sort[panel] >= 0 && panels[panel]->column_name != NULL)
		snprintf(value, VALUE_MAX_BYTES, "%s%s", panels[panel]->column_name(preferences->sort[panel]),
			preferences->reversed[panel] ? " reversed" : "");
	for (size_t i = 0; i < COUNT_OF(colour_words) && strcmp(name, "colours") == 0; i++) {
		if (colour_words[i].value == preferences->colours)
			snprintf(value, VALUE_MAX_BYTES, "%s", colour_words[i].word);
	}
	return value[0] != '\0';
}

/* Whether one of the settings stands in a line of the text that is understood. */
static bool stands_in(const char *text, const char *wanted)
{
	char name[NAME_MAX_BYTES], value[VALUE_MAX_BYTES];
	for (size_t length; *text != '\0'; text += length + (text[length] == '\n')) {
		struct preferences ignored;
		length = strcspn(text, "\n");
		if (split(text, length, name, value) && strcmp(name, wanted) == 0 &&
			read_line(&ignored, name, value, NULL))
			return true;
	}
	return false;
}

static void add_line(FILE *out, const struct preferences *preferences, const char *old, const char *name)
{
	char value[VALUE_MAX_BYTES];
	if (value_of(preferences, name, value) && !stands_in(old, name))
		fprintf(out, "%s = %s\n", name, value);
}

char *preferences_write(const struct preferences *preferences, const char *text)
{
	char name[NAME_MAX_BYTES], value[VALUE_MAX_BYTES], *result = NULL;
	size_t size;
	FILE *out = open_memstream(&result, &size);
	if (out == NULL)
		return NULL;
	if (*text == '\0')
		fputs("# What hakmem-top begins with. F2 in it writes this file; lines that it doesn't know stay.\n", out);
	const char *old = text;
	for (size_t length; *text != '\0'; text += length + (text[length] == '\n')) {
		struct preferences ignored;
		length = strcspn(text, "\n");
		/* A line that isn't understood may be a newer version's, or a slip that its author wants to see. */
		if (split(text, length, name, value) && read_line(&ignored, name, value, NULL) &&
			value_of(preferences, name, value))
			fprintf(out, "%s = %s\n", name, value);
		else
			fprintf(out, "%.*s\n", (int)length, text);
	}
	add_line(out, preferences, old, "panel");
	add_line(out, preferences, old, "delay");
	add_line(out, preferences, old, "colours");
	add_line(out, preferences, old, "cells");
	for (int i = 0; i < PANEL_COUNT; i++) {
		snprintf(name, sizeof(name), "sort.%s", panel_texts[i].name);
		add_line(out, preferences, old, name);
	}
	if (fclose(out) != 0) {
		free(result);
		return NULL;
	}
	return result;
}

/* The file's text, to be freed; "" where there is none. NULL, and what is wrong, if it can't be read. */
static char *read_file(const char *path, struct problem *problem)
{
	char *text = calloc(1, FILE_BYTES_MAX + 1);
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (text == NULL || (fd < 0 && errno == ENOENT))
		return text;
	ssize_t count = -1;
	if (fd >= 0 && fstat(fd, &status) == 0 && !S_ISREG(status.st_mode))
		errno = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
	else if (fd >= 0)
		count = read(fd, text, FILE_BYTES_MAX);
	int error = count == FILE_BYTES_MAX ? EFBIG : errno;
	if (fd >= 0)
		close(fd);
	if (count >= 0 && count < FILE_BYTES_MAX && memchr(text, '\0', (size_t)count) == NULL)
		return text;
	free(text);
	problem_set(problem, "%s: %s", path, count >= 0 && count < FILE_BYTES_MAX ? "it isn't text" : strerror(error));
	return NULL;
}

bool preferences_load(struct preferences *preferences, struct problem *problem)
{
	char path[PATH_MAX];
	struct problem inner;
	if (!preferences_path(path))
		return true;
	char *text = read_file(path, problem);
	if (text == NULL)
		return false;
	bool good = preferences_read(preferences, text, &inner);
	free(text);
	return good || problem_set(problem, "%s, %s", path, inner.text);
}

/* The folders of the file, as mkdir -p makes them. */
static void make_folders(const char *path)
{
	char folder[PATH_MAX];
	snprintf(folder, sizeof(folder), "%s", path);
	for (char *slash = folder + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
		*slash = '\0';
		mkdir(folder, 0700);
		*slash = '/';
	}
}

bool preferences_save(const struct preferences *preferences, struct problem *problem)
{
	char path[PATH_MAX];
	if (!preferences_path(path))
		return problem_set(problem, "neither XDG_CONFIG_HOME nor HOME says where the settings are kept");
	char *old = read_file(path, problem);
	if (old == NULL)
		return false;
	char *text = preferences_write(preferences, old);
	free(old);
	if (text == NULL)
		return problem_set(problem, "%s: out of memory", path);
	make_folders(path);
	size_t length = strlen(text);
	/* save_text ends it with the newline. */
	bool saved = save_text(path, text, length > 0 ? length - 1 : 0, problem);
	free(text);
	return saved;
}
