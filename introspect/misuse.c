/* The first records are each written by one thread, whose number it is, and read when its state says that it is whole. All that
 * come later are put together apart from them, and copied over the last one; there the state is a sequence lock's word: who
 * reads takes a copy, and looks whether it was written over meanwhile. */
#include "introspect/misuse.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "introspect/encode_guard.h"
#include "introspect/memory.h"
#include "introspect/snapshot.h"
#include "lib/atomic.h"
#include "lib/guard.h"

#define ROWS_BEFORE 2u /* of memory, before that of the address */

#define LAST (HAK_MISUSE_KEPT - 1u)
#define READ_TRIES 1000 /* a writer in the midst of copying is soon done, if it is not the thread that this one interrupted */

enum state { FREE, TAKEN, WHOLE };

static struct hak_misuse *records; /* HAK_MISUSE_KEPT of them; the last one's state is a sequence */
static uint32_t begun;             /* reports */

bool hak_misuse_prepare(void)
{
	struct hak_misuse *made = hak_load_relaxed(&records);

	if (!made)
		made = hak_memory_map(HAK_MISUSE_KEPT * sizeof(*made), HAK_MEMORY_INHERIT);
	hak_store_release(&records, made); /* pairs with the acquires below */
	return made != NULL;
}

/* ---- The last record ---- */

typedef uint64_t __attribute__((may_alias)) word;

/* A record is copied as words, all but the first, which is its state. */
#define WORDS (sizeof(struct hak_misuse) / sizeof(word) - 1)
_Static_assert(offsetof(struct hak_misuse, details) == sizeof(word), "the state has the first word to itself");
_Static_assert(sizeof(struct hak_misuse) % sizeof(word) == 0, "it is words");

/* Copies `count` words, unless another thread is about to: its report is as new. The sequence is odd meanwhile. */
static bool write_over(uint32_t *sequence, word *to, const word *from, size_t count)
{
	uint32_t before = hak_load_relaxed(sequence);

	/* Acquires, so that these words come after those of the last writer. */
	if ((before & 1) || !hak_cas_acquire_u32(sequence, &before, before + 1))
		return false;
	hak_fence_release(); /* pairs with the acquire fence in read_whole: who reads one of these words sees the odd sequence */
	for (size_t i = 0; i < count; i++)
		hak_store_relaxed(&to[i], from[i]);
	hak_store_release(sequence, before + 2); /* pairs with the acquire load in read_whole */
	return true;
}

/* Copies words that one write_over wrote. Returns false if there are none, or another came meanwhile. */
static bool read_whole(const uint32_t *sequence, word *to, const word *from, size_t count)
{
	uint32_t before = hak_load_acquire(sequence);

	if (before == 0 || (before & 1))
		return false;
	for (size_t i = 0; i < count; i++)
		to[i] = hak_load_relaxed(&from[i]);
	hak_fence_acquire();
	return hak_load_relaxed(sequence) == before;
}

static void write_last(struct hak_misuse *last, const struct hak_misuse *misuse)
{
	write_over(&last->state, (word *)last + 1, (const word *)misuse + 1, WORDS);
}

static bool read_last(const struct hak_misuse *last, struct hak_misuse *out)
{
	for (unsigned i = 0; i < READ_TRIES; i++) {
		if (read_whole(&last->state, (word *)out + 1, (const word *)last + 1, WORDS))
			return true;
	}
	return false;
}

/* ---- Putting it together ---- */

static struct hak_misuse *take_record(void)
{
	struct hak_misuse *kept = hak_load_acquire(&records);
	uint32_t number = hak_add_relaxed(&begun, 1u);

	/* Numbers come again after so many reports, and the first record stays the first. */
	if (kept && number < LAST && hak_load_relaxed(&kept[number].state) == FREE) {
		hak_store_relaxed(&kept[number].state, (uint32_t)TAKEN);
		return &kept[number];
	}
	return hak_memory_map(sizeof(*kept), HAK_MEMORY_PRIVATE);
}

/* Whether the heap, or a guard, has the memory at the address. What anybody else has there may be a secret, or a device's, which
 * changes when it is read. Guarded blocks may lie on pages of their own, which the heap's records don't know. */
static bool is_ours(const struct hak_misuse *misuse)
{
	return misuse->details.block.address || (misuse->at.kind != HAK_AT_foreign && misuse->at.kind != HAK_AT_reserved);
}

/* Reads the memory around the address, row by row, as a debugger does: pages that the program can't read are read too, where
 * the kernel lets a process do that to itself, and nothing faults. */
static void read_memory(struct hak_misuse *misuse)
{
	int fd;

	if (!is_ours(misuse))
		return;
	fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	misuse->memory_at = (misuse->details.address & ~(uintptr_t)(HAK_MISUSE_ROW - 1)) - (uintptr_t)ROWS_BEFORE * HAK_MISUSE_ROW;
	for (unsigned i = 0; i < HAK_MISUSE_ROWS; i++) {
		uintptr_t offset = (uintptr_t)i * HAK_MISUSE_ROW;
		ssize_t got = -1;

		if (fd >= 0)
			got = pread(fd, misuse->memory + offset, HAK_MISUSE_ROW, (off_t)(misuse->memory_at + offset));
		misuse->readable[i] = got == HAK_MISUSE_ROW;
	}
	if (fd >= 0)
		close(fd);
}

struct hak_misuse *hak_misuse_begin(const struct hak_report_details *details, const void *context)
{
	struct hak_misuse *misuse = take_record();

	if (!misuse)
		return NULL;
	misuse->details = *details;
	misuse->pc = context ? hak_stack_pc(context) : 0;
	misuse->frame_count = context ? hak_stack_of_context(context, misuse->frames, HAK_STACK_FRAMES) : 0;
	hak_postmortem_find(details->address, &misuse->at);
	hak_proc_thread_name((pid_t)details->tid, misuse->thread);
	read_memory(misuse);
	return misuse;
}

void hak_misuse_end(struct hak_misuse *misuse)
{
	struct hak_misuse *kept = hak_load_acquire(&records);

	if (kept && misuse >= kept && misuse < kept + LAST) {
		hak_store_release(&misuse->state, (uint32_t)WHOLE); /* pairs with the acquire in hak_misuse_encode */
		return;
	}
	if (kept)
		write_last(&kept[LAST], misuse);
	hak_memory_unmap(misuse, sizeof(*misuse));
}

unsigned hak_misuse_frames(const struct hak_misuse *misuse, const uintptr_t **frames)
{
	*frames = misuse->frames;
	return misuse->pc ? misuse->frame_count : hak_stack_frames(misuse->details.stack, frames);
}

/* ---- As JSON ---- */

static void encode_frames(struct hak_json *json, const uintptr_t *frames, unsigned count)
{
	hak_json_key(json, "frames");
	hak_json_array(json);
	for (unsigned i = 0; i < count; i++)
		hak_json_hex(json, frames[i]);
	hak_json_end(json);
}

/* Who did what, when: of an allocation or a free. */
static void encode_deed(struct hak_json *json, const char *key, uint32_t tid, uint64_t time_ns, uint32_t stack)
{
	const uintptr_t *frames = NULL;
	unsigned count = hak_stack_frames(stack, &frames);

	hak_json_key(json, key);
	hak_json_object(json);
	hak_json_member_u64(json, "tid", tid);
	if (time_ns)
		hak_json_member_u64(json, "time_us", time_ns / 1000);
	encode_frames(json, frames, count);
	hak_json_end(json);
}

void hak_misuse_encode_block(struct hak_json *json, const struct hak_guarded *block)
{
	hak_json_object(json);
	hak_json_member_hex(json, "address", block->address);
	hak_json_member_u64(json, "bytes", block->bytes);
	hak_json_key(json, "class");
	hak_encode_guard_class(json, block->class);
	hak_json_member_string(json, "level", hak_guard_words[block->level]);
	hak_json_member_string(json, "state", block->state == HAK_GUARDED_FREED ? "freed" : "live");
	encode_deed(json, "allocated", block->alloc_tid, block->alloc_ns, block->alloc_stack);
	if (block->state == HAK_GUARDED_FREED)
		encode_deed(json, "freed", block->free_tid, block->free_ns, block->free_stack);
	hak_json_end(json);
}

/* The memory as it is: a row is a string of hex digits, null if it couldn't be read. */
static void encode_memory(struct hak_json *json, const struct hak_misuse *misuse)
{
	static const char digits[] = "0123456789abcdef";
	char text[2 * HAK_MISUSE_ROW];

	hak_json_key(json, "memory");
	hak_json_object(json);
	hak_json_member_hex(json, "address", misuse->memory_at);
	hak_json_key(json, "rows");
	hak_json_array(json);
	for (size_t row = 0; row < HAK_MISUSE_ROWS; row++) {
		for (size_t i = 0; i < HAK_MISUSE_ROW; i++) {
			uint8_t byte = misuse->memory[row * HAK_MISUSE_ROW + i];

			text[2 * i] = digits[byte >> 4];
			text[2 * i + 1] = digits[byte & 15];
		}
		if (misuse->readable[row])
			hak_json_string_n(json, text, sizeof(text));
		else
			hak_json_null(json);
	}
	hak_json_end(json);
	hak_json_end(json);
}

static void encode_slot(struct hak_json *json, const struct hak_whereabouts *at)
{
	static const char *const states[] = {"UNUSED", "ACTIVE", "EMPTY"};

	hak_json_member_string(json, "kind", hak_whereabouts_names[at->kind]);
	if (!at->superslab)
		return;
	hak_json_member_hex(json, "ss", at->superslab);
	hak_json_member_u64(json, "slot", at->slot);
	hak_json_member_string(json, "slot_state", states[at->state]);
}

static void encode_access(struct hak_json *json, const struct hak_misuse *misuse)
{
	static const char *const names[] = {"unknown", "read", "write"};
	const uintptr_t *frames;
	unsigned count = hak_misuse_frames(misuse, &frames);

	hak_json_key(json, "access");
	hak_json_object(json);
	hak_json_member_u64(json, "tid", misuse->details.tid);
	hak_json_member_string(json, "thread", misuse->thread);
	if (misuse->pc) {
		hak_json_member_string(json, "kind", names[misuse->details.access]);
		hak_json_member_hex(json, "pc", misuse->pc);
	} else {
		hak_json_member_string(json, "kind", "call");
	}
	encode_frames(json, frames, count);
	hak_json_end(json);
}

static void encode_report(struct hak_json *json, const struct hak_misuse *misuse)
{
	static const char *const ends[] = {"goes_on", "aborts", "exits"};
	const struct hak_report_details *details = &misuse->details;

	hak_json_object(json);
	hak_json_member_u64(json, "time_us", details->time_ns / 1000);
	hak_json_member_string(json, "text", details->text);
	hak_json_member_string(json, "line", details->line);
	hak_json_member_string(json, "end", ends[details->end]);
	hak_json_member_hex(json, "address", details->address);
	encode_slot(json, &misuse->at);
	if (details->damage)
		hak_json_member_u64(json, "damage", details->damage);
	encode_access(json, misuse);
	if (details->block.address) {
		hak_json_key(json, "block");
		hak_misuse_encode_block(json, &details->block);
	}
	if (misuse->memory_at)
		encode_memory(json, misuse);
	hak_json_end(json);
}

static void encode_last(struct hak_json *json, const struct hak_misuse *last)
{
	struct hak_misuse *copy = NULL;

	if (hak_load_relaxed(&last->state) != 0)
		copy = hak_memory_map(sizeof(*copy), HAK_MEMORY_PRIVATE);
	if (copy && read_last(last, copy))
		encode_report(json, copy);
	hak_memory_unmap(copy, sizeof(*copy));
}

void hak_misuse_encode(struct hak_json *json)
{
	const struct hak_misuse *kept = hak_load_acquire(&records);

	if (!kept || hak_load_acquire(&kept->state) == FREE)
		return;
	hak_json_key(json, "reports");
	hak_json_array(json);
	for (unsigned i = 0; i < LAST; i++) {
		if (hak_load_acquire(&kept[i].state) == WHOLE)
			encode_report(json, &kept[i]);
	}
	encode_last(json, &kept[LAST]);
	hak_json_end(json);
}
