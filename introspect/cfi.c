/* The format is that of the Linux Standard Base, ".eh_frame" and ".eh_frame_hdr", with DWARF's instructions. Tables are
 * trusted to be whole, as the loader and C++ trust them. */
#include "introspect/cfi.h"

#include <string.h>

#if defined(__x86_64__)
enum { REGISTER_FP = 6, REGISTER_SP = 7, REGISTER_RA = 16 };
#elif defined(__aarch64__)
enum { REGISTER_FP = 29, REGISTER_SP = 31, REGISTER_RA = 30 };
#endif

#define REMEMBERED 8 /* rows that a program may lay aside */
#define WORD ((intptr_t)sizeof(uintptr_t))

/* ---- Reading ---- */

static uint64_t read_uleb(const uint8_t **at)
{
	uint64_t value = 0;
	unsigned shift = 0;
	uint8_t byte;

	do {
		byte = *(*at)++;
		if (shift < 64)
			value |= (uint64_t)(byte & 127) << shift;
		shift += 7;
	} while (byte & 128);
	return value;
}

static int64_t read_sleb(const uint8_t **at)
{
	int64_t value = 0;
	unsigned shift = 0;
	uint8_t byte;

	do {
		byte = *(*at)++;
		if (shift < 64)
			value |= (int64_t)((uint64_t)(byte & 127) << shift);
		shift += 7;
	} while (byte & 128);
	if (shift < 64 && byte & 64)
		value |= (int64_t)(~(uint64_t)0 << shift);
	return value;
}

static uint32_t read_u32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static uint16_t read_u16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

/* ---- Rows ---- */

/* What is known at an instruction. An offset that can't be told makes the whole row unknown. */
struct row {
	bool unknown, outermost;
	bool missing; /* there is none: no function's entry holds the instruction */
	bool fp_in_frame; /* the caller's frame pointer lies where the present one points */
	enum hak_cfi_kind cfa;
	int64_t cfa_offset, fp_offset, ra_offset; /* NOT_SAVED: in the register */
};
#define NOT_SAVED INT64_MIN

/* A function's program under way. */
struct program {
	uint64_t code_alignment;
	int64_t data_alignment;
	uintptr_t location, target; /* the row is sought that holds for the latter */
	struct row row, initial, remembered[REMEMBERED];
	unsigned depth;
};

static void set_cfa(struct row *row, uint64_t reg, int64_t offset)
{
	row->cfa = reg == REGISTER_SP ? HAK_CFI_SP : reg == REGISTER_FP ? HAK_CFI_FP : HAK_CFI_UNKNOWN;
	row->cfa_offset = offset;
}

static void set_saved(struct row *row, uint64_t reg, int64_t offset)
{
	if (reg == REGISTER_FP) {
		row->fp_offset = offset;
		row->fp_in_frame = false;
	} else if (reg == REGISTER_RA) {
		row->ra_offset = offset;
		row->outermost = false;
	}
}

static void restore(struct program *program, uint64_t reg)
{
	if (reg == REGISTER_FP) {
		program->row.fp_offset = program->initial.fp_offset;
		program->row.fp_in_frame = program->initial.fp_in_frame;
	} else if (reg == REGISTER_RA) {
		program->row.ra_offset = program->initial.ra_offset;
	}
}

/* A register whose value is computed, or lies in another: only matters where it is one of ours. */
static void set_unknown(struct row *row, uint64_t reg)
{
	if (reg == REGISTER_FP || reg == REGISTER_RA)
		row->unknown = true;
}

/* DW_OP_breg of the frame pointer, with its offset, and then what `rest` says and nothing more. */
static bool is_fp_expression(const uint8_t *at, const uint8_t *end, int rest, int64_t *offset)
{
	if (at == end || *at++ != 0x70 + REGISTER_FP)
		return false;
	*offset = read_sleb(&at);
	if (rest >= 0 && (at == end || *at++ != rest))
		return false;
	return at == end;
}

static void cfa_expression(struct row *row, const uint8_t *at, const uint8_t *end)
{
	const int deref = 0x06;

	row->cfa = is_fp_expression(at, end, deref, &row->cfa_offset) ? HAK_CFI_FP_SAVED : HAK_CFI_UNKNOWN;
}

static void saved_expression(struct row *row, uint64_t reg, const uint8_t *at, const uint8_t *end)
{
	int64_t offset;

	if (reg == REGISTER_FP && is_fp_expression(at, end, -1, &offset) && offset == 0)
		row->fp_in_frame = true;
	else
		set_unknown(row, reg);
}

/* ---- Programs ---- */

/* Goes on to another location. Returns false if that is beyond the target: the row is the one. */
static bool advance(struct program *program, uint64_t steps)
{
	program->location += steps * program->code_alignment;
	return program->location <= program->target;
}

/* The instructions that say where something is saved, and those of registers. Returns false for others. */
static bool step_register(struct program *program, uint8_t op, const uint8_t **at)
{
	struct row *row = &program->row;
	uint64_t reg, length;

	switch (op) {
	case 0x05: /* DW_CFA_offset_extended */
		reg = read_uleb(at);
		set_saved(row, reg, (int64_t)read_uleb(at) * program->data_alignment);
		return true;
	case 0x06: /* DW_CFA_restore_extended */
		restore(program, read_uleb(at));
		return true;
	case 0x07: /* DW_CFA_undefined */
		reg = read_uleb(at);
		row->outermost |= reg == REGISTER_RA;
		return true;
	case 0x08: /* DW_CFA_same_value */
		set_saved(row, read_uleb(at), NOT_SAVED);
		return true;
	case 0x09: /* DW_CFA_register */
		set_unknown(row, read_uleb(at));
		read_uleb(at);
		return true;
	case 0x10: /* DW_CFA_expression */
	case 0x16: /* DW_CFA_val_expression */
		reg = read_uleb(at);
		length = read_uleb(at);
		if (op == 0x10)
			saved_expression(row, reg, *at, *at + length);
		else
			set_unknown(row, reg);
		*at += length;
		return true;
	case 0x11: /* DW_CFA_offset_extended_sf */
		reg = read_uleb(at);
		set_saved(row, reg, read_sleb(at) * program->data_alignment);
		return true;
	case 0x14: /* DW_CFA_val_offset, and _sf: both are read alike */
	case 0x15:
		set_unknown(row, read_uleb(at));
		read_uleb(at);
		return true;
	case 0x2f: /* DW_CFA_GNU_negative_offset_extended */
		reg = read_uleb(at);
		set_saved(row, reg, -(int64_t)read_uleb(at) * program->data_alignment);
		return true;
	default:
		return false;
	}
}

/* The instructions about the CFA. Returns false for others. */
static bool step_cfa(struct program *program, uint8_t op, const uint8_t **at)
{
	struct row *row = &program->row;
	uint64_t reg, length;

	switch (op) {
	case 0x0c: /* DW_CFA_def_cfa */
		reg = read_uleb(at);
		set_cfa(row, reg, (int64_t)read_uleb(at));
		return true;
	case 0x0d: /* DW_CFA_def_cfa_register */
		set_cfa(row, read_uleb(at), row->cfa_offset);
		return true;
	case 0x0e: /* DW_CFA_def_cfa_offset */
		row->cfa_offset = (int64_t)read_uleb(at);
		return true;
	case 0x0f: /* DW_CFA_def_cfa_expression */
		length = read_uleb(at);
		cfa_expression(row, *at, *at + length);
		*at += length;
		return true;
	case 0x12: /* DW_CFA_def_cfa_sf */
		reg = read_uleb(at);
		set_cfa(row, reg, read_sleb(at) * program->data_alignment);
		return true;
	case 0x13: /* DW_CFA_def_cfa_offset_sf */
		row->cfa_offset = read_sleb(at) * program->data_alignment;
		return true;
	default:
		return false;
	}
}

/* The instructions that have their operand within. Returns whether to go on. */
static bool step_short(struct program *program, uint8_t op, const uint8_t **at)
{
	if (op >> 6 == 1) /* DW_CFA_advance_loc */
		return advance(program, op & 63);
	if (op >> 6 == 2) /* DW_CFA_offset */
		set_saved(&program->row, op & 63, (int64_t)read_uleb(at) * program->data_alignment);
	else /* DW_CFA_restore */
		restore(program, op & 63);
	return true;
}

/* Any other. Returns whether to go on. */
static bool step_long(struct program *program, uint8_t op, const uint8_t **at)
{
	switch (op) {
	case 0x00: /* DW_CFA_nop */
	case 0x2d: /* DW_CFA_AARCH64_negate_ra_state */
		return true;
	case 0x02: /* DW_CFA_advance_loc1 */
		return advance(program, *(*at)++);
	case 0x03: /* DW_CFA_advance_loc2 */
		*at += 2;
		return advance(program, read_u16(*at - 2));
	case 0x04: /* DW_CFA_advance_loc4 */
		*at += 4;
		return advance(program, read_u32(*at - 4));
	case 0x0a: /* DW_CFA_remember_state */
		if (program->depth == REMEMBERED)
			break;
		program->remembered[program->depth++] = program->row;
		return true;
	case 0x0b: /* DW_CFA_restore_state */
		if (!program->depth)
			break;
		program->row = program->remembered[--program->depth];
		return true;
	case 0x2e: /* DW_CFA_GNU_args_size */
		read_uleb(at);
		return true;
	default:
		if (step_register(program, op, at) || step_cfa(program, op, at))
			return true;
	}
	program->row.unknown = true;
	return false;
}

static void execute(struct program *program, const uint8_t *at, const uint8_t *end)
{
	bool on = true;

	while (on && at < end) {
		uint8_t op = *at++;

		on = op >> 6 ? step_short(program, op, &at) : step_long(program, op, &at);
	}
}

/* ---- Entries ---- */

#define POINTER_PCREL_S4 0x1b /* DW_EH_PE_pcrel | DW_EH_PE_sdata4: what compilers write */
#define TABLE_DATAREL_S4 0x3b

/* The length of an encoded pointer, 0 if it is none of those in use. */
static unsigned pointer_bytes(uint8_t encoding)
{
	switch (encoding & 15) {
	case 0x02: /* udata2, sdata2 */
	case 0x0a:
		return 2;
	case 0x03: /* udata4, sdata4 */
	case 0x0b:
		return 4;
	case 0x00: /* absptr, udata8, sdata8 */
	case 0x04:
	case 0x0c:
		return 8;
	default:
		return 0;
	}
}

/* Reads a CIE, what functions have in common, and executes its instructions. Returns false if it says what isn't known. */
static bool read_cie(struct program *program, const uint8_t *cie, uint8_t *pointer_encoding)
{
	const uint8_t *at = cie + 8, *end = cie + 4 + read_u32(cie), *data;
	uint8_t version = *at++, bytes;
	const char *augmentation = (const char *)at;
	uint64_t length;

	at += strlen(augmentation) + 1;
	program->code_alignment = read_uleb(&at);
	program->data_alignment = read_sleb(&at);
	if (version == 1)
		at++;
	else
		read_uleb(&at); /* the column of the return address */
	*pointer_encoding = 0;
	if (*augmentation++ != 'z')
		return false;
	length = read_uleb(&at);
	data = at;
	at += length;
	for (; *augmentation; augmentation++) {
		if (*augmentation == 'R') {
			*pointer_encoding = *data++;
		} else if (*augmentation == 'P') {
			bytes = (uint8_t)pointer_bytes(*data);
			if (!bytes)
				return false;
			data += 1 + bytes;
		} else if (*augmentation == 'L') {
			data++;
		} else if (*augmentation != 'B') {
			return false; /* 'S' among them: the frame of a signal's handler */
		}
	}
	execute(program, at, end);
	return true;
}

/* The row for program->target from a function's entry. Returns false if the entry is of another form than compilers write. */
static bool read_fde(struct program *program, const uint8_t *fde)
{
	const uint8_t *end = fde + 4 + read_u32(fde), *at = fde + 8;
	uint8_t encoding;
	uint64_t length;

	if (read_u32(fde) == UINT32_MAX || read_u32(fde + 4) == 0 || !read_cie(program, fde + 4 - read_u32(fde + 4), &encoding))
		return false;
	program->initial = program->row;
	if (encoding != POINTER_PCREL_S4)
		return false;
	program->location = (uintptr_t)at + (uintptr_t)(int32_t)read_u32(at);
	if (program->target - program->location >= read_u32(at + 4)) {
		program->row.missing = true;
		return true;
	}
	at += 8;
	length = read_uleb(&at);
	execute(program, at + length, end);
	return true;
}

/* Whether a file has a sorted table of entries, of the form that linkers write. */
static bool is_sorted(const uint8_t *header)
{
	return header[0] == 1 && pointer_bytes(header[1]) == 4 && header[2] == 0x03 && header[3] == TABLE_DATAREL_S4;
}

/* The function's entry that may hold `pc`, by the sorted table of a file; NULL if there is none. */
static const uint8_t *find_fde(const uint8_t *header, uintptr_t pc)
{
	const uint8_t *rows = header + 12;
	uint32_t low = 0, high = read_u32(header + 8);

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if ((uintptr_t)header + (uintptr_t)(int32_t)read_u32(rows + 8 * (size_t)middle) <= pc)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? header + (int32_t)read_u32(rows + 8 * (size_t)(low - 1) + 4) : NULL;
}

static bool fits_words(int64_t offset)
{
	return offset == NOT_SAVED || (offset % WORD == 0 && offset / WORD > INT16_MIN && offset / WORD <= INT16_MAX);
}

static int words_of(int64_t offset)
{
	return offset == NOT_SAVED ? HAK_CFI_SAME : (int)(offset / WORD);
}

static struct hak_cfi_rule rule_of(const struct row *row)
{
	struct hak_cfi_rule rule = {.kind = HAK_CFI_UNKNOWN};

	if (row->outermost || row->missing) {
		rule.kind = row->missing ? HAK_CFI_NO_ENTRY : HAK_CFI_OUTERMOST;
		return rule;
	}
	if (row->unknown || row->fp_in_frame != (row->cfa == HAK_CFI_FP_SAVED) || row->cfa_offset < -(1 << 27) ||
		row->cfa_offset >= 1 << 27 || !fits_words(row->fp_offset) || !fits_words(row->ra_offset))
		return rule;
	rule.kind = row->cfa & 15;
	rule.cfa_offset = (int)row->cfa_offset;
	rule.fp_at = words_of(row->fp_offset);
	rule.ra_at = words_of(row->ra_offset);
	return rule;
}

struct hak_cfi_rule hak_cfi_read(const uint8_t *header, uintptr_t pc)
{
	const struct hak_cfi_rule unknown = {.kind = HAK_CFI_UNKNOWN};
	struct program program = {.target = pc};
	const uint8_t *fde;

	if (!is_sorted(header))
		return unknown;
	fde = find_fde(header, pc);
	program.row = (struct row){.missing = !fde, .cfa = HAK_CFI_UNKNOWN, .fp_offset = NOT_SAVED, .ra_offset = NOT_SAVED};
	program.initial = program.row;
	return !fde || read_fde(&program, fde) ? rule_of(&program.row) : unknown;
}
