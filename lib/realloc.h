/* realloc.h: when a block that changes its size stays where it is, and how much room it gets when it moves. */
#ifndef HAK_REALLOC_H
#define HAK_REALLOC_H

#include "base.h"

/* libc's realloc: of NULL it is malloc, of 0 bytes free. On failure it returns NULL, the block is left as it is, and errno is
 * ENOMEM, or EINVAL if that is no block. Keeps errno on success. */
void *hak_entry_realloc(void *block, size_t bytes);

#endif
