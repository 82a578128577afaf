#include "viewer/calltree.h"

#include "tests/unit/sample_profile.h"
#include "viewer/site_values.h"

/* Four stacks of a module without a file, so that each line is known by its offset:
 * 1: a < b < c    2: a < c    3: b < b < c    4: none */
static const char frames[] = "\"frames\":[[1,[\"0x400011\",\"0x400021\",\"0x400031\"]],[2,[\"0x400011\",\"0x400031\"]],"
	"[3,[\"0x400021\",\"0x400021\",\"0x400031\"]]]";
static const char live[] = "\"live\":[[\"0x1\",100,1,1,5,1,1,0,0,0,0,0],[\"0x2\",20,1,2,5,1,1,0,0,0,0,0],[\"0x3\",3,1,3,5,1,2,0,0,0,0,0],"
	"[\"0x4\",1000,1,44,5,1,1,0,0,0,0,0]]";

static struct profile *profile;
static struct symbols *symbols;
static struct sites sites;

static void start(void)
{
	static const struct binaries_where nowhere = {.folders = NULL};
	struct problem problem = {""};
	struct sites_filter filter = SITES_NO_FILTER;
	char *one = sample_profile_with("\"frames\":[[9,[\"0x401000\"]],[3,[]],[7,[\"0x500123\",\"0x401010\",\"0x401020\"]]]", frames);
	const char *from = strstr(one, "\"live\":[["), *to = strstr(one, ",\"frames\"");
	char *two = NULL;
	if (from == NULL || to == NULL || asprintf(&two, "%.*s%s%s", (int)(from - one), one, live, to) < 0)
		abort();
	char *three = sample_replace(two, "\"sites\":[[7,100,500000,1000000,86,90000.5,20,[50,16,0,20]],[3,10,1000,400,10,1000,0,[0,10,0,0]]]",
		"\"sites\":[[3,10,1000,400,10,1000,0,[0,10,0,0]]]");
	profile = sample_profile_parse(three, &problem);
	UNIT_STRING(problem.text, "");
	symbols = symbols_open(profile, &nowhere);
	if (symbols == NULL || !sites_make(&sites, profile, &filter))
		abort();
	free(one);
	free(two);
	free(three);
}

static void end(void)
{
	sites_free(&sites);
	symbols_close(symbols);
	profile_free(profile);
}

/* The tree as one line: name, live bytes, and in brackets what is below. */
/* NOLINTNEXTLINE(misc-no-recursion): the trees are small */
static const char *draw(const struct calltree *tree, uint32_t node, char *out)
{
	const struct calltree_node *it = &tree->nodes[node];
	const char letter = "*abcdefgh"[it->symbol == NULL ? 0 : it->symbol->offset >> 4];
	out += sprintf(out, "%c%.0f", letter, it->live_bytes);
	if (it->end > node + 1) {
		*out++ = '(';
		for (uint32_t child = node + 1; child < it->end; child = tree->nodes[child].end) {
			draw(tree, child, out);
			out += strlen(out);
			*out++ = ' ';
		}
		out[-1] = ')';
	}
	*out = '\0';
	return out;
}

static void top_down(void)
{
	char text[256];
	struct calltree tree;
	start();
	CU_ASSERT_TRUE_FATAL(calltree_make(&tree, &sites, symbols, false));
	draw(&tree, 0, text);
	UNIT_STRING(text, "*1126(c126(a20 b106(a100 b6)))");
	CU_ASSERT_DOUBLE_EQUAL(tree.nodes[0].allocs, 10, 0);
	CU_ASSERT_DOUBLE_EQUAL(site_value_of_node(&tree.nodes[1], SITE_VALUE_blocks), 4, 0);
	calltree_free(&tree);
	end();
}

static void bottom_up(void)
{
	char text[256];
	struct calltree tree;
	start();
	CU_ASSERT_TRUE_FATAL(calltree_make(&tree, &sites, symbols, true));
	draw(&tree, 0, text);
	UNIT_STRING(text, "*1126(a120(b100(c100) c20) b6(b6(c6)))");
	calltree_free(&tree);
	end();
}

static void of_nothing(void)
{
	struct calltree tree;
	struct sites none = {.rows = NULL};
	start();
	CU_ASSERT_TRUE_FATAL(calltree_make(&tree, &none, symbols, false));
	UNIT_EQUAL(tree.count, 1);
	UNIT_EQUAL(tree.nodes[0].end, 1);
	calltree_free(&tree);
	end();
}

UNIT_MAIN("calltree", UNIT(top_down), UNIT(bottom_up), UNIT(of_nothing))
