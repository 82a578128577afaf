#include "viewer/suppressions.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "viewer/watch.h"

bool suppressions_read(struct suppressions *suppressions, const char *path, struct problem *problem)
{
	size_t length, number = 0;
	struct stat facts;
	memset(suppressions, 0, sizeof(*suppressions));
	if (stat(path, &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_size == 0)
		return true;
	suppressions->text = watch_read_file(path, &length, problem);
	if (suppressions->text == NULL)
		return false;
	for (char *line = suppressions->text, *next; line != NULL; line = next) {
		number++;
		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		line += strspn(line, " \t");
		line[strcspn(line, "\r")] = '\0';
		if (*line == '\0' || *line == '#')
			continue;
		/* The files of other sanitizers' users have lines of other kinds too. */
		if (strchr(line, ':') != NULL && strncmp(line, "leak:", 5) != 0)
			continue;
		if (strncmp(line, "leak:", 5) != 0 || line[5] == '\0')
			return problem_set(problem, "%s: line %zu is not leak:PATTERN", path, number);
		if (suppressions->count == SUPPRESSIONS_MAX)
			return problem_set(problem, "%s: more than %u patterns", path, SUPPRESSIONS_MAX);
		suppressions->patterns[suppressions->count++] = line + 5;
	}
	return true;
}

void suppressions_free(struct suppressions *suppressions)
{
	free(suppressions->text);
	memset(suppressions, 0, sizeof(*suppressions));
}

/* Whether `text` begins with the pattern's literal parts, with anything where the stars are. What a star has taken only
 * grows, so that the work is at most the product of both lengths. */
static bool fits_from(const char *pattern, const char *text)
{
	const char *star = NULL, *resume = NULL;
	for (;;) {
		if (*pattern == '\0' || (*pattern == '$' && pattern[1] == '\0' && *text == '\0'))
			return true;
		if (*pattern == '*') {
			star = pattern++;
			resume = text;
		} else if (*text != '\0' && *pattern == *text && !(*pattern == '$' && pattern[1] == '\0')) {
			pattern++;
			text++;
		} else if (star != NULL && *resume != '\0') {
			pattern = star + 1;
			text = ++resume;
		} else {
			return false;
		}
	}
}

static bool fits(const char *pattern, const char *text)
{
	if (text == NULL)
		return false;
	if (*pattern == '^')
		return fits_from(pattern + 1, text);
	for (;; text++) {
		if (fits_from(pattern, text))
			return true;
		if (*text == '\0')
			return false;
	}
}

const char *suppressions_match(const struct suppressions *suppressions, const struct symbol *const *lines, size_t count)
{
	for (size_t i = 0; i < suppressions->count; i++) {
		const char *pattern = suppressions->patterns[i];
		for (size_t line = 0; line < count; line++) {
			const struct profile_module *module = lines[line]->module;
			if (fits(pattern, lines[line]->function) || fits(pattern, lines[line]->file) ||
				fits(pattern, module != NULL ? module->path : NULL))
				return pattern;
		}
	}
	return NULL;
}
