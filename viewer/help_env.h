/* help_env.h: the HAKMEM_* variables in words, out of the tables that the library itself reads them by. */
#ifndef VIEWER_HELP_ENV_H
#define VIEWER_HELP_ENV_H

#include <stdio.h>

void help_env_text(FILE *out);
/* The whole of env.md. */
void help_env_markdown(FILE *out);

#endif
