#include "introspect/misuse_text.h"

#include "introspect/object.h"
#include "lib/guard.h"

#define FRAMES_SHOWN 32u

static void put_number(struct hak_fmt *fmt, uint64_t number, const char *unit)
{
	hak_fmt_unsigned(fmt, number);
	hak_fmt_text(fmt, unit);
}

/* "1 byte", "2 bytes". */
static void put_bytes(struct hak_fmt *fmt, uint64_t bytes)
{
	put_number(fmt, bytes, bytes == 1 ? " byte" : " bytes");
}

static void put_frame(struct hak_fmt *fmt, unsigned number, uintptr_t instruction)
{
	hak_fmt_text(fmt, "hakmem:     #");
	hak_fmt_unsigned(fmt, number);
	hak_fmt_text(fmt, number < 10 ? "  " : " ");
	hak_object_format(fmt, instruction);
	hak_fmt_char(fmt, '\n');
}

/* pc: the instruction itself, 0 if the frames are all. */
static void put_frames(struct hak_fmt *fmt, uintptr_t pc, const uintptr_t *frames, unsigned count)
{
	unsigned number = 0;

	if (!pc && !count)
		hak_fmt_text(fmt, "hakmem:     (no stack)\n");
	if (pc)
		put_frame(fmt, number++, pc);
	/* The call, which the return address is behind. */
	for (unsigned i = 0; i < count && i < FRAMES_SHOWN; i++)
		put_frame(fmt, number++, frames[i] - 1);
	if (count > FRAMES_SHOWN) {
		hak_fmt_text(fmt, "hakmem:     ... and ");
		put_number(fmt, count - FRAMES_SHOWN, " more\n");
	}
}

/* "8 bytes behind the end of". */
static void put_offset(struct hak_fmt *fmt, uintptr_t address, uintptr_t block, uint64_t bytes)
{
	if (address < block) {
		put_bytes(fmt, block - address);
		hak_fmt_text(fmt, " before the beginning of ");
	} else if (address == block) {
		hak_fmt_text(fmt, "at the beginning of ");
	} else if (address - block < bytes) {
		put_bytes(fmt, address - block);
		hak_fmt_text(fmt, " into ");
	} else if (address - block == bytes) {
		hak_fmt_text(fmt, "right behind the end of ");
	} else {
		put_bytes(fmt, address - block - bytes);
		hak_fmt_text(fmt, " behind the end of ");
	}
}

static void put_block(struct hak_fmt *fmt, const char *what, uint64_t bytes, uintptr_t address, uint8_t class)
{
	hak_fmt_text(fmt, what);
	put_bytes(fmt, bytes);
	hak_fmt_text(fmt, " at ");
	hak_fmt_hex(fmt, address);
	hak_fmt_text(fmt, class < HAK_CLASS_COUNT ? ", class " : ", a large one");
	if (class < HAK_CLASS_COUNT)
		hak_fmt_unsigned(fmt, class);
}

static void put_guarded(struct hak_fmt *fmt, const struct hak_misuse *misuse)
{
	const struct hak_guarded *block = &misuse->details.block;

	put_offset(fmt, misuse->details.address, block->address, block->bytes);
	put_block(fmt, block->state == HAK_GUARDED_FREED ? "a freed block of " : "a live block of ", block->bytes, block->address, block->class);
	hak_fmt_text(fmt, ", guarded at level ");
	hak_fmt_text(fmt, hak_guard_words[block->level]);
}

static void put_unguarded(struct hak_fmt *fmt, const struct hak_misuse *misuse)
{
	static const char *const meanings[] = {
#define X(name, meaning) meaning,
		HAK_WHEREABOUTS(X)
#undef X
	};
	const struct hak_whereabouts *at = &misuse->at;

	if (at->block) {
		put_offset(fmt, misuse->details.address, at->block, at->block_bytes);
		put_block(fmt, "a block of ", at->block_bytes, at->block, at->class);
		hak_fmt_text(fmt, ": ");
	}
	hak_fmt_text(fmt, meanings[at->kind]);
}

static void put_where(struct hak_fmt *fmt, const struct hak_misuse *misuse)
{
	static const char *const states[] = {"UNUSED", "ACTIVE", "EMPTY"};

	hak_fmt_text(fmt, "hakmem:   ");
	hak_fmt_hex(fmt, misuse->details.address);
	hak_fmt_text(fmt, " is ");
	if (misuse->details.block.address)
		put_guarded(fmt, misuse);
	else
		put_unguarded(fmt, misuse);
	if (misuse->at.superslab) {
		hak_fmt_text(fmt, "; SuperSlab ");
		hak_fmt_hex(fmt, misuse->at.superslab);
		hak_fmt_text(fmt, ", slot ");
		put_number(fmt, misuse->at.slot, ", ");
		hak_fmt_text(fmt, states[misuse->at.state]);
	}
	hak_fmt_char(fmt, '\n');
}

static void put_thread(struct hak_fmt *fmt, const char *deed, uint32_t tid, const char *name)
{
	hak_fmt_text(fmt, "hakmem:   ");
	hak_fmt_text(fmt, deed);
	hak_fmt_text(fmt, " by thread ");
	hak_fmt_unsigned(fmt, tid);
	if (*name) {
		hak_fmt_text(fmt, " (");
		hak_fmt_text(fmt, name);
		hak_fmt_char(fmt, ')');
	}
}

static void put_access(struct hak_fmt *fmt, const struct hak_misuse *misuse)
{
	static const char *const deeds[] = {"accessed", "read", "written"};
	const uintptr_t *frames = NULL;
	unsigned count = hak_misuse_frames(misuse, &frames);

	put_thread(fmt, misuse->pc ? deeds[misuse->details.access] : misuse->details.damage ? "found" : "called", misuse->details.tid,
		misuse->thread);
	hak_fmt_text(fmt, ":\n");
	put_frames(fmt, misuse->pc, frames, count);
}

static void put_digits(struct hak_fmt *fmt, uint64_t number, unsigned digits)
{
	uint64_t place = 1;

	for (; digits > 1; digits--)
		place *= 10;
	for (; place; place /= 10)
		hak_fmt_char(fmt, (char)('0' + number / place % 10));
}

/* Of an allocation or a free. */
static void put_deed(struct hak_fmt *fmt, const char *deed, uint32_t tid, uint64_t time_ns, uint32_t stack, uint64_t now_ns)
{
	const uintptr_t *frames = NULL;
	unsigned count = hak_stack_frames(stack, &frames);

	put_thread(fmt, deed, tid, "");
	if (time_ns && time_ns <= now_ns) {
		hak_fmt_text(fmt, ", ");
		put_number(fmt, (now_ns - time_ns) / 1000000000, ".");
		put_digits(fmt, (now_ns - time_ns) / 1000000 % 1000, 3);
		hak_fmt_text(fmt, " s before");
	}
	hak_fmt_text(fmt, ":\n");
	put_frames(fmt, 0, frames, count);
}

/* The byte at the address stands in brackets. */
static void put_row(struct hak_fmt *fmt, const struct hak_misuse *misuse, unsigned row)
{
	static const char digits[] = "0123456789abcdef";
	uintptr_t at = misuse->memory_at + (uintptr_t)row * HAK_MISUSE_ROW;
	const uint8_t *bytes = misuse->memory + (size_t)row * HAK_MISUSE_ROW;

	hak_fmt_text(fmt, "hakmem:     ");
	hak_fmt_hex(fmt, at);
	hak_fmt_char(fmt, ' ');
	if (!misuse->readable[row])
		hak_fmt_text(fmt, " can't be read");
	for (unsigned i = 0; misuse->readable[row] && i < HAK_MISUSE_ROW; i++) {
		const char *mark = at + i == misuse->details.address ? "[" : i && at + i - 1 == misuse->details.address ? "]" : " ";

		hak_fmt_text(fmt, mark);
		hak_fmt_char(fmt, digits[bytes[i] >> 4]);
		hak_fmt_char(fmt, digits[bytes[i] & 15]);
	}
	if (misuse->readable[row] && at + HAK_MISUSE_ROW - 1 == misuse->details.address)
		hak_fmt_char(fmt, ']');
	hak_fmt_char(fmt, '\n');
}

void hak_misuse_text(struct hak_fmt *fmt, const struct hak_misuse *misuse)
{
	const struct hak_report_details *details = &misuse->details;
	const struct hak_guarded *block = &details->block;

	hak_fmt_text(fmt, details->line);
	hak_fmt_char(fmt, '\n');
	put_where(fmt, misuse);
	put_access(fmt, misuse);
	if (block->address) {
		put_deed(fmt, "allocated", block->alloc_tid, block->alloc_ns, block->alloc_stack, details->time_ns);
		if (block->state == HAK_GUARDED_FREED)
			put_deed(fmt, "freed", block->free_tid, block->free_ns, block->free_stack, details->time_ns);
	}
	if (!misuse->memory_at)
		return;
	hak_fmt_text(fmt, "hakmem:   the memory there:\n");
	for (unsigned row = 0; row < HAK_MISUSE_ROWS; row++)
		put_row(fmt, misuse, row);
}
