#include "introspect/library.h"

#include <dlfcn.h>

void *hak_library_load(const char *name)
{
	return dlopen(name, RTLD_NOW | RTLD_LOCAL);
}

void *hak_library_symbol(void *library, const char *symbol)
{
	return dlsym(library ? library : RTLD_DEFAULT, symbol);
}
