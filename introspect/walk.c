#include "introspect/walk.h"

#include <link.h>
#include <string.h>

#include "introspect/memory.h"
#include "introspect/object.h"
#include "lib/atomic.h"

#define CACHE_RULES 16384u
#define WORD ((intptr_t)sizeof(uintptr_t))

/* ---- Modules ---- */

struct search {
	uintptr_t pc;
	uint64_t unloads;
	struct hak_cfi_rule rule;
};

/* dl_iterate_phdr's callback. The module stays while it runs. */
static int look_into(struct dl_phdr_info *info, size_t size, void *argument)
{
	struct search *search = argument;
	const ElfW(Phdr) *table = NULL;
	bool here = false;

	(void)size;
	search->unloads = info->dlpi_subs;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];

		if (segment->p_type == PT_LOAD)
			here |= search->pc - info->dlpi_addr - segment->p_vaddr < segment->p_memsz;
		else if (segment->p_type == PT_GNU_EH_FRAME)
			table = segment;
	}
	if (here && table)
		search->rule = hak_cfi_read((const uint8_t *)(info->dlpi_addr + table->p_vaddr), search->pc);
	return here;
}

/* ---- The cache ---- */

/* An entry is two words that different threads may write at once: it holds only if they belong together. */
struct cached {
	uint64_t check; /* the instruction's address, exclusive-or the rule */
	uint64_t rule;
};
static struct cached *cache;
static uint64_t unloads_seen; /* files that the loader had unloaded when the cache was begun */

bool hak_walk_begin(void)
{
	struct cached *made = cache ? cache : hak_memory_map(CACHE_RULES * sizeof(*made), HAK_MEMORY_INHERIT);

	hak_object_begin();
	hak_store_release(&cache, made);
	return made != NULL;
}

static struct hak_cfi_rule look_up(uintptr_t pc, struct cached *entry)
{
	struct search search = {.pc = pc};
	uint64_t word;

	dl_iterate_phdr(look_into, &search);
	/* Another file may lie where one was that is gone. Whoever still reads an old rule gets a wrong frame, no harm. */
	if (HAK_UNLIKELY(search.unloads != hak_load_relaxed(&unloads_seen)) && entry) {
		hak_store_relaxed(&unloads_seen, search.unloads);
		for (unsigned i = 0; i < CACHE_RULES; i++)
			hak_store_relaxed(&hak_load_relaxed(&cache)[i].check, 0);
	}
	memcpy(&word, &search.rule, sizeof(word));
	if (entry && search.rule.kind != HAK_CFI_NO_TABLE) {
		hak_store_relaxed(&entry->rule, word);
		hak_store_relaxed(&entry->check, pc ^ word);
	}
	return search.rule;
}

/* The place of a rule; NULL where there is no cache. */
static struct cached *entry_of(uintptr_t pc)
{
	struct cached *entries = hak_load_acquire(&cache);

	return entries ? &entries[(pc * 0x9e3779b97f4a7c15u >> 32) % CACHE_RULES] : NULL;
}

static bool is_cached(struct cached *entry, uintptr_t pc, struct hak_cfi_rule *rule)
{
	uint64_t word = entry ? hak_load_relaxed(&entry->rule) : 0;

	if (!entry || HAK_UNLIKELY((hak_load_relaxed(&entry->check) ^ word) != pc))
		return false;
	memcpy(rule, &word, sizeof(*rule));
	return true;
}

struct hak_cfi_rule hak_walk_find(uintptr_t pc)
{
	struct cached *entry = entry_of(pc);
	struct hak_cfi_rule rule;

	return is_cached(entry, pc, &rule) ? rule : look_up(pc, entry);
}

/* The same in a handler of signals, which may have interrupted the loader. Its finds are not kept: what is gone from the
 * loader's list can't be noticed here. */
static struct hak_cfi_rule find_in_handler(uintptr_t pc)
{
	struct hak_cfi_rule rule = {0};
	struct hak_object object;

	if (!is_cached(entry_of(pc), pc, &rule) && hak_object_find(pc, &object) && object.unwind_table)
		rule = hak_cfi_read(object.unwind_table, pc);
	return rule;
}

/* ---- Walking ---- */

struct frame {
	uintptr_t pc, sp, fp;
	uintptr_t ra;  /* in a register: of a frame that a signal interrupted; 0: unknown */
	uintptr_t end; /* of the stack */
};

/* Reads a word of the stack above the present frame's end. */
static bool read_stack(const struct frame *frame, uintptr_t at, uintptr_t *value)
{
	if (at % sizeof(*value) != 0 || at < frame->sp || at > frame->end - sizeof(*value))
		return false;
	*value = *(const uintptr_t *)at;
	return true;
}

static bool find_cfa(const struct frame *frame, struct hak_cfi_rule rule, uintptr_t *cfa)
{
	uintptr_t base = rule.kind == HAK_CFI_SP ? frame->sp : frame->fp;

	*cfa = base + (uintptr_t)(intptr_t)rule.cfa_offset;
	if (rule.kind == HAK_CFI_FP_SAVED && !read_stack(frame, *cfa, cfa))
		return false;
	return *cfa >= frame->sp && *cfa <= frame->end && *cfa % sizeof(uintptr_t) == 0;
}

/* Goes on to the caller. Returns false if the stack isn't what the rule says it is. */
static bool go_up(struct frame *frame, struct hak_cfi_rule rule)
{
	uintptr_t cfa, pc = frame->ra, fp = frame->fp;

	if (!find_cfa(frame, rule, &cfa))
		return false;
	if (rule.ra_at == HAK_CFI_SAME ? !pc : !read_stack(frame, cfa + (uintptr_t)(rule.ra_at * WORD), &pc))
		return false;
	if (rule.kind == HAK_CFI_FP_SAVED) {
		if (!read_stack(frame, frame->fp, &fp))
			return false;
	} else if (rule.fp_at != HAK_CFI_SAME && !read_stack(frame, cfa + (uintptr_t)(rule.fp_at * WORD), &fp)) {
		return false;
	}
	if (cfa == frame->sp && pc == frame->pc) /* no progress */
		return false;
	frame->pc = pc;
	frame->sp = cfa;
	frame->fp = fp;
	frame->ra = 0;
	return true;
}

/* Goes up from *frame, whose rule is that of the very instruction it stands at. By pointer, for compilers must not call this by
 * a jump: the caller's frame would be gone. */
static unsigned climb(struct frame *frame, struct hak_cfi_rule (*find)(uintptr_t pc), uintptr_t *frames, unsigned room,
	enum hak_cfi_kind *last)
{
	struct hak_cfi_rule rule = find(frame->pc);
	unsigned count = 0;

	*last = HAK_CFI_OUTERMOST;
	while (count < room) {
		if (rule.kind < HAK_CFI_SP) {
			*last = (enum hak_cfi_kind)rule.kind;
			break;
		}
		if (!go_up(frame, rule)) {
			*last = HAK_CFI_UNKNOWN;
			break;
		}
		if (frame->pc < 4096)
			break;
		frames[count++] = frame->pc;
		/* A call may be its function's last instruction: the one before the return address is asked for. */
		rule = find(frame->pc - 1);
	}
	return count;
}

HAK_NOINLINE unsigned hak_walk(uintptr_t *frames, unsigned room, uintptr_t end, enum hak_cfi_kind *last)
{
	struct frame frame = {.end = end};

	/* All of one moment: what the table says of that instruction fits them. */
#if defined(__x86_64__)
	__asm__ volatile("lea 0(%%rip), %0\n\tmov %%rsp, %1\n\tmov %%rbp, %2" : "=&r"(frame.pc), "=&r"(frame.sp), "=&r"(frame.fp));
#elif defined(__aarch64__)
	__asm__ volatile("adr %0, .\n\tmov %1, sp\n\tmov %2, x29" : "=&r"(frame.pc), "=&r"(frame.sp), "=&r"(frame.fp));
#endif
	return climb(&frame, hak_walk_find, frames, room, last);
}

unsigned hak_walk_from(
	const struct hak_walk_start *start, uintptr_t *frames, unsigned room, uintptr_t end, enum hak_cfi_kind *last)
{
	struct frame frame = {.pc = start->pc, .sp = start->sp, .fp = start->fp, .ra = start->ra, .end = end};

	return climb(&frame, find_in_handler, frames, room, last);
}
