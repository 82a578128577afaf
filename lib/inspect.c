#include "inspect.h"

#include <errno.h>
#include <string.h>

#include "os.h"
#include "purge.h"
#include "quarantine.h"
#include "sample_table.h"
#include "settings.h"
#include "shared_pool.h"
#include "sweep.h"
#include "thread.h"
#include "trace.h"

#define THREADS_SEEN_MAX (1u << 20) /* in a registry that is not locked */

/* ---- The slot map ---- */

static void fill_slot(struct hak_slot_info *info, const struct hak_superslab *ss, unsigned i, uint32_t now)
{
	const struct hak_slot *slot = &ss->slots[i];

	*info = (struct hak_slot_info){
		.state = (uint8_t)hak_ss_state(ss, i),
		.class = HAK_NO_CLASS,
		.age_ms = now - slot->since_ms,
	};
	if (info->state == HAK_SLOT_UNUSED)
		return;
	if (slot->bin != HAK_BIN_LARGE)
		info->class = (uint8_t)HAK_CLASS_OF_BIN(slot->bin);
	if (slot->distance == 0) {
		info->span = slot->span;
		info->capacity = slot->capacity;
		/* The slab's blocks come and go under its depot's lock, not the pool's. */
		info->used = info->state == HAK_SLOT_ACTIVE ? hak_load_relaxed(&slot->used) : 0;
	}
}

static void fill_superslab(struct hak_superslab_info *info, uint32_t index, uint32_t now)
{
	const struct hak_superslab *ss = hak_ss(index);

	info->address = hak_ss_address(index);
	info->index = index;
	info->taken_ms = now;
	info->in_lru = ss->place == HAK_PLACE_LRU;
	info->active_slots = (uint8_t)__builtin_popcount(ss->active);
	for (unsigned i = 0; i < HAK_SLOTS_PER_SS; i++)
		fill_slot(&info->slots[i], ss, i, now);
}

static void fill_place(struct hak_inspect *out, enum hak_place place)
{
	for (uint32_t index = 0; index < hak_arena_taken(); index++) {
		if (hak_ss(index)->place != place)
			continue;
		if (out->superslab_count < out->superslab_capacity)
			fill_superslab(&out->superslabs[out->superslab_count], index, out->taken_ms);
		out->superslab_count++;
	}
}

/* Who follows, and where to: the arguments of hak_inspect_changes. */
struct follower {
	uint64_t *versions;
	uint64_t version;
	bool all;
};

/* Writes the rows that have changed. Returns false, having written none, if there are more than fit. */
static bool fill_changes(struct hak_inspect *out, const struct follower *to)
{
	out->superslab_count = hak_arena_taken();
	if (out->superslab_count > out->superslab_capacity)
		return false;
	for (uint32_t index = 0; index < out->superslab_count; index++) {
		struct hak_superslab *ss = hak_ss(index);

		if (!to->all && !hak_load_relaxed(&ss->touched))
			continue;
		/* Taken away first: who changes `used` meanwhile leaves a new one. Pairs with hak_ss_touch. */
		hak_exchange_acquire(&ss->touched, 0);
		to->versions[index] = to->version;
		if (ss->place == HAK_PLACE_IN_USE || ss->place == HAK_PLACE_LRU)
			fill_superslab(&out->superslabs[index], index, out->taken_ms);
		else
			out->superslabs[index] = (struct hak_superslab_info){.index = index};
	}
	return true;
}

/* Brings the notes into the cache, so that they are not waited for with the lock held. */
static void approach_notes(void)
{
	uint32_t count = (uint32_t)(hak_load_relaxed(&hak_heap.slots) / HAK_SLOTS_PER_SS);

	for (uint32_t index = 0; index < count; index++)
		__builtin_prefetch(&hak_ss(index)->touched, 1);
}

static bool fill_map(struct hak_inspect *out, const struct follower *to)
{
	out->taken_ms = hak_os_clock_ms();
	if (to)
		return fill_changes(out, to);
	fill_place(out, HAK_PLACE_IN_USE);
	fill_place(out, HAK_PLACE_LRU);
	return true;
}

/* The pool's figures. Its lock is held, or they may be of different moments. */
static void fill_figures(struct hak_inspect *out)
{
	for (unsigned kind = 0; kind < HAK_KIND_COUNT; kind++) {
		const struct hak_pool_kind *from = &hak_pool.kinds[kind];

		out->empty_slots += from->empty_slots;
		if (kind >= HAK_CLASS_COUNT)
			continue;
		struct hak_class_info *class = &out->classes[kind];

		class->slabs = from->active_slabs;
		class->empty_slots = from->empty_slots;
		class->stage1 = from->stage1;
		class->stage2 = from->stage2;
		class->stage3 = from->stage3;
		class->converted = from->converted;
		class->from_lru = from->from_lru;
		class->free_list_peak = from->peak;
		if (from->peak > out->free_list_peak)
			out->free_list_peak = from->peak;
	}
	out->superslabs_in_use = hak_pool.superslabs_in_use;
	out->large_slots = hak_pool.large_slots;
	out->lru_length = hak_pool.lru_length;
	out->reserved_bytes = hak_arena_reserved_bytes();
	out->committed_bytes = hak_arena_committed_bytes();
	out->metadata_bytes = hak_arena_metadata_bytes();
#define HAK_STAT(name, meaning) out->stats.name = hak_stat_get(name);
#include "stats.def"
#undef HAK_STAT
}

static bool fill_pool(struct hak_inspect *out, const struct follower *to)
{
	bool fits;

	if (to && !to->all)
		approach_notes();
	hak_lock_acquire(&hak_pool.lock);
	fits = fill_map(out, to);
	fill_figures(out);
	hak_lock_release(&hak_pool.lock);
	return fits;
}

/* ---- The counts of threads ---- */

static void add_counts(struct hak_inspect *out, const struct hak_cache_counts counts[HAK_BIN_COUNT])
{
	for (unsigned class = 0; class < HAK_CLASS_COUNT; class ++) {
		out->classes[class].allocs += counts[HAK_BIN_OF_CLASS(class)].allocs;
		out->classes[class].frees += counts[HAK_BIN_OF_CLASS(class)].frees;
		out->classes[class].cached_blocks += counts[HAK_BIN_OF_CLASS(class)].cached_blocks;
	}
	out->large_allocs += counts[HAK_BIN_LARGE].allocs;
	out->large_frees += counts[HAK_BIN_LARGE].frees;
	out->large_cached_slots += counts[HAK_BIN_LARGE].cached_blocks;
}

static void fill_thread(
	struct hak_inspect *out, const struct hak_thread *thread, const struct hak_cache_counts counts[HAK_BIN_COUNT])
{
	struct hak_thread_info *info;

	if (out->thread_count++ >= out->thread_capacity)
		return;
	info = &out->threads[out->thread_count - 1];
	*info = (struct hak_thread_info){.tid = thread->tid};
	for (unsigned bin = 0; bin < HAK_BIN_COUNT; bin++) {
		info->allocs += counts[bin].allocs;
		info->frees += counts[bin].frees;
		if (bin != HAK_BIN_NONE)
			info->cached_bytes += counts[bin].cached_blocks *
				(bin == HAK_BIN_LARGE ? HAK_SLOT_BYTES
						      : hak_size_classes[HAK_CLASS_OF_BIN(bin)].block_bytes);
	}
}

static void fill_threads(struct hak_inspect *out)
{
	struct hak_cache_counts counts[HAK_BIN_COUNT];

	hak_thread_read_orphans(counts);
	add_counts(out, counts);
	hak_lock_acquire(&hak_threads.lock);
	hak_thread_reap();
	add_counts(out, hak_threads.dead);
	for (const struct hak_thread *thread = hak_threads.first; thread; thread = thread->next) {
		hak_cache_read(&thread->cache, counts);
		add_counts(out, counts);
		fill_thread(out, thread, counts);
	}
	hak_lock_release(&hak_threads.lock);
}

/* ---- Sums ---- */

/* A block freed by one thread and allocated by another may be seen in either order while both run: differences are held
 * at zero. */
static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static void fill_sums(struct hak_inspect *out)
{
	uint64_t active_bytes = out->large_slots * HAK_SLOT_BYTES;

	/* Slots that were seen in a cache may have gone back to the pool before, or come from it after, the pool was
	 * seen. */
	if (out->large_cached_slots > out->large_slots)
		out->large_cached_slots = out->large_slots;
	out->large_bytes = (out->large_slots - out->large_cached_slots) * HAK_SLOT_BYTES;
	out->live_bytes = out->large_bytes;
	out->cached_bytes = out->large_cached_slots * HAK_SLOT_BYTES;
	for (unsigned c = 0; c < HAK_CLASS_COUNT; c++) {
		struct hak_class_info *class = &out->classes[c];

		class->block_bytes = hak_size_classes[c].block_bytes;
		class->slots_per_slab = hak_size_classes[c].slots_per_slab;
		class->live_blocks = minus(class->allocs, class->frees);
		out->live_bytes += class->live_blocks * class->block_bytes;
		out->cached_bytes += class->cached_blocks * class->block_bytes;
		active_bytes += class->slabs * class->slots_per_slab * HAK_SLOT_BYTES;
	}
	out->slack_bytes = minus(active_bytes, out->live_bytes + out->cached_bytes);
	out->lru_capacity = hak_settings.ss_lru;
	out->drain_interval = hak_inspect_setting(HAK_SETTING_DRAIN_INTERVAL);
}

static bool inspect(struct hak_inspect *out, const struct follower *to)
{
	struct hak_superslab_info *superslabs = out->superslabs;
	struct hak_thread_info *threads = out->threads;
	size_t superslab_capacity = out->superslab_capacity;
	size_t thread_capacity = out->thread_capacity;
	int saved = errno;
	bool fits;

	memset(out, 0, sizeof(*out));
	out->superslabs = superslabs;
	out->superslab_capacity = superslab_capacity;
	out->threads = threads;
	out->thread_capacity = thread_capacity;
	fill_threads(out);
	for (unsigned class = 0; class < HAK_CLASS_COUNT; class ++) {
		out->classes[class].cached_blocks += hak_depot_cached_blocks(class) + hak_sample_table_held(class) +
			hak_quarantine_blocks(class);
		out->classes[class].depot = hak_load_relaxed(&hak_depots[class].hits);
	}
	out->large_cached_slots += hak_quarantine_slots();
	fits = fill_pool(out, to);
	fill_sums(out);
	errno = saved;
	return fits;
}

void hak_inspect(struct hak_inspect *out)
{
	inspect(out, NULL);
}

bool hak_inspect_changes(struct hak_inspect *out, uint64_t *versions, uint64_t version, bool all)
{
	const struct follower to = {versions, version, all};

	return inspect(out, &to);
}

void hak_inspect_follow(bool on)
{
	hak_store_relaxed(&hak_ss_followed, on);
	/* Who has seen the old value under one of these locks is done when we have had it. */
	for (unsigned class = 0; class < HAK_CLASS_COUNT; class ++) {
		hak_lock_acquire(&hak_depots[class].lock);
		hak_lock_release(&hak_depots[class].lock);
	}
	hak_lock_acquire(&hak_pool.lock);
	hak_lock_release(&hak_pool.lock);
}

/* ---- After a crash: without locks ---- */

void hak_inspect_figures(struct hak_inspect *out)
{
	for (unsigned class = 0; class < HAK_CLASS_COUNT; class ++) {
		const struct hak_depot *depot = &hak_depots[class];

		for (unsigned i = 0; i < depot->capacity && i < depot->batches; i++)
			out->classes[class].cached_blocks += hak_depot_parcel(depot, i)->batch.length;
		out->classes[class].cached_blocks += hak_sample_table_held(class) + hak_quarantine_blocks(class);
		out->classes[class].depot = hak_load_relaxed(&depot->hits);
	}
	out->large_cached_slots += hak_quarantine_slots();
	fill_figures(out);
	fill_sums(out);
}

bool hak_inspect_threads(struct hak_inspect *out)
{
	struct hak_cache_counts counts[HAK_BIN_COUNT];
	bool exact = hak_thread_peek_orphans(counts);
	size_t seen = 0;

	add_counts(out, counts);
	add_counts(out, hak_threads.dead);
	for (const struct hak_thread *thread = hak_threads.first; thread; thread = thread->next) {
		/* A list that is being changed may lead round in a circle. */
		if (++seen > THREADS_SEEN_MAX)
			return false;
		if (hak_thread_is_gone(thread))
			continue;
		exact &= hak_cache_peek(&thread->cache, counts);
		add_counts(out, counts);
		fill_thread(out, thread, counts);
	}
	return exact;
}

/* Whether the record of a slab's first slot agrees with itself (record.h). */
static bool slab_agrees(const struct hak_slot *slot, bool active)
{
	if (slot->distance != 0)
		return true;
	if (slot->span == 0 || slot->bin == HAK_BIN_NONE || slot->bin > HAK_BIN_LARGE)
		return false;
	return !active || slot->bin == HAK_BIN_LARGE || slot->used + slot->free == slot->carved;
}

/* Whether a SuperSlab's record obeys the equations of record.h. */
static bool record_agrees(uint32_t index)
{
	const struct hak_superslab *ss = hak_ss(index);
	const uint8_t *map = &hak_heap.class_map[(size_t)index * HAK_SLOTS_PER_SS];
	uint8_t slots[HAK_BIN_COUNT] = {0};

	if ((ss->unused ^ ss->active ^ ss->empty) != UINT32_MAX || (ss->active & ss->empty) ||
		(ss->active & ss->unused))
		return false;
	if ((ss->place == HAK_PLACE_IN_USE) != (ss->active != 0))
		return false;
	for (unsigned i = 0; i < HAK_SLOTS_PER_SS; i++) {
		bool active = ss->active >> i & 1;

		if (map[i] != hak_slot_map_bin(&ss->slots[i], active))
			return false;
		if (ss->unused >> i & 1)
			continue;
		if (!slab_agrees(&ss->slots[i], active))
			return false;
		slots[ss->slots[i].bin]++;
	}
	return memcmp(slots, ss->class_slots, sizeof(slots)) == 0;
}

static bool same_slot(const struct hak_slot_info *a, const struct hak_slot_info *b)
{
	return a->state == b->state && a->class == b->class && a->used == b->used && a->capacity == b->capacity &&
		a->span == b->span && a->age_ms == b->age_ms;
}

/* Member by member: what lies between them may differ. */
static bool same_superslab(const struct hak_superslab_info *a, const struct hak_superslab_info *b)
{
	bool same = a->in_lru == b->in_lru && a->active_slots == b->active_slots;

	for (unsigned i = 0; i < HAK_SLOTS_PER_SS; i++)
		same = same && same_slot(&a->slots[i], &b->slots[i]);
	return same;
}

uint32_t hak_inspect_superslabs(void)
{
	return (uint32_t)(hak_load_relaxed(&hak_heap.slots) / HAK_SLOTS_PER_SS);
}

bool hak_inspect_superslab(uint32_t index, struct hak_superslab_info *info, bool *in_motion)
{
	uint32_t now = hak_os_clock_ms();
	struct hak_superslab_info again;
	uint8_t place = hak_load_relaxed(&hak_ss(index)->place);

	if (place != HAK_PLACE_IN_USE && place != HAK_PLACE_LRU)
		return false;
	fill_superslab(info, index, now);
	*in_motion = !record_agrees(index);
	fill_superslab(&again, index, now);
	*in_motion |= !same_superslab(info, &again);
	return true;
}

bool hak_inspect_address(const void *address, uintptr_t *superslab, unsigned *index, struct hak_slot_info *info)
{
	size_t slot = hak_slot_of_address(address);
	bool found = false;

	hak_lock_acquire(&hak_pool.lock);
	if (slot < hak_heap.slots) {
		uint32_t number = (uint32_t)(slot / HAK_SLOTS_PER_SS);
		const struct hak_superslab *ss = hak_ss(number);

		found = ss->place == HAK_PLACE_IN_USE || ss->place == HAK_PLACE_LRU;
		if (found) {
			*superslab = hak_ss_address(number);
			*index = slot % HAK_SLOTS_PER_SS;
			fill_slot(info, ss, *index, hak_os_clock_ms());
		}
	}
	hak_lock_release(&hak_pool.lock);
	return found;
}

void hak_inspect_mirror(struct hak_mirror *mirror)
{
	for (unsigned class = 0; class < HAK_CLASS_COUNT; class ++)
		hak_lock_acquire(&hak_depots[class].lock);
	hak_lock_acquire(&hak_pool.lock);
	if (mirror) {
		hak_mirror_fill(mirror, hak_settings.ss_lru, hak_inspect_setting(HAK_SETTING_DRAIN_INTERVAL));
		for (unsigned class = 0; class < HAK_CLASS_COUNT; class ++)
			hak_mirror_store_depot(class, hak_depots[class].hits);
	} else {
		hak_store_release(&hak_mirror, NULL);
	}
	hak_lock_release(&hak_pool.lock);
	for (unsigned class = HAK_CLASS_COUNT; class -- > 0;)
		hak_lock_release(&hak_depots[class].lock);
}

size_t hak_inspect_request_drain(void)
{
	size_t threads;

	hak_thread_drain();
	hak_lock_acquire(&hak_threads.lock);
	threads = hak_threads.count;
	hak_lock_release(&hak_threads.lock);
	return threads;
}

static uint64_t *const settings[HAK_SETTING_COUNT] = {
	[HAK_SETTING_DRAIN_INTERVAL] = &hak_settings.drain_interval,
	[HAK_SETTING_PURGE_DELAY_MS] = &hak_settings.purge_delay_ms,
};

uint64_t hak_inspect_setting(enum hak_setting setting)
{
	return hak_load_relaxed(settings[setting]);
}

void hak_inspect_setting_range(enum hak_setting setting, uint64_t *minimum, uint64_t *maximum)
{
	const struct hak_env_row *row = hak_settings_rows;

	while (row->value != settings[setting])
		row++;
	*minimum = row->minimum;
	*maximum = row->maximum;
}

bool hak_inspect_set(enum hak_setting setting, uint64_t value)
{
	uint64_t minimum, maximum;

	hak_inspect_setting_range(setting, &minimum, &maximum);
	if (value < minimum || value > maximum)
		return false;
	if (value == hak_exchange_acquire(settings[setting], value))
		return true;
	/* A drain also sets each class's next one, which may have been a long time off. */
	if (setting == HAK_SETTING_DRAIN_INTERVAL)
		hak_cache_request_drain();
	return true;
}

size_t hak_inspect_purge(void)
{
	size_t bytes;

	hak_depot_trim();
	bytes = hak_sweep_all();
	bytes += hak_purge_all();
	hak_trace_flush();
	return bytes;
}

void hak_inspect_purge_due(void)
{
	hak_purge_all_due();
	hak_sweep_due(hak_os_clock_ms(), UINT32_MAX);
	hak_trace_flush();
}
