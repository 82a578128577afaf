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
	const ElfW(Phdr) *table = NULL, *here = NULL;

	(void)size;
	search->unloads = info->dlpi_subs;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];

		if (segment->p_type == PT_LOAD && search->pc - info->dlpi_addr - segment->p_vaddr < segment->p_memsz)
			here = segment;
		else if (segment->p_type == PT_GNU_EH_FRAME)
			table = segment;
	}
	if (here && table)
		search->rule = hak_cfi_read((const uint8_t *)(info->dlpi_addr + table->p_vaddr), search->pc);
	/* No code: it was a wrong step that led here, and there may be callers for all that. */
	if (here && search->rule.kind == HAK_CFI_NO_ENTRY && !(here->p_flags & PF_X))
		search->rule.kind = HAK_CFI_UNKNOWN;
	return here != NULL;
}

/* ---- The cache ---- */

/* An entry is two words that different threads may write at once: it holds only if they belong together. Rules are handed about
 * as words: the compiler would take a struct of bit-fields apart, and put it together again, at every frame. */
struct cached {
	uint64_t check; /* the instruction's address, exclusive-or the rule */
	uint64_t rule;
};
static struct cached *cache;
static uint64_t unloads_seen; /* files that the loader had unloaded when the cache was begun */

/* In a child of fork the loader's lock may be held by a thread that isn't there: it is not asked for any more. That files are
 * unloaded goes unnoticed there. */
static bool loader_is_locked;

void hak_walk_fork_child(void)
{
	hak_store_relaxed(&loader_is_locked, true);
}

bool hak_walk_begin(void)
{
	struct cached *made = cache ? cache : hak_memory_map(CACHE_RULES * sizeof(*made), HAK_MEMORY_INHERIT);

	hak_object_begin();
	hak_store_release(&cache, made);
	return made != NULL;
}

HAK_INLINE struct hak_cfi_rule rule_of(uint64_t word)
{
	struct hak_cfi_rule rule;

	memcpy(&rule, &word, sizeof(rule));
	return rule;
}

/* Another file may lie where one was that is gone. Whoever still reads an old rule gets a wrong frame, no harm. */
static void notice(uint64_t unloads)
{
	struct cached *entries = hak_load_relaxed(&cache);

	if (HAK_LIKELY(unloads == hak_load_relaxed(&unloads_seen)) || !entries)
		return;
	hak_store_relaxed(&unloads_seen, unloads);
	for (unsigned i = 0; i < CACHE_RULES; i++)
		hak_store_relaxed(&entries[i].check, 0);
}

/* dl_iterate_phdr's callback: the first file's record tells it. */
static int take_unloads(struct dl_phdr_info *info, size_t size, void *argument)
{
	(void)size;
	*(uint64_t *)argument = info->dlpi_subs;
	return 1;
}

/* Code that lies where other code was may have all its addresses in the cache, so that nothing is looked up. */
#define WALKS_UNCHECKED 64
static void look_for_unloads(void)
{
	static uint32_t walks; /* roughly: of two threads that count at a time one may go uncounted */
	uint32_t count = hak_load_relaxed(&walks) + 1;
	uint64_t unloads;

	hak_store_relaxed(&walks, count);
	if (count % WALKS_UNCHECKED != 0 || hak_load_relaxed(&loader_is_locked))
		return;
	unloads = hak_load_relaxed(&unloads_seen);
	dl_iterate_phdr(take_unloads, &unloads);
	notice(unloads);
}

/* By way of object.h, which needs no lock. */
static struct hak_cfi_rule read_without_lock(uintptr_t pc)
{
	struct hak_cfi_rule rule = {0};
	struct hak_object object;

	if (hak_object_find(pc, &object) && object.unwind_table)
		rule = hak_cfi_read(object.unwind_table, pc);
	return rule;
}

static HAK_NOINLINE uint64_t look_up(uintptr_t pc, struct cached *entry)
{
	struct search search = {.pc = pc};
	uint64_t word;

	if (HAK_UNLIKELY(hak_load_relaxed(&loader_is_locked))) {
		search.rule = read_without_lock(pc);
	} else {
		dl_iterate_phdr(look_into, &search);
		notice(search.unloads);
	}
	memcpy(&word, &search.rule, sizeof(word));
	if (entry && search.rule.kind != HAK_CFI_NO_TABLE) {
		hak_store_relaxed(&entry->rule, word);
		hak_store_relaxed(&entry->check, pc ^ word);
	}
	return word;
}

/* The place of a rule in the cache, NULL where that is. */
HAK_INLINE struct cached *entry_of(struct cached *entries, uintptr_t pc)
{
	return entries ? &entries[(pc * 0x9e3779b97f4a7c15u >> 32) % CACHE_RULES] : NULL;
}

HAK_INLINE bool is_cached(const struct cached *entry, uintptr_t pc, uint64_t *word)
{
	*word = entry ? hak_load_relaxed(&entry->rule) : 0;
	return HAK_LIKELY(entry && (hak_load_relaxed(&entry->check) ^ *word) == pc);
}

/* What every frame of a walk comes by; `entries` is the cache. */
HAK_INLINE uint64_t find(struct cached *entries, uintptr_t pc)
{
	struct cached *entry = entry_of(entries, pc);
	uint64_t word;

	return is_cached(entry, pc, &word) ? word : look_up(pc, entry);
}

struct hak_cfi_rule hak_walk_find(uintptr_t pc)
{
	return rule_of(find(hak_load_acquire(&cache), pc));
}

/* The same in a handler of signals, which may have interrupted the loader. Its finds are not kept: what is gone from the
 * loader's list can't be noticed here. */
static uint64_t find_in_handler(struct cached *entries, uintptr_t pc)
{
	struct hak_cfi_rule rule;
	uint64_t word;

	if (is_cached(entry_of(entries, pc), pc, &word))
		return word;
	rule = read_without_lock(pc);
	memcpy(&word, &rule, sizeof(word));
	return word;
}

/* ---- Steps ---- */

struct frame {
	uintptr_t pc, sp, fp;
	uintptr_t ra;  /* in a register: of a frame that a signal interrupted; 0: unknown */
	uintptr_t end; /* of the stack */
};

/* Reads a word of the stack, at a multiple of its size, above the present frame's end. */
HAK_INLINE bool read_stack(const struct frame *frame, uintptr_t at, uintptr_t *value)
{
	if (HAK_UNLIKELY(at < frame->sp || at > frame->end - sizeof(*value)))
		return false;
	*value = *(const uintptr_t *)at;
	return true;
}

/* The same anywhere. */
static bool read_stack_at_any(const struct frame *frame, uintptr_t at, uintptr_t *value)
{
	return at % sizeof(*value) == 0 && read_stack(frame, at, value);
}

HAK_INLINE bool find_cfa(const struct frame *frame, const struct hak_cfi_rule *rule, uintptr_t *cfa)
{
	uintptr_t base = rule->kind == HAK_CFI_SP ? frame->sp : frame->fp;

	*cfa = base + (uintptr_t)(intptr_t)rule->cfa_offset;
	if (HAK_UNLIKELY(rule->kind == HAK_CFI_FP_SAVED) && !read_stack_at_any(frame, *cfa, cfa))
		return false;
	return *cfa >= frame->sp && *cfa <= frame->end && *cfa % sizeof(uintptr_t) == 0;
}

/* Goes on to the caller. Returns false if the stack isn't what the rule says it is. */
HAK_INLINE bool go_up(struct frame *frame, const struct hak_cfi_rule *rule)
{
	uintptr_t cfa, pc = frame->ra, fp = frame->fp;

	if (!find_cfa(frame, rule, &cfa))
		return false;
	if (rule->ra_at == HAK_CFI_SAME ? !pc : !read_stack(frame, cfa + (uintptr_t)(rule->ra_at * WORD), &pc))
		return false;
	if (HAK_UNLIKELY(rule->kind == HAK_CFI_FP_SAVED)) {
		if (!read_stack_at_any(frame, frame->fp, &fp))
			return false;
	} else if (rule->fp_at != HAK_CFI_SAME && !read_stack(frame, cfa + (uintptr_t)(rule->fp_at * WORD), &fp)) {
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

/* ---- Leaving a trail ---- */

struct noting {
	struct hak_trail *trail; /* NULL: none is wanted */
	uintptr_t fp_at;         /* where the frame pointer was read; 0: it is the first one, or was noted */
	bool first;              /* it is the first one, of which nothing was noted */
};

/* Notes what a step went by. The frame pointer of a frame counts only if a rule used it. */
HAK_INLINE void note_step(
	struct noting *noting, const struct frame *from, const struct hak_cfi_rule *rule, const struct frame *to)
{
	uintptr_t fp_at = rule->kind == HAK_CFI_FP_SAVED ? from->fp
		: rule->fp_at != HAK_CFI_SAME            ? to->sp + (uintptr_t)(rule->fp_at * WORD)
							 : 0;

	if (rule->kind != HAK_CFI_SP && noting->fp_at)
		hak_trail_note(noting->trail, noting->fp_at, from->fp);
	else if (rule->kind != HAK_CFI_SP && noting->first)
		noting->trail->by_fp = true;
	if (rule->kind == HAK_CFI_FP_SAVED)
		hak_trail_note(noting->trail, from->fp + (uintptr_t)(intptr_t)rule->cfa_offset, to->sp);
	if (rule->ra_at != HAK_CFI_SAME)
		hak_trail_note(noting->trail, to->sp + (uintptr_t)(rule->ra_at * WORD), to->pc);
	if (fp_at || rule->kind != HAK_CFI_SP) {
		noting->fp_at = fp_at;
		noting->first = false;
	}
}

/* ---- Walking ---- */

/* Goes up from the registers in *start, whose rule is that of the very instruction they are of. */
HAK_INLINE unsigned climb(const struct hak_walk_start *start, uint64_t (*find_rule)(struct cached *entries, uintptr_t pc),
	uintptr_t *frames, unsigned room, uintptr_t end, enum hak_cfi_kind *last, struct hak_trail *trail)
{
	struct frame frame = {.pc = start->pc, .sp = start->sp, .fp = start->fp, .ra = start->ra, .end = end}, before;
	struct cached *entries = hak_load_acquire(&cache);
	struct hak_cfi_rule rule = rule_of(find_rule(entries, frame.pc));
	struct noting noting = {.trail = trail, .first = true};
	unsigned count = 0;

	*last = HAK_CFI_OUTERMOST;
	while (count < room) {
		if (rule.kind < HAK_CFI_SP) {
			*last = (enum hak_cfi_kind)rule.kind;
			break;
		}
		before = frame;
		if (!go_up(&frame, &rule)) {
			*last = HAK_CFI_UNKNOWN;
			break;
		}
		if (trail)
			note_step(&noting, &before, &rule, &frame);
		if (frame.pc < 4096) { /* no code lies there: the rule was not for this stack */
			*last = HAK_CFI_UNKNOWN;
			break;
		}
		frames[count++] = frame.pc;
		/* A call may be its function's last instruction: the one before the return address is asked for. */
		rule = rule_of(find_rule(entries, frame.pc - 1));
	}
	return count;
}

unsigned hak_walk(const struct hak_walk_start *start, uintptr_t *frames, unsigned room, uintptr_t end, enum hak_cfi_kind *last,
	struct hak_trail *trail)
{
	look_for_unloads();
	return trail ? climb(start, find, frames, room, end, last, trail) : climb(start, find, frames, room, end, last, NULL);
}

uint64_t hak_walk_unloads(void)
{
	return hak_load_relaxed(&unloads_seen);
}

unsigned hak_walk_in_handler(
	const struct hak_walk_start *start, uintptr_t *frames, unsigned room, uintptr_t end, enum hak_cfi_kind *last)
{
	return climb(start, find_in_handler, frames, room, end, last, NULL);
}
