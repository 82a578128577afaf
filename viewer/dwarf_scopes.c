#include "viewer/dwarf_scopes.h"

#include <dwarf.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#define DEEPEST 256 /* DIEs within each other; files of somebody else's may have more, but no compiler makes them */

/* Code of a function; one may have several pieces. */
struct piece {
	Dwarf_Addr low, high;
	Dwarf_Off die;
};

struct unit {
	Dwarf_Off die; /* the key */
	struct piece *pieces; /* by address */
	size_t count, capacity;
};

static int compare_units(const void *a, const void *b)
{
	const struct unit *left = a, *right = b;
	return left->die < right->die ? -1 : left->die > right->die;
}

static int compare_pieces(const void *a, const void *b)
{
	const struct piece *left = a, *right = b;
	return left->low < right->low ? -1 : left->low > right->low;
}

static void free_unit(void *unit)
{
	free(((struct unit *)unit)->pieces);
	free(unit);
}

void dwarf_scopes_free(dwarf_scopes *scopes)
{
	tdestroy(*scopes, free_unit);
	*scopes = NULL;
}

static bool add_piece(struct unit *unit, struct piece piece)
{
	if (unit->count == unit->capacity) {
		size_t capacity = unit->capacity > 0 ? 2 * unit->capacity : 64;
		struct piece *pieces = realloc(unit->pieces, capacity * sizeof(*pieces));
		if (pieces == NULL)
			return false;
		unit->pieces = pieces;
		unit->capacity = capacity;
	}
	unit->pieces[unit->count++] = piece;
	return true;
}

static void add_function(struct unit *unit, Dwarf_Die *die)
{
	Dwarf_Addr base, low, high;
	for (ptrdiff_t at = 0; (at = dwarf_ranges(die, at, &base, &low, &high)) > 0;) {
		if (high > low && !add_piece(unit, (struct piece){low, high, dwarf_dieoffset(die)}))
			return;
	}
}

/* Whether functions may stand below it: methods in classes, functions in functions. */
static bool holds_functions(int tag)
{
	return tag == DW_TAG_subprogram || tag == DW_TAG_namespace || tag == DW_TAG_class_type || tag == DW_TAG_structure_type ||
		tag == DW_TAG_union_type || tag == DW_TAG_enumeration_type || tag == DW_TAG_module || tag == DW_TAG_lexical_block ||
		tag == DW_TAG_inlined_subroutine;
}

/* Collects the functions below a DIE. It recurs DEEPEST times at most. */
/* NOLINTNEXTLINE(misc-no-recursion): bounded */
static void collect(struct unit *unit, Dwarf_Die *parent, int depth)
{
	Dwarf_Die die;
	if (depth == DEEPEST || dwarf_child(parent, &die) != 0)
		return;
	do {
		int tag = dwarf_tag(&die);
		if (tag == DW_TAG_subprogram)
			add_function(unit, &die);
		if (holds_functions(tag) && dwarf_haschildren(&die) > 0)
			collect(unit, &die, depth + 1);
	} while (dwarf_siblingof(&die, &die) == 0);
}

static const struct unit *unit_of(dwarf_scopes *scopes, Dwarf_Die *die)
{
	const struct unit key = {.die = dwarf_dieoffset(die)};
	struct unit **found = tfind(&key, scopes, compare_units), *unit;
	if (found != NULL)
		return *found;
	unit = calloc(1, sizeof(*unit));
	if (unit == NULL)
		return NULL;
	unit->die = key.die;
	collect(unit, die, 0);
	if (unit->count > 1)
		qsort(unit->pieces, unit->count, sizeof(*unit->pieces), compare_pieces);
	if (tsearch(unit, scopes, compare_units) != NULL)
		return unit;
	free_unit(unit);
	return NULL;
}

static const struct piece *piece_at(const struct unit *unit, Dwarf_Addr address)
{
	size_t low = 0, high = unit->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (unit->pieces[middle].low <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && address < unit->pieces[low - 1].high ? &unit->pieces[low - 1] : NULL;
}

/* The next scope inwards that holds the address: a block, or a function that was inlined. */
static bool next_inwards(const Dwarf_Die *parent, Dwarf_Addr address, Dwarf_Die *out)
{
	Dwarf_Die die;
	if (dwarf_child((Dwarf_Die *)parent, &die) != 0)
		return false;
	do {
		int tag = dwarf_tag(&die);
		bool is_scope = tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block || tag == DW_TAG_try_block || tag == DW_TAG_catch_block;
		if (is_scope && dwarf_haspc(&die, address) > 0) {
			*out = die;
			return true;
		}
	} while (dwarf_siblingof(&die, &die) == 0);
	return false;
}

size_t dwarf_scopes_at(dwarf_scopes *scopes, Dwarf *debug, Dwarf_Die *unit, Dwarf_Addr address, Dwarf_Die *out, size_t limit)
{
	const struct unit *known = unit_of(scopes, unit);
	const struct piece *piece = known != NULL ? piece_at(known, address) : NULL;
	Dwarf_Die at;
	size_t count = 0;
	if (piece == NULL || dwarf_offdie(debug, piece->die, &at) == NULL)
		return 0;
	out[count++] = at;
	for (int depth = 0; depth < DEEPEST && count < limit; depth++) {
		Dwarf_Die inner;
		if (!next_inwards(&at, address, &inner))
			break;
		at = inner;
		if (dwarf_tag(&at) == DW_TAG_inlined_subroutine)
			out[count++] = at;
	}
	/* They were found from the outside inwards. */
	for (size_t i = 0; i < count / 2; i++) {
		Dwarf_Die swap = out[i];
		out[i] = out[count - 1 - i];
		out[count - 1 - i] = swap;
	}
	return count;
}
