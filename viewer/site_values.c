#include "viewer/site_values.h"

#include <string.h>

static const struct {
	const char *name, *words;
} values[SITE_VALUE_COUNT] = {
#define VALUE_NAMES(name, member, what) {#name, what},
	SITE_VALUES(VALUE_NAMES)
};

enum site_value site_value_named(const char *name)
{
	int i = 0;
	while (i < SITE_VALUE_COUNT && strcmp(values[i].name, name) != 0)
		i++;
	return (enum site_value)i;
}

const char *site_value_words(enum site_value value)
{
	return values[value].words;
}

bool site_value_is_bytes(enum site_value value)
{
	return value != SITE_VALUE_blocks && value != SITE_VALUE_allocs;
}

#define VALUE_CASE(name, member, what) \
	case SITE_VALUE_##name: return from->member;

double site_value_of(const struct site *from, enum site_value value)
{
	switch (value) {
		SITE_VALUES(VALUE_CASE)
	default: return 0;
	}
}

double site_value_of_node(const struct calltree_node *from, enum site_value value)
{
	switch (value) {
		SITE_VALUES(VALUE_CASE)
	default: return 0;
	}
}
