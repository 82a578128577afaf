/* symbols.h: what lies at the addresses of a profile: functions, files and lines, calls that were inlined too. All of it is
 * read from files (binaries.h); the memory of the program is never looked into, and nothing is fetched from a network. */
#ifndef VIEWER_SYMBOLS_H
#define VIEWER_SYMBOLS_H

#include "viewer/binaries.h"
#include "viewer/profile_model.h"

/* A line of a stack. */
struct symbol {
	const char *function; /* demangled; NULL: unknown */
	const char *linkage;  /* as linkers see it; NULL: unknown */
	const char *file;     /* NULL: unknown */
	unsigned line;        /* 0: unknown */
	bool inlined;         /* into the function of the next line */
	const struct profile_module *module; /* a copy of the profile's; NULL: the address is of none */
	uint64_t address;     /* as captured */
	uint64_t offset;      /* in the module, of the instruction that is meant: a call before the return address */
};

struct symbols;
/* The symbols of a profile, which has to stay. Files are opened when they are needed. NULL: out of memory. */
struct symbols *symbols_open(const struct profile *profile, const struct binaries_where *where);
/* Goes on with another profile. What is known of the files stays known if it has the same modules, as a later one of the
 * same process; lines that were asked for are the old one's, and gone. Returns false without memory: then only
 * symbols_close is left. */
bool symbols_move(struct symbols *symbols, const struct profile *profile);
void symbols_close(struct symbols *symbols);

/* The lines of stack `stack` (its place in the profile), leaf first, without the allocator's own; valid until
 * symbols_close. Function and file are the same pointers for the same texts. Without memory there are none. */
const struct symbol *const *symbols_of_stack(struct symbols *symbols, uint32_t stack, size_t *count);
/* Of these lines the one that a user would call the place of the allocation: the first that isn't operator new or part of
 * a language's library; 0 where all are. */
size_t symbols_place(const struct symbol *const *lines, size_t count);

/* Modules that stacks lie in and whose files were not found, with the reason. NULL: no more. */
const char *symbols_missing(const struct symbols *symbols, size_t number);

/* "main", or "libc.so.6+0x1234" or "0x1234" where the function isn't known. */
#define SYMBOL_TEXT 512
const char *symbol_name(char out[SYMBOL_TEXT], const struct symbol *symbol);
/* "source.c:12", "source.c", or "" where it isn't known; with_folders: the whole path. */
const char *symbol_source(char out[SYMBOL_TEXT], const struct symbol *symbol, bool with_folders);

#endif
