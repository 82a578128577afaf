#include "viewer/stack_text.h"

#include "tests/unit/sample_profile.h"

static struct profile_source source;
static struct symbols *symbols;
static struct sites sites;

static void start(void)
{
	static const struct binaries_where nowhere = {.folders = NULL};
	struct sites_filter filter = SITES_NO_FILTER;
	source = (struct profile_source){.profile = sample_profile_read()};
	symbols = symbols_open(source.profile, &nowhere);
	if (symbols == NULL || !sites_make(&sites, source.profile, &filter))
		abort();
}

static void end(void)
{
	sites_free(&sites);
	symbols_close(symbols);
	profile_free(source.profile);
}

static void collapsed(void)
{
	char *text = NULL;
	size_t length;
	start();
	FILE *out = open_memstream(&text, &length);
	stack_text_collapsed(out, &sites, symbols, SITE_VALUE_live);
	fclose(out);
	UNIT_STRING(text, "thing+0x101f;thing+0x100f;libthing.so+0x122 410000\nthing+0xfff 24\n");
	free(text);
	out = open_memstream(&text, &length);
	stack_text_collapsed(out, &sites, symbols, SITE_VALUE_allocs);
	fclose(out);
	UNIT_STRING(text, "(no stack) 10\nthing+0x101f;thing+0x100f;libthing.so+0x122 100\n");
	free(text);
	end();
}

static void heap_v2(void)
{
	char *text = NULL;
	size_t length;
	start();
	FILE *out = open_memstream(&text, &length);
	stack_text_heap_v2(out, &source, &sites);
	fclose(out);
	UNIT_STRING(text, "heap_v2/1\n  t*: 15: 410024 [110: 501000]\n@\n  t*: 0: 0 [10: 1000]\n@ 0x500123 0x401010 0x401020\n"
		"  t*: 14: 410000 [100: 500000]\n@ 0x401000\n  t*: 1: 24 [0: 0]\n\nMAPPED_LIBRARIES:\n"
		"00400000-00410000 r-xp 00000000 00:00 0 /usr/bin/thing\n00500000-00510000 r-xp 00000000 00:00 0 /usr/lib/libthing.so\n");
	free(text);
	end();
}

UNIT_MAIN("stack_text", UNIT(collapsed), UNIT(heap_v2))
