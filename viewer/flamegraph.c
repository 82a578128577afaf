#include "viewer/flamegraph.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "viewer/format.h"
#include "viewer/site_words.h"

#define WIDTH 1200.0
#define MARGIN 10.0
#define ROW 17
#define TOP 62
#define LETTER 7.1     /* columns that a letter of the font takes */
#define NARROWEST 0.3  /* narrower boxes aren't drawn, and nothing above them */
#define DEEPEST 400    /* rows that are drawn */

static void put_escaped(FILE *out, const char *text, size_t limit)
{
	for (size_t i = 0; i < limit && text[i] != '\0'; i++) {
		switch (text[i]) {
		case '&': fputs("&amp;", out); break;
		case '<': fputs("&lt;", out); break;
		case '>': fputs("&gt;", out); break;
		case '"': fputs("&quot;", out); break;
		default: fputc((unsigned char)text[i] < ' ' ? '?' : text[i], out);
		}
	}
}

/* A warm colour that is the same wherever the name stands. What has no name is grey. */
static void put_colour(FILE *out, const struct symbol *symbol, const char *name)
{
	uint32_t hash = 2166136261u;
	for (const char *at = name; *at != '\0'; at++)
		hash = (hash ^ (unsigned char)*at) * 16777619u;
	if (symbol == NULL || symbol->function == NULL)
		fprintf(out, "hsl(210,8%%,%u%%)", 70 + hash % 10);
	else
		fprintf(out, "hsl(%u,%u%%,%u%%)", hash % 48, 72 + (hash >> 8) % 16, 60 + (hash >> 16) % 12);
}

static const char *amount(char out[FORMAT_MAX], double value, enum site_value kind)
{
	return site_value_is_bytes(kind) ? format_bytes(out, site_whole(value)) : format_count(out, site_whole(value));
}

struct picture {
	FILE *out;
	const struct calltree *tree;
	enum site_value kind;
	double whole;
	int height;
};

/* A box of the node at x of a picture that is 1 wide. The script finds these numbers as attributes. */
static void put_box(const struct picture *picture, const struct calltree_node *node, double x, double width)
{
	char name[SYMBOL_TEXT] = "all", source[SYMBOL_TEXT] = "", text[FORMAT_MAX];
	double share = width / picture->whole, left = MARGIN + x / picture->whole * (WIDTH - 2 * MARGIN), wide = share * (WIDTH - 2 * MARGIN);
	int y = picture->height - ROW * ((int)node->depth + 1) - 8;
	size_t letters = wide > 3 * LETTER ? (size_t)((wide - 6) / LETTER) : 0;
	if (node->symbol != NULL) {
		symbol_name(name, node->symbol);
		symbol_source(source, node->symbol, true);
	}
	fprintf(picture->out, "<g data-x=\"%.9f\" data-w=\"%.9f\" data-d=\"%u\"><title>", x / picture->whole, share, node->depth);
	put_escaped(picture->out, name, SYMBOL_TEXT);
	fprintf(picture->out, ": %s, %.2f%%", amount(text, width, picture->kind), 100 * share);
	if (*source != '\0') {
		fputc('\n', picture->out);
		put_escaped(picture->out, source, SYMBOL_TEXT);
	}
	fprintf(picture->out, "</title><rect x=\"%.2f\" y=\"%d\" width=\"%.2f\" height=\"%d\" rx=\"1\" fill=\"", left, y, wide, ROW - 1);
	put_colour(picture->out, node->symbol, name);
	fprintf(picture->out, "\"/><text x=\"%.2f\" y=\"%d\">", left + 3, y + 12);
	if (strlen(name) <= letters) {
		put_escaped(picture->out, name, SYMBOL_TEXT);
	} else if (letters > 2) {
		/* Not within a character of several bytes. */
		size_t end = letters - 2;
		while (end > 0 && ((unsigned char)name[end] & 0xc0) == 0x80)
			end--;
		put_escaped(picture->out, name, end);
		fputs("..", picture->out);
	}
	fputs("</text></g>\n", picture->out);
}

/* The children of a node by value, the largest first. */
static int by_value(const void *a, const void *b, void *context)
{
	const struct picture *picture = context;
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
	double one = site_value_of_node(&picture->tree->nodes[left], picture->kind),
	       other = site_value_of_node(&picture->tree->nodes[right], picture->kind);
	return one != other ? (one > other ? -1 : 1) : left < right ? -1 : left > right;
}

/* Draws a node and what lies above it. It recurs as deep as the picture is high: DEEPEST. */
/* NOLINTNEXTLINE(misc-no-recursion): bounded */
static void draw(const struct picture *picture, uint32_t node, double x)
{
	double width = site_value_of_node(&picture->tree->nodes[node], picture->kind);
	uint32_t *children;
	if (width / picture->whole * (WIDTH - 2 * MARGIN) < NARROWEST || picture->tree->nodes[node].depth > DEEPEST)
		return;
	put_box(picture, &picture->tree->nodes[node], x, width);
	size_t count = calltree_children(picture->tree, node, by_value, (void *)picture, &children);
	for (size_t i = 0; i < count; i++) {
		draw(picture, children[i], x);
		x += site_value_of_node(&picture->tree->nodes[children[i]], picture->kind);
	}
	free(children);
}

static int rows_of(const struct picture *picture)
{
	unsigned deepest = 0;
	for (size_t i = 0; i < picture->tree->count; i++) {
		const struct calltree_node *node = &picture->tree->nodes[i];
		bool drawn = site_value_of_node(node, picture->kind) / picture->whole * (WIDTH - 2 * MARGIN) >= NARROWEST;
		if (drawn && node->depth > deepest)
			deepest = node->depth;
	}
	return (int)(deepest < DEEPEST ? deepest : DEEPEST) + 1;
}

static const char style[] =
	"<style>text{font:12px ui-monospace,Menlo,Consolas,\"DejaVu Sans Mono\",monospace;fill:#111}g{cursor:pointer}"
	"g:hover rect{stroke:#000}.found rect{fill:#c6f}.title{font-size:16px}.faint{fill:#555}.button{cursor:pointer;fill:#036}"
	"g text{pointer-events:none}</style>\n";

/* A click on a box makes it as wide as the picture, with all that is above it, and what it stands on; on "all" or a second
 * time it is as it was. */
static const char script[] =
	"<script><![CDATA[\n"
	"const W=1180,M=10,C=7.1,boxes=[...document.querySelectorAll('g[data-x]')].map(g=>({g,r:g.querySelector('rect'),\n"
	" t:g.querySelector('text'),n:g.querySelector('title').textContent.split('\\n')[0].replace(/: [^:]*$/,''),\n"
	" x:+g.dataset.x,w:+g.dataset.w,d:+g.dataset.d}));\n"
	"let shown=null;\n"
	"function place(b,x,w){const px=M+x*W,pw=w*W,n=Math.floor((pw-6)/C);b.r.setAttribute('x',px);b.r.setAttribute('width',Math.max(pw,0));\n"
	" b.t.setAttribute('x',px+3);b.t.textContent=n<3?'':b.n.length<=n?b.n:b.n.slice(0,n-2)+'..';}\n"
	"function zoom(z){shown=z;const e=1e-9;for(const b of boxes){\n"
	" const under=z&&b.d<z.d&&b.x<=z.x+e&&b.x+b.w>=z.x+z.w-e,within=!z||(b.d>=z.d&&b.x>=z.x-e&&b.x+b.w<=z.x+z.w+e);\n"
	" b.g.style.display=under||within?'':'none';b.g.style.opacity=under?0.55:1;\n"
	" if(under)place(b,0,1);else if(within)place(b,z?(b.x-z.x)/z.w:b.x,z?b.w/z.w:b.w);}}\n"
	"for(const b of boxes)b.g.addEventListener('click',()=>zoom(b.d===0||shown===b?null:b));\n"
	"document.getElementById('search').addEventListener('click',()=>{const q=prompt('Mark functions with');let w=0,end=-1;\n"
	" if(q===null)return;const hit=boxes.filter(b=>q!==''&&b.n.toLowerCase().includes(q.toLowerCase()));\n"
	" for(const b of boxes)b.g.classList.toggle('found',hit.includes(b));\n"
	" for(const b of hit.sort((p,o)=>p.x-o.x||o.w-p.w)){if(b.x>=end-1e-9){w+=b.w;end=b.x+b.w;}}\n"
	" document.getElementById('found').textContent=q===''?'':(100*w).toFixed(1)+'% in '+q;});\n"
	"]]></script>\n";

void flamegraph_write(FILE *out, const struct profile_source *source, const struct calltree *tree, enum site_value value)
{
	struct picture picture = {.out = out, .tree = tree, .kind = value, .whole = site_value_of_node(&tree->nodes[0], value)};
	char text[FORMAT_MAX], words[SITE_WORDS];
	bool empty = !(picture.whole > 0);
	picture.height = TOP + ROW * (empty ? 1 : rows_of(&picture)) + 8;
	fprintf(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%d\" "
		"viewBox=\"0 0 %.0f %d\">\n", WIDTH, picture.height, WIDTH, picture.height);
	fprintf(out, "%s<rect width=\"100%%\" height=\"100%%\" fill=\"#fbfaf7\"/>\n<text class=\"title\" x=\"%.0f\" y=\"26\">", style, MARGIN);
	const char *slash = strrchr(source->exe, '/');
	put_escaped(out, slash != NULL ? slash + 1 : *source->exe != '\0' ? source->exe : source->name, 200);
	fprintf(out, ": %s by call stack, %s</text>\n", site_value_words(value), amount(text, picture.whole, value));
	fprintf(out, "<text class=\"faint\" x=\"%.0f\" y=\"46\">%s; %s%s</text>\n", MARGIN,
		empty ? "nothing to show" : "main at the bottom, what allocates at the top", site_words_rate(words, source->profile, true),
		empty ? "" : "; a click looks closer, one on all goes back");
	fprintf(out, "<text class=\"button\" id=\"search\" x=\"%.0f\" y=\"26\" text-anchor=\"end\">search</text>\n", WIDTH - MARGIN);
	fprintf(out, "<text class=\"faint\" id=\"found\" x=\"%.0f\" y=\"46\" text-anchor=\"end\"> </text>\n", WIDTH - MARGIN);
	if (!empty)
		draw(&picture, 0, 0);
	fprintf(out, "%s</svg>\n", script);
}
