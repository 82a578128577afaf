/* schema.c: lets the assembler read schema.json; the build passes its path as HAK_SCHEMA_FILE. */
#include "introspect/schema.h"

__asm__(".pushsection .rodata\n"
	".global hak_schema_text\n"
	".hidden hak_schema_text\n"
	"hak_schema_text:\n"
	".incbin \"" HAK_SCHEMA_FILE "\"\n"
	".global hak_schema_end\n"
	".hidden hak_schema_end\n"
	"hak_schema_end:\n"
	".byte 0\n"
	".popsection\n");
