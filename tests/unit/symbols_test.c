#include "viewer/symbols.h"

#include "tests/unit/here.h"
#include "tests/unit/sample_profile.h"

static char self[PATH_MAX];

/* The sample with this program as its first module, and `stack` as its stack 7. */
static struct profile *profile_with(const char *stack)
{
	struct here here = here_find();
	struct problem problem = {""};
	char *module = NULL, *frames = NULL;
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (length <= 0)
		abort();
	self[length] = '\0';
	const char *old_module = "{\"path\":\"/usr/lib/libthing.so\",\"base\":\"0x500000\",\"end\":\"0x510000\",\"build_id\":\"00ffa1\"}";
	const char *old_frames = "[7,[\"0x500123\",\"0x401010\",\"0x401020\"]]";
	if (asprintf(&module, "{\"path\":\"%s\",\"base\":\"0x%llx\",\"end\":\"0x%llx\",\"build_id\":\"%s\"}", self, (unsigned long long)here.base,
			(unsigned long long)here.end, here.build_id) < 0 ||
		asprintf(&frames, "[7,[%s]]", stack) < 0)
		abort();
	char *once = sample_profile_with(old_module, module), *twice = sample_replace(once, old_frames, frames);
	struct profile *profile = sample_profile_parse(twice, &problem);
	UNIT_STRING(problem.text, "");
	if (profile == NULL)
		abort();
	free(module);
	free(frames);
	free(once);
	free(twice);
	return profile;
}

static uint32_t stack_7(const struct profile *profile)
{
	uint32_t i = 0;
	while (profile->stacks[i].id != 7)
		i++;
	return i;
}

static const struct binaries_where nowhere = {.folders = NULL};

static void return_addresses(void)
{
	char stack[128], text[SYMBOL_TEXT];
	size_t count;
	snprintf(stack, sizeof(stack), "\"%p\",\"0x401010\",\"0x10\"", here_outer());
	struct profile *profile = profile_with(stack);
	struct symbols *symbols = symbols_open(profile, &nowhere);
	CU_ASSERT_PTR_NOT_NULL_FATAL(symbols);
	const struct symbol *const *lines = symbols_of_stack(symbols, stack_7(profile), &count);
	UNIT_EQUAL(count, 4);
	UNIT_STRING(symbol_name(text, lines[0]), "here_inlined");
	CU_ASSERT_TRUE(lines[0]->inlined);
	snprintf(stack, sizeof(stack), "here.h:%d", HERE_INNER_LINE);
	UNIT_STRING(symbol_source(text, lines[0], false), stack);
	UNIT_STRING(symbol_name(text, lines[1]), "here_outer");
	snprintf(stack, sizeof(stack), "tests/unit/here.h:%d", HERE_OUTER_LINE);
	CU_ASSERT_PTR_NOT_NULL(strstr(symbol_source(text, lines[1], true), stack));
	/* What isn't known is a module and an offset in it, of the call; or an address. */
	UNIT_STRING(symbol_name(text, lines[2]), "thing+0x100f");
	UNIT_STRING(symbol_source(text, lines[2], true), "");
	UNIT_STRING(symbol_name(text, lines[3]), "0x10");
	CU_ASSERT_PTR_NOT_NULL(strstr(symbols_missing(symbols, 0), "/usr/bin/thing"));
	CU_ASSERT_PTR_NULL(symbols_missing(symbols, 1));
	/* The same is answered again. */
	CU_ASSERT_PTR_EQUAL(symbols_of_stack(symbols, stack_7(profile), &count), lines);
	symbols_close(symbols);
	profile_free(profile);
}

/* The allocator's own frames lead every stack, and say nothing. */
static void without_the_allocator(void)
{
	size_t count;
	char text[SYMBOL_TEXT];
	struct problem problem = {""};
	char *json = sample_profile_with("/usr/lib/libthing.so", "/opt/lib/libhakmem.so");
	struct profile *profile = sample_profile_parse(json, &problem);
	CU_ASSERT_PTR_NOT_NULL_FATAL(profile);
	struct symbols *symbols = symbols_open(profile, &nowhere);
	const struct symbol *const *lines = symbols_of_stack(symbols, stack_7(profile), &count);
	UNIT_EQUAL(count, 2);
	UNIT_STRING(symbol_name(text, lines[0]), "thing+0x100f");
	/* A stack without frames has no lines. */
	symbols_of_stack(symbols, (uint32_t)profile->stack_count - 1, &count);
	UNIT_EQUAL(count, 0);
	symbols_close(symbols);
	profile_free(profile);
	free(json);
}

static void the_place_of_an_allocation(void)
{
	static const struct symbol new = {.function = "operator new"}, vector = {.function = "std::vector<int>::push_back"},
		mine = {.function = "fill"}, unknown = {.function = NULL};
	const struct symbol *const usual[] = {&new, &vector, &mine, &unknown}, *const only_library[] = {&new, &vector, &unknown};
	UNIT_EQUAL(symbols_place(usual, 4), 2);
	UNIT_EQUAL(symbols_place(only_library, 3), 0);
	UNIT_EQUAL(symbols_place(usual, 0), 0);
}

UNIT_MAIN("symbols", UNIT(return_addresses), UNIT(without_the_allocator), UNIT(the_place_of_an_allocation))
