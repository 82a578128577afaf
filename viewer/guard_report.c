#include "viewer/guard_report.h"

#include <inttypes.h>
#include <string.h>

#include "viewer/format.h"

/* "1 byte", "2 bytes". */
static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

static void put_offset(char *out, size_t size, uint64_t address, const struct guard_block *block)
{
	uint64_t offset = address - block->address, behind = offset - block->bytes;
	if (address < block->address)
		snprintf(out, size, "%" PRIu64 " byte%s before the beginning of", block->address - address, plural(block->address - address));
	else if (offset == 0)
		snprintf(out, size, "at the beginning of");
	else if (offset < block->bytes)
		snprintf(out, size, "%" PRIu64 " byte%s into", offset, plural(offset));
	else if (behind == 0)
		snprintf(out, size, "right behind the end of");
	else
		snprintf(out, size, "%" PRIu64 " byte%s behind the end of", behind, plural(behind));
}

const char *guard_words_where(char out[GUARD_WORDS], uint64_t address, const struct guard_block *block)
{
	char offset[80], class[24] = "a large one";
	put_offset(offset, sizeof(offset), address, block);
	if (block->class != PROFILE_NO_CLASS)
		snprintf(class, sizeof(class), "class %d", block->class);
	snprintf(out, GUARD_WORDS, "%s a %s block of %" PRIu64 " byte%s at 0x%" PRIx64 ", %s, guarded at level %s", offset,
		block->freed ? "freed" : "live", block->bytes, plural(block->bytes), block->address, class, block->level);
	return out;
}

bool guard_matters(const struct snapshot *snapshot)
{
	bool on = snapshot->guard_level[0] != '\0' && strcmp(snapshot->guard_level, "off") != 0;
	return on || snapshot->guard.taken + snapshot->guard.reports > 0;
}

const char *guard_words_level(char out[GUARD_WORDS], const struct snapshot *snapshot)
{
	char taken[FORMAT_MAX], lost[FORMAT_MAX], kept[FORMAT_MAX], bytes[FORMAT_MAX];
	const char *level = snapshot->guard_level[0] != '\0' ? snapshot->guard_level : "off";
	size_t length = (size_t)snprintf(out, GUARD_WORDS, "%s", level);
	if (strcmp(level, "sample") == 0)
		length += (size_t)snprintf(out + length, GUARD_WORDS - length, ", one malloc in %" PRIu64, snapshot->guard.rate);
	if (snapshot->guard.slots > 0)
		length += (size_t)snprintf(out + length, GUARD_WORDS - length, "; %" PRIu64 " of %" PRIu64 " slots armed", snapshot->guard.armed,
			snapshot->guard.slots);
	length += (size_t)snprintf(out + length, GUARD_WORDS - length, "; %s guarded so far", format_count(taken, snapshot->guard.taken));
	if (snapshot->guard.lost > 0)
		length += (size_t)snprintf(out + length, GUARD_WORDS - length, ", %s lost", format_count(lost, snapshot->guard.lost));
	snprintf(out + length, GUARD_WORDS - length, "; %s in quarantine (%s); %" PRIu64 " mistake%s reported", format_count(kept, snapshot->guard.quarantined_blocks),
		format_bytes(bytes, snapshot->guard.quarantined_bytes), snapshot->guard.reports, plural(snapshot->guard.reports));
	return out;
}

/* ---- Stacks ---- */

static void put_addresses(FILE *out, const struct profile_stack *stack, int indent)
{
	for (unsigned i = 0; i < stack->depth; i++)
		fprintf(out, "%*s0x%" PRIx64 "\n", indent, "", stack->frames[i] - 1);
}

static void put_stack(FILE *out, const struct guards *guards, struct symbols *symbols, uint32_t stack, int indent)
{
	char name[SYMBOL_TEXT], source[SYMBOL_TEXT];
	size_t count = 0;
	const struct symbol *const *lines = symbols != NULL ? symbols_of_stack(symbols, stack, &count) : NULL;
	for (size_t i = 0; i < count; i++) {
		symbol_source(source, lines[i], false);
		fprintf(out, "%*s%s%s%s%s\n", indent, "", symbol_name(name, lines[i]), *source != '\0' ? "  " : "", source,
			lines[i]->inlined ? "  (inlined)" : "");
	}
	if (count == 0 && guards->profile->stacks[stack].depth > 0)
		put_addresses(out, &guards->profile->stacks[stack], indent);
	else if (count == 0)
		fprintf(out, "%*s(no stack)\n", indent, "");
}

/* A moment that others were before, and how to say so: the report's, or that of the document. */
struct instant {
	uint64_t us;
	const char *before;
};

static struct instant instant_of(const struct guards *guards)
{
	return (struct instant){guards->time_us, guards->is_dump ? "before the dump" : "ago"};
}

/* ", 1.234 s before", where both moments are known. */
static void put_time(FILE *out, const struct guard_deed *deed, struct instant then)
{
	if (deed->time_us > 0 && deed->time_us <= then.us)
		fprintf(out, ", %.3f s %s", (double)(then.us - deed->time_us) / 1e6, then.before);
	fputs(":\n", out);
}

static void put_deeds(FILE *out, const struct guards *guards, struct symbols *symbols, const struct guard_block *block, struct instant then,
	int indent)
{
	fprintf(out, "%*sallocated by thread %" PRIu64, indent, "", block->allocated.tid);
	put_time(out, &block->allocated, then);
	put_stack(out, guards, symbols, block->allocated.stack, indent + 2);
	if (!block->freed)
		return;
	fprintf(out, "%*sfreed by thread %" PRIu64, indent, "", block->gone.tid);
	put_time(out, &block->gone, then);
	put_stack(out, guards, symbols, block->gone.stack, indent + 2);
}

void guard_report_block(FILE *out, const struct guards *guards, struct symbols *symbols, const struct guard_block *block, int indent)
{
	put_deeds(out, guards, symbols, block, instant_of(guards), indent);
}

/* ---- Reports ---- */

/* The byte at the address stands in brackets. */
static void put_memory(FILE *out, const struct guard_report *report)
{
	for (unsigned row = 0; row < report->row_count; row++) {
		uint64_t at = report->memory_at + (uint64_t)row * GUARDS_ROW;
		fprintf(out, "       0x%" PRIx64 " ", at);
		for (unsigned i = 0; report->readable[row] && i < GUARDS_ROW; i++) {
			bool here = at + i == report->address;
			fprintf(out, "%c%02x%s", here ? '[' : at + i - 1 == report->address && i > 0 ? ']' : ' ', report->memory[row][i],
				here && i + 1 == GUARDS_ROW ? "]" : "");
		}
		fputs(report->readable[row] ? "\n" : " can't be read\n", out);
	}
}

static const char *deed_in_words(const struct guard_report *report)
{
	if (strcmp(report->access, "read") == 0)
		return "read";
	if (strcmp(report->access, "write") == 0)
		return "written";
	if (strcmp(report->access, "call") == 0)
		return report->damage > 0 ? "found" : "called";
	return "accessed";
}

static void put_report(FILE *out, const struct guards *guards, struct symbols *symbols, const struct guard_report *report)
{
	char where[GUARD_WORDS];
	const char *end = strcmp(report->end, "aborts") == 0 ? "; the program ended" : strcmp(report->end, "exits") == 0 ? "; the program exited" : "";
	fprintf(out, "%s%s\n", report->text, end);
	fprintf(out, "     0x%" PRIx64, report->address);
	if (report->block.address != 0)
		fprintf(out, ": %s", guard_words_where(where, report->address, &report->block));
	if (report->superslab != 0)
		fprintf(out, " (SuperSlab 0x%" PRIx64 ", slot %u)", report->superslab, report->slot);
	fprintf(out, "\n     %s by thread %" PRIu64 "%s%s", deed_in_words(report), report->by.tid, *report->thread != '\0' ? " " : "", report->thread);
	put_time(out, &report->by, instant_of(guards));
	put_stack(out, guards, symbols, report->by.stack, 7);
	if (report->block.address != 0)
		put_deeds(out, guards, symbols, &report->block, (struct instant){report->by.time_us, "before"}, 5);
	if (report->row_count > 0)
		fputs("     the memory there then:\n", out);
	put_memory(out, report);
}

void guard_report_text(FILE *out, const struct guards *guards, struct symbols *symbols)
{
	for (size_t i = 0; i < guards->report_count; i++) {
		fprintf(out, "\n%3zu.  ", i + 1);
		put_report(out, guards, symbols, &guards->reports[i]);
	}
	for (size_t i = 0; symbols != NULL && symbols_missing(symbols, i) != NULL; i++) {
		char text[PROBLEM_MAX];
		fprintf(out, "%s  %s\n", i == 0 ? "\nFiles without symbols here (--binaries=FOLDER says where they are):\n" : "",
			format_printable(text, sizeof(text), symbols_missing(symbols, i)));
	}
}
