#include "viewer/document.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES ((size_t)64 << 10)
#define KEPT_PIECES 32 /* 2 MiB: what a delta of a large heap takes */

struct document_piece {
	struct document_piece *next;
	size_t size, used;
	alignas(max_align_t) char bytes[];
};

/* The document that cJSON's hooks, which take no argument of ours, take memory for. */
static struct document *filling;

static struct document_piece *new_piece(struct document *document, size_t size)
{
	struct document_piece *piece = document->spare;
	if (piece != NULL && size <= PIECE_BYTES) {
		document->spare = piece->next;
		document->spare_count--;
		return piece;
	}
	size = size > PIECE_BYTES ? size : PIECE_BYTES;
	piece = size < SIZE_MAX - sizeof(*piece) ? malloc(sizeof(*piece) + size) : NULL;
	if (piece != NULL)
		piece->size = size;
	return piece;
}

static void *take(size_t size)
{
	size_t mask = alignof(max_align_t) - 1;
	if (size > SIZE_MAX - mask)
		return NULL;
	size = (size + mask) & ~mask;
	struct document_piece *piece = filling->pieces;
	if (piece == NULL || piece->size - piece->used < size) {
		piece = new_piece(filling, size);
		if (piece == NULL)
			return NULL;
		piece->used = 0;
		piece->next = filling->pieces;
		filling->pieces = piece;
	}
	piece->used += size;
	return piece->bytes + piece->used - size;
}

/* What cJSON gives back, of a text that is wrong, goes with the rest. */
static void leave(void *memory)
{
	(void)memory;
}

const cJSON *document_parse(struct document *document, const char *json, size_t length, const char **end)
{
	cJSON_Hooks ours = {.malloc_fn = take, .free_fn = leave};
	document_done(document);
	filling = document;
	/* The hooks are the whole process's: other uses of cJSON go on with malloc. */
	cJSON_InitHooks(&ours);
	const cJSON *root = cJSON_ParseWithLengthOpts(json, length, end, false);
	cJSON_InitHooks(NULL);
	filling = NULL;
	return root;
}

void document_done(struct document *document)
{
	while (document->pieces != NULL) {
		struct document_piece *piece = document->pieces;
		document->pieces = piece->next;
		if (piece->size > PIECE_BYTES || document->spare_count == KEPT_PIECES) {
			free(piece);
			continue;
		}
		piece->next = document->spare;
		document->spare = piece;
		document->spare_count++;
	}
}

void document_free(struct document *document)
{
	document_done(document);
	while (document->spare != NULL) {
		struct document_piece *piece = document->spare;
		document->spare = piece->next;
		free(piece);
	}
	memset(document, 0, sizeof(*document));
}
