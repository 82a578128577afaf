/* folder.h: a temporary folder for the tests that make files. */
#ifndef HAK_TESTS_FOLDER_H
#define HAK_TESTS_FOLDER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static char folder[64];

/* A path in it, valid until the next call. */
static inline const char *below(const char *name)
{
	static char path[256];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

/* Makes it; the test removes what it put there, and the folder. */
static inline void make_folder(void)
{
	strcpy(folder, "/tmp/hakmem-test-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
}

#endif
