/* schema.h: the text of schema.json, embedded so that a client can ask a target for the form of its messages. */
#ifndef HAK_SCHEMA_H
#define HAK_SCHEMA_H

#include <stddef.h>

/* The file's bytes, from hak_schema_text up to hak_schema_end. */
extern const char hak_schema_text[];
extern const char hak_schema_end[];

static inline size_t hak_schema_length(void)
{
	return (size_t)(hak_schema_end - hak_schema_text);
}

#endif
