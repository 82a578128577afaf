#include "viewer/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "introspect/protocol.h"
#include "viewer/discover.h"

#define RETRY_TIMEOUT_MS 1000

void link_init(struct link *link)
{
	memset(link, 0, sizeof(*link));
	link->client.fd = -1;
}

bool link_is_open(const struct link *link)
{
	return link->client.fd >= 0;
}

int link_ask_profile(struct link *link, int every_ms)
{
	int64_t now = client_now_ms();
	if (!link_is_open(link) || !link->client.has_profile)
		return every_ms;
	if (link->profile_at == 0 || now - link->profile_at >= every_ms) {
		client_send(&link->client, "profile");
		link->profile_at = now;
	}
	return (int)(link->profile_at + every_ms - now);
}

int link_ask_guarded(struct link *link, int every_ms, uint64_t from, uint64_t to)
{
	int64_t now = client_now_ms();
	char request[96];
	/* More the request doesn't take: a large allocation is one block, which its beginning tells of. */
	uint64_t bytes = to - from < HAK_PROTOCOL_GUARDED_MAX ? to - from : HAK_PROTOCOL_GUARDED_MAX;
	if (!link_is_open(link) || !link->client.has_guarded)
		return every_ms;
	if (link->guarded_at == 0 || now - link->guarded_at >= every_ms || link->guarded_from != from) {
		snprintf(request, sizeof(request), "guarded address=0x%llx bytes=%llu", (unsigned long long)from, (unsigned long long)bytes);
		client_send(&link->client, request);
		link->guarded_at = now;
		link->guarded_from = from;
	}
	return (int)(link->guarded_at + every_ms - now);
}

void link_close(struct link *link)
{
	link->profile_at = link->guarded_at = 0;
	client_close(&link->client);
}

bool link_names_pid(const char *target, pid_t *pid)
{
	uint64_t number;
	const char *end = hak_protocol_read_number(target, &number);
	if (end == NULL || *end != '\0' || number == 0 || number > INT32_MAX)
		return false;
	*pid = (pid_t)number;
	return true;
}

bool link_open(struct link *link, const char *target, int timeout_ms, struct problem *problem)
{
	pid_t pid = 0;
	if (!link_names_pid(target, &pid))
		snprintf(link->path, sizeof(link->path), "%s", target);
	else if (!discover_pid(pid, link->path, sizeof(link->path), problem))
		return false;
	if (client_connect(&link->client, link->path, timeout_ms, problem) != CLIENT_CONNECTED)
		return false;
	if (pid == 0 || discover_speaks_for(link->client.peer_uid, pid))
		return true;
	problem_set(problem, "%s was made by uid %u, who isn't the user of process %d", link->path,
		(unsigned)link->client.peer_uid, (int)pid);
	link_close(link);
	return false;
}

void link_expect(struct link *link, pid_t pid)
{
	link->launched = true;
	link->pid = pid;
	link->retry_at = 0;
	/* An ended command has no /proc entry; then there is nothing to look for either. */
	discover_start_time(pid, &link->start_time);
}

bool link_retry(struct link *link)
{
	if (link_is_open(link))
		return true;
	if (!link->launched || client_now_ms() < link->retry_at)
		return false;
	if (discover_own_socket(link->pid, link->start_time, link->path, sizeof(link->path)) &&
		client_connect(&link->client, link->path, RETRY_TIMEOUT_MS, NULL) == CLIENT_CONNECTED)
		return true;
	link->retry_at = client_now_ms() + LINK_RETRY_MS;
	return false;
}
