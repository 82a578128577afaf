#include "viewer/demangle.h"

#include <libiberty/demangle.h>
#include <string.h>

/* What a name from a file of somebody else's may cost: longer ones stay as they are. */
#define LONGEST 16384

char *demangle(const char *name)
{
	char *text = NULL;
	/* libiberty's own limit of recursion holds, as DMGL_NO_RECURSE_LIMIT isn't among the options. */
	if (strncmp(name, "_R", 2) == 0 || strncmp(name, "_ZN", 3) == 0)
		text = strlen(name) < LONGEST ? rust_demangle(name, DMGL_RUST) : NULL;
	if (text == NULL && strncmp(name, "_Z", 2) == 0 && strlen(name) < LONGEST)
		text = cplus_demangle_v3(name, DMGL_ANSI);
	return text != NULL ? text : strdup(name);
}
