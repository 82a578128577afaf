/* new_handler.h: calling a C++ program's new-handler on behalf of an operator new that must not throw. */
#ifndef HAK_NEW_HANDLER_H
#define HAK_NEW_HANDLER_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Calls `handler`. Returns false if it threw; the exception is swallowed. Any thread; no lock is held. */
bool hak_call_new_handler(void (*handler)(void));

#ifdef __cplusplus
}
#endif

#endif
