/* api.h: the part of the public C API that introspection serves; lib/hakmem.h declares and describes it. */
#ifndef HAK_API_H
#define HAK_API_H

#include "lib/hakmem.h"

#endif
