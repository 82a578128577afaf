/* dwarf.h: one file's symbols and debug information, by elfutils' libdwfl. Addresses are the file's own, as its program
 * headers have them. */
#ifndef VIEWER_DWARF_H
#define VIEWER_DWARF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A function at an address; the caller of an inlined one follows. Strings belong to the file. */
struct dwarf_line {
	const char *linkage; /* NULL: unknown */
	const char *file;    /* NULL: unknown */
	const char *folder;  /* that a file without a whole path is below; NULL: unknown */
	unsigned line;
	bool inlined;
};
#define DWARF_LINES_MAX 64 /* functions inlined into each other; those further in are left out */

struct dwarf;
/* Takes over `fd`. `debug_path` is where separate debug files are looked for (binaries_debug_path), and has to stay. NULL: it
 * is no file that libdwfl reads; the descriptor is closed all the same. */
struct dwarf *dwarf_open(int fd, const char *path, char *debug_path);
void dwarf_close(struct dwarf *dwarf);

/* What lies at `address`: innermost first. Returns the number of lines, 0: nothing is known. */
size_t dwarf_lines(struct dwarf *dwarf, uint64_t address, struct dwarf_line out[DWARF_LINES_MAX]);
/* Whether the code at `address` is what the kernel lets a signal handler return to: what is below on a stack was
 * interrupted there, and has not called. */
bool dwarf_is_signal_frame(struct dwarf *dwarf, uint64_t address);

#endif
