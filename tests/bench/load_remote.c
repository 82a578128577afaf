/* Blocks freed by another thread than the one that allocated them: threads in a ring that exchange blocks, and a
 * server whose threads die and leave their blocks to the next.
 *
 * The share of remote frees is exact, however the threads are scheduled: a thread that can't hand on its blocks
 * waits, asleep, until its neighbour has taken some. Blocks travel in batches, so that what is measured is malloc and
 * free and not the queue. */
#include "tests/bench/load.h"

#include <pthread.h>
#include <semaphore.h>
#include <string.h>

enum {
	BATCH = 256,       /* blocks that travel together */
	DEPTH = 8,         /* batches that may wait in an inbox */
	LOCAL = 1021,      /* places of blocks that a thread frees itself */
	GENERATION = 20000 /* blocks that a thread of the server replaces before it dies */
};

struct batch {
	uint32_t count;
	char *blocks[BATCH];
};

/* What a thread has been sent. Only its neighbour fills the batch at `tail`, only the thread itself empties the one
 * at `head`; the counts and `closed` are under ring.lock, which orders the batches too. */
struct inbox {
	struct batch batches[DEPTH];
	uint32_t head, tail, count;
	bool closed; /* the neighbour has sent its last */
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct inbox *inboxes;
	bool is_one_way;
} ring = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* Frees the oldest batch. Called with the lock, which is released meanwhile. */
static void take_batch(struct lane *lane, struct inbox *inbox)
{
	struct batch *batch = &inbox->batches[inbox->head];
	pthread_mutex_unlock(&ring.lock);
	for (uint32_t i = 0; i < batch->count; i++) {
		if (*batch->blocks[i] != 1)
			die("a block has changed on its way");
		free(batch->blocks[i]);
	}
	lane->done += batch->count;
	batch->count = 0;
	pthread_mutex_lock(&ring.lock);
	inbox->head = (inbox->head + 1) % DEPTH;
	inbox->count--;
	pthread_cond_broadcast(&ring.changed);
}

/* Sends the batch that was filled, if any, then frees all that has come, and returns a batch to fill next. Since each
 * thread frees what was sent to it before it sleeps, two can't wait for each other. */
static struct batch *exchange_batch(struct lane *lane, struct inbox *mine, struct inbox *neighbour)
{
	pthread_mutex_lock(&ring.lock);
	if (neighbour->batches[neighbour->tail].count > 0) {
		neighbour->tail = (neighbour->tail + 1) % DEPTH;
		neighbour->count++;
		pthread_cond_broadcast(&ring.changed);
	}
	for (;;) {
		if (mine->count > 0)
			take_batch(lane, mine);
		else if (neighbour->count == DEPTH)
			pthread_cond_wait(&ring.changed, &ring.lock);
		else
			break;
	}
	pthread_mutex_unlock(&ring.lock);
	return &neighbour->batches[neighbour->tail];
}

/* Says that nothing more is sent, and frees what still comes. */
static void finish(struct lane *lane, struct inbox *mine, struct inbox *neighbour)
{
	exchange_batch(lane, mine, neighbour);
	pthread_mutex_lock(&ring.lock);
	neighbour->closed = true;
	pthread_cond_broadcast(&ring.changed);
	while (mine->count > 0 || !mine->closed) {
		if (mine->count > 0)
			take_batch(lane, mine);
		else
			pthread_cond_wait(&ring.changed, &ring.lock);
	}
	pthread_mutex_unlock(&ring.lock);
}

static void exchange_lane(struct lane *lane)
{
	const struct load *load = lane->run->load;
	struct inbox *mine = &ring.inboxes[lane->index], *neighbour = &ring.inboxes[(lane->index + 1) % load->threads];
	char **local = map_memory(LOCAL * sizeof(*local));
	struct batch *batch = &neighbour->batches[0];
	uint64_t blocks = ring.is_one_way && lane->index > 0 ? 0 : lane->operations / 2;

	for (uint64_t i = 0; i < blocks; i++) {
		uint32_t random = xorshift32(&lane->state);
		size_t size = 16 + (random & 0x3FF);
		char *block = checked(malloc(size));
		*block = 1;
		lane->bytes += size;
		if ((random >> 12) % 100 < load->percent) {
			batch->blocks[batch->count++] = block;
			if (batch->count == BATCH)
				batch = exchange_batch(lane, mine, neighbour);
		} else {
			char **place = &local[random % LOCAL];
			lane->done += *place != NULL;
			free(*place);
			*place = block;
		}
	}
	lane->done += blocks;
	for (uint32_t i = 0; i < LOCAL; i++) {
		lane->done += local[i] != NULL;
		free(local[i]);
	}
	finish(lane, mine, neighbour);
}

static void run_ring(struct load_run *run, bool is_one_way)
{
	ring.is_one_way = is_one_way;
	ring.inboxes = map_memory(run->load->threads * sizeof(*ring.inboxes));
	run_lanes(run, exchange_lane);
}

/* Every thread allocates blocks of 16 to 1039 bytes and hands `percent` of them to its neighbour. */
void load_exchange(struct load_run *run)
{
	run_ring(run, false);
}

/* The first thread allocates and hands everything to the second, which only frees. */
void load_one_way(struct load_run *run)
{
	struct load_run all = *run;
	all.operations *= run->load->threads;
	run_ring(&all, true);
	run->done = all.done;
	run->bytes = all.bytes;
}

/* A place of the server: one thread after the other, and the blocks that they hand on. */
struct chain {
	struct lane *lane;
	char **blocks;
	pthread_t last; /* the thread that runs now, or ran last */
	bool has_last;
	sem_t ended;
};

static void replace_blocks(struct lane *lane, char **blocks, uint32_t working_set)
{
	for (uint32_t i = 0; i < GENERATION && lane->done < lane->operations; i++) {
		uint32_t random = xorshift32(&lane->state);
		char **place = &blocks[random % working_set];
		size_t size = 16 + (random & 0x3FF);
		free(*place);
		*place = checked(malloc(size));
		**place = 1;
		lane->bytes += size;
		lane->done += 2;
	}
}

/* A thread's life: replace blocks, start the successor, die. Each waits for the death of the one before, which has
 * long been over. */
static void *generation(void *argument)
{
	struct chain *chain = argument;
	bool has_previous = chain->has_last;
	pthread_t previous = chain->last;
	chain->last = pthread_self();
	chain->has_last = true;
	replace_blocks(chain->lane, chain->blocks, chain->lane->run->load->working_set);
	if (has_previous)
		pthread_join(previous, NULL);
	if (chain->lane->done >= chain->lane->operations) {
		sem_post(&chain->ended);
		return NULL;
	}
	pthread_t successor;
	if (pthread_create(&successor, NULL, generation, chain) != 0)
		die("no thread");
	return NULL;
}

static void server_lane(struct lane *lane)
{
	uint32_t working_set = lane->run->load->working_set;
	struct chain *chain = map_memory(sizeof(*chain));
	*chain = (struct chain){.lane = lane, .blocks = map_memory(working_set * sizeof(*chain->blocks))};
	sem_init(&chain->ended, 0, 0);
	pthread_t first;
	if (pthread_create(&first, NULL, generation, chain) != 0)
		die("no thread");
	while (sem_wait(&chain->ended) != 0) {
	}
	pthread_join(chain->last, NULL);
	for (uint32_t i = 0; i < working_set; i++)
		free(chain->blocks[i]);
}

void load_server(struct load_run *run)
{
	run_lanes(run, server_lane);
}
