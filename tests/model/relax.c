/* relax.c: explores each model, and then again with each memory order relaxed in turn. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/internal.h"

#define SITES_MAX 256

static struct model_site *sites[SITES_MAX];
static unsigned site_count;
static const struct model_site *weakened[2];

void note_site(struct model_site *site)
{
	if (site->known || site->order == MODEL_RELAXED)
		return;
	if (site_count == SITES_MAX)
		die("too many sites");
	site->known = true;
	sites[site_count++] = site;
}

enum model_order order_of(const struct model_site *site)
{
	if (site != weakened[0] && site != weakened[1])
		return site->order;
	return site->order == MODEL_SEQ_CST ? MODEL_ACQ_REL : MODEL_RELAXED;
}

bool acquires(const struct model_site *site)
{
	enum model_order order = order_of(site);

	return order == MODEL_ACQUIRE || order >= MODEL_ACQ_REL;
}

bool releases(const struct model_site *site)
{
	return order_of(site) >= MODEL_RELEASE;
}

/* How many sites of the function stand before this one. The two of an exchange stand at one line, that of its success first. */
static unsigned number_of(const struct model_site *site)
{
	unsigned number = 0;

	for (unsigned i = 0; i < site_count; i++)
		number += strcmp(sites[i]->function, site->function) == 0 &&
			(sites[i]->line < site->line || (sites[i]->line == site->line && site == sites[i]->failure));
	return number;
}

static const struct model_site *find_site(const char *function, unsigned number)
{
	for (unsigned i = 0; i < site_count; i++) {
		if (strcmp(sites[i]->function, function) == 0 && number_of(sites[i]) == number)
			return sites[i];
	}
	fprintf(stderr, "%s has no place %u with a memory order\n", function, number);
	exit(1);
}

static bool is_spare(const struct model_spare *spares, const struct model_site *site)
{
	for (; spares->function; spares++) {
		if (find_site(spares->function, spares->number) == site)
			return true;
	}
	return false;
}

/* Relaxes one or two sites; returns whether one of the models fails, as it must. */
static bool fails_without(const struct model *models, const struct model_site *site, const struct model_site *other)
{
	bool failed = false;

	weakened[0] = site;
	weakened[1] = other;
	for (; models->name && !failed; models++) {
		failed = !explore(models);
		if (failed)
			printf("%s:%d (%s) relaxed%s: \"%s\" fails, as it must: %s\n", site->file, site->line, site->function,
				other ? ", and its double" : "", models->name, why);
	}
	weakened[0] = weakened[1] = NULL;
	if (!failed)
		fprintf(stderr, "%s:%d (%s, place %u) relaxed%s: no model fails\n", site->file, site->line, site->function,
			number_of(site), other ? ", and its double" : "");
	return failed;
}

int model_main(const struct model *models, const struct model_spare *spares)
{
	int status = 0;

	for (const struct model *each = models; each->name; each++) {
		if (!explore(each)) {
			fprintf(stderr, "%s fails: %s\n", each->name, why);
			print_trace();
			return 1;
		}
		if (!executions) {
			fprintf(stderr, "%s: no execution came to its end\n", each->name);
			return 1;
		}
		printf("%s: %lu executions (%lu cut off), %d shared locations\n", each->name, executions, cut, shared_count);
	}
	/* Executions that a relaxed order lets in may come by sites that none did before: those aren't asked about. */
	unsigned count = site_count;
	for (unsigned i = 0; i < count; i++) {
		if (!is_spare(spares, sites[i]) && !fails_without(models, sites[i], NULL))
			status = 1;
	}
	for (; spares->function; spares++) {
		const struct model_site *site = find_site(spares->function, spares->number);

		if (spares->with && !fails_without(models, site, find_site(spares->with, spares->with_number)))
			status = 1;
	}
	return status;
}
