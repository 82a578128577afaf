/* The only C++ in lib: C can't catch. A new-handler exists only in programs that have libstdc++, so what catching needs
 * of it is referred to weakly, and C programs get along without. */
#include "new_handler.h"

__asm__(".weak __gxx_personality_v0\n"
	".weak __cxa_begin_catch\n"
	".weak __cxa_end_catch\n"
	".weak _Unwind_Resume\n"
	".weak _ZSt9terminatev\n");

bool hak_call_new_handler(void (*handler)(void))
{
	try {
		handler();
		return true;
	} catch (...) {
		return false;
	}
}
