/* object.h: the loaded file ("object") that an address lies in: for signal handlers too, which must not wait for the loader. */
#ifndef HAK_OBJECT_H
#define HAK_OBJECT_H

#include "lib/base.h"
#include "lib/fmt.h"

struct hak_object {
	uintptr_t bias;             /* addresses in the file begin here: address - bias is what addr2line wants */
	const char *path;           /* as the loader knows it: "" is the program itself; stays while the file does */
	const uint8_t *unwind_table; /* its .eh_frame_hdr; NULL: it has none */
};

/* Looks for glibc's look-up without a lock (2.35 and later), and reads the program's path. Not from within malloc; once is
 * enough. */
void hak_object_begin(void);

/* Finds the file. Returns false if `address` is in none. Takes no lock after hak_object_begin has found what it looks for. Else it is
 * the loader's, which the thread may hold already: at worst one that loads a file is waited for. */
bool hak_object_find(uintptr_t address, struct hak_object *out);

/* Writes "/usr/bin/program+0x1234", which addr2line and hakmem-top understand, or the address where no file is known. */
void hak_object_format(struct hak_fmt *fmt, uintptr_t address);

#endif
