/* document.h: JSON as a tree that is read and thrown away. Messages come many times a second, and one of a large heap has
 * tens of thousands of values: their memory is taken in large pieces, and given back as a whole. */
#ifndef VIEWER_DOCUMENT_H
#define VIEWER_DOCUMENT_H

#include <cjson/cJSON.h>
#include <stddef.h>

struct document_piece;

/* Zero before the first use. */
struct document {
	struct document_piece *pieces; /* the one that is being filled, then those before it */
	struct document_piece *spare;  /* kept for the next text */
	size_t spare_count;
};

/* Reads JSON text. The tree is the document's: it is looked at, neither changed nor deleted, and is there until the next call
 * with this document. *end is where the text ends, or where it is wrong. Returns NULL if it is wrong, or without memory.
 * Not for more than one thread. */
const cJSON *document_parse(struct document *document, const char *json, size_t length, const char **end);
/* The tree isn't needed any more. Some memory is kept for the next one. */
void document_done(struct document *document);
/* Gives all memory back. */
void document_free(struct document *document);

#endif
