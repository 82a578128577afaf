#include "viewer/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "viewer/format.h"

#define RANK_MAX 9
#define LABEL_WIDTH 6 /* of a button with room to spare, as in htop */

const struct key_row key_rows[] = {
#define HAK_KEY(act, keys, situation, label, rank, help) {ACT_##act, keys, situation, label, rank, help},
#include "viewer/keys.def"
#undef HAK_KEY
};
const size_t key_row_count = sizeof(key_rows) / sizeof(key_rows[0]);

static const struct {
	const char *name;
	int code;
} names[] = {
	{"Space", ' '}, {"Tab", KEYS_TAB}, {"Shift-Tab", KEYS_BACK_TAB}, {"Enter", KEYS_ENTER}, {"Esc", KEYS_ESCAPE},
	{"Up", KEYS_UP}, {"Down", KEYS_DOWN}, {"Left", KEYS_LEFT}, {"Right", KEYS_RIGHT}, {"PgUp", KEYS_PAGE_UP},
	{"PgDn", KEYS_PAGE_DOWN}, {"Home", KEYS_HOME}, {"End", KEYS_END}, {"Backspace", KEYS_BACKSPACE},
	{"Del", KEYS_DELETE}, {"Ctrl-C", KEYS_CTRL_C}, {"Ctrl-L", KEYS_CTRL_L}, {"mouse", KEYS_NO_CODE},
};

static int code_of(const char *name)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i].name, name) == 0)
			return names[i].code;
	}
	if (name[0] == 'F' && name[1] != '\0')
		return KEYS_F0 + (int)strtol(name + 1, NULL, 10);
	return (int)format_utf8_next(&name);
}

bool keys_next(const char **keys, char *name, int *first, int *last)
{
	char own[KEYS_NAME_MAX];
	if (name == NULL)
		name = own;
	*keys += strspn(*keys, " ");
	size_t length = strcspn(*keys, " ");
	if (length == 0)
		return false;
	snprintf(name, KEYS_NAME_MAX, "%.*s", (int)length, *keys);
	*keys += length;
	bool range = length == 3 && name[1] == '-';
	*first = range ? name[0] : code_of(name);
	*last = range ? name[2] : *first;
	return true;
}

enum act keys_find(int code, unsigned situation)
{
	for (size_t i = 0; i < key_row_count; i++) {
		int first, last;
		if ((key_rows[i].situation & ~situation) != 0)
			continue;
		for (const char *keys = key_rows[i].keys; keys_next(&keys, NULL, &first, &last);) {
			if (code >= first && code <= last && code != KEYS_NO_CODE)
				return key_rows[i].act;
		}
	}
	return ACT_NONE;
}

/* Name number `n` of a row's keys. */
static bool nth_name(const struct key_row *row, int n, char *name)
{
	int first, last;
	const char *keys = row->keys;
	while (keys_next(&keys, name, &first, &last)) {
		if (n-- == 0)
			return true;
	}
	return false;
}

static bool has_word(const char *text, const char *word)
{
	size_t length = strlen(word);
	for (const char *at = text; (at = strstr(at, word)) != NULL; at++) {
		if ((at == text || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
			return true;
	}
	return false;
}

bool keys_help(size_t i, char *out, size_t size)
{
	char name[KEYS_NAME_MAX];
	size_t length = 0, end = i + 1;
	out[0] = '\0';
	if (*key_rows[i].help == '\0')
		return false;
	while (end < key_row_count && *key_rows[end].help == '\0')
		end++;
	bool more = true;
	for (int n = 0; more; n++) {
		more = false;
		for (size_t row = i; row < end; row++) {
			if (!nth_name(&key_rows[row], n, name))
				continue;
			more = true;
			if (!has_word(out, name) && length + strlen(name) + 2 < size)
				length += (size_t)snprintf(out + length, size - length, "%s%s", length > 0 ? " " : "",
					name);
		}
	}
	return true;
}

/* Lays out the rows of at least `rank`; returns the width that they take. */
static int lay_out(unsigned situation, int rank, int label_width, struct key_button *buttons, size_t *count)
{
	int x = 0;
	*count = 0;
	for (size_t i = 0; i < key_row_count && *count < KEYS_BUTTONS_MAX; i++) {
		const struct key_row *row = &key_rows[i];
		if (*row->label == '\0' || row->rank < rank || (row->situation & ~situation) != 0)
			continue;
		struct key_button *button = &buttons[(*count)++];
		button->act = row->act;
		nth_name(row, 0, button->key);
		if (strcmp(button->key, "Space") == 0)
			strcpy(button->key, "Spc");
		snprintf(button->label, sizeof(button->label), "%-*s", label_width, row->label);
		if (label_width == 0)
			strncat(button->label, " ", sizeof(button->label) - strlen(button->label) - 1);
		button->x = x;
		button->width = (int)(strlen(button->key) + strlen(button->label)); /* both are ASCII */
		x += button->width;
	}
	return x;
}

size_t keys_bar(int width, unsigned situation, struct key_button buttons[KEYS_BUTTONS_MAX])
{
	size_t count;
	/* Narrower buttons first, then fewer. */
	if (lay_out(situation, 0, LABEL_WIDTH, buttons, &count) <= width)
		return count;
	for (int rank = 0; rank <= RANK_MAX + 1 && lay_out(situation, rank, 0, buttons, &count) > width; rank++) {
	}
	return count;
}
