#include "viewer/stack_text.h"

#include <inttypes.h>

#include "viewer/format.h"

void stack_text_collapsed(FILE *out, const struct sites *sites, struct symbols *symbols, enum site_value value)
{
	char name[SYMBOL_TEXT];
	for (size_t i = 0; i < sites->count; i++) {
		uint64_t amount = site_whole(site_value_of(&sites->rows[i], value));
		size_t count;
		const struct symbol *const *lines = symbols_of_stack(symbols, sites->rows[i].stack, &count);
		if (amount == 0)
			continue;
		for (size_t line = count; line-- > 0;) {
			for (const char *at = symbol_name(name, lines[line]); *at != '\0'; at++)
				fputc(*at == ';' ? ',' : *at, out);
			if (line > 0)
				fputc(';', out);
		}
		fprintf(out, "%s %" PRIu64 "\n", count == 0 ? "(no stack)" : "", amount);
	}
}

static void put_sums(FILE *out, const struct site *site)
{
	fprintf(out, "  t*: %" PRIu64 ": %" PRIu64 " [%" PRIu64 ": %" PRIu64 "]\n", site_whole(site->live_blocks), site_whole(site->live_bytes),
		site_whole(site->allocs), site_whole(site->alloc_bytes));
}

void stack_text_heap_v2(FILE *out, const struct profile_source *source, const struct sites *sites)
{
	const struct profile *profile = source->profile;
	fputs("heap_v2/1\n", out);
	put_sums(out, &sites->total);
	for (size_t i = 0; i < sites->count; i++) {
		const struct profile_stack *stack = &profile->stacks[sites->rows[i].stack];
		fputc('@', out);
		for (unsigned frame = 0; frame < stack->depth; frame++) {
			const struct profile_module *module = profile_module_of(profile, stack->frames[frame]);
			/* The allocator's own frames would be the leaves of all. */
			if (module == NULL || !profile_module_is_allocator(module))
				fprintf(out, " 0x%" PRIx64, stack->frames[frame]);
		}
		fputc('\n', out);
		put_sums(out, &sites->rows[i]);
	}
	fputs("\nMAPPED_LIBRARIES:\n", out);
	for (size_t i = 0; i < profile->module_count; i++) {
		char path[4096];
		fprintf(out, "%08" PRIx64 "-%08" PRIx64 " r-xp 00000000 00:00 0 %s\n", profile->modules[i].base, profile->modules[i].end,
			format_printable(path, sizeof(path), profile->modules[i].path));
	}
}
