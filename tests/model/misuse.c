/* The last report of a mistake (introspect/misuse.c): who reads it gets one report's words, whole, however many are written
 * over it meanwhile; two writers don't mix theirs. */
#include "tests/model/atomic.h"

#include "introspect/misuse.c"

#define COUNT 2

static uint32_t sequence;
static word kept[COUNT];
static unsigned written;

static void setup(void)
{
	sequence = 0;
	kept[0] = kept[1] = 0;
	written = 0;
}

static void write_report(word number)
{
	const word report[COUNT] = {number, number};

	written += write_over(&sequence, kept, report, COUNT);
}

static void write_first(void)
{
	write_report(1);
}

static void write_second(void)
{
	write_report(2);
}

static void write_both(void)
{
	write_first();
	write_second();
}

static void read_report(void)
{
	word report[COUNT] = {0, 0};

	if (read_whole(&sequence, report, kept, COUNT))
		model_require(report[0] != 0 && report[0] == report[1], "what is read is one report");
}

static void check_two(void)
{
	model_require(written == 2, "nobody is in the way");
	model_require(kept[0] == 2 && kept[1] == 2, "the last report is there in the end");
}

static void check_writers(void)
{
	model_require(written >= 1 && sequence == 2 * written, "at least one writes");
	model_require(kept[0] != 0 && kept[0] == kept[1], "what is there in the end is one report");
}

int main(void)
{
	static const struct model models[] = {
		{"two reports, and a reader", setup, {write_both, read_report}, check_two, {0}},
		{"two writers, and a reader", setup, {write_first, write_second, read_report}, check_writers, {0}},
		{0},
	};
	static const struct model_spare spares[] = {
		{"write_over", 0, NULL, 0, "the explorer has stores take effect in the order in which they are made anyway"},
		{0},
	};

	return model_main(models, spares);
}
