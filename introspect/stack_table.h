/* stack_table.h: stacks, each kept once, under a number. Bounded; any thread may add to it, and no lock is taken. */
#ifndef HAK_STACK_TABLE_H
#define HAK_STACK_TABLE_H

#include "lib/base.h"

/* Makes the table, for so many stacks; once. Returns false if memory is refused. */
bool hak_stack_table_begin(uint32_t wanted);

/* The number of a stack of `count` > 0 frames: that of the same stack, or a new one. 0 if there is no room. */
uint32_t hak_stack_table_number(const uintptr_t *frames, unsigned count);

/* Numbers are below this; 0 before there is a table. */
uint32_t hak_stack_table_end(void);
/* The frames of stack `number` > 0. Returns how many, 0 if there is no such stack. They stay. */
unsigned hak_stack_table_frames(uint32_t number, const uintptr_t **frames);

/* Stacks that are kept, the most that there is room for, and how often there was none. */
void hak_stack_table_count(uint64_t *kept, uint64_t *most, uint64_t *lost_ones);

#endif
