#include "introspect/dump.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "introspect/descriptor.h"
#include "introspect/encode.h"
#include "introspect/memory.h"
#include "introspect/misuse.h"
#include "introspect/proc.h"
#include "introspect/profile.h"
#include "introspect/protocol.h"
#include "introspect/quiet.h"
#include "introspect/ring.h"
#include "introspect/snapshot.h"

#define CHUNK_BYTES ((size_t)64 << 10)
#define BUILD_ID_MAX 64
#define LINKS_MAX 40 /* symbolic links followed, as many as the kernel follows */
#define FD_PATH_MAX 64

bool hak_dump_resolve(const char *path, char *out, size_t size)
{
	struct hak_protocol_text text = {out, size, 0, false};

	if (*path != '/') {
		if (!getcwd(out, size))
			return false;
		text.length = strlen(out);
		if (strcmp(out, "/") != 0)
			hak_protocol_put(&text, "/");
	}
	hak_protocol_put(&text, path);
	return !text.overflow;
}

bool hak_dump_expand(const char *pattern, const char *exe, int32_t pid, char *out, size_t size)
{
	char path[HAK_DUMP_PATH_MAX] = "";
	struct hak_protocol_text text = {path, sizeof(path), 0, false};

	for (; *pattern; pattern++) {
		char byte[2] = {*pattern, 0};

		if (pattern[0] != '%' || !pattern[1] || !strchr("ep%", pattern[1])) {
			hak_protocol_put(&text, byte);
			continue;
		}
		pattern++;
		if (*pattern == 'e')
			hak_protocol_put(&text, hak_proc_basename(exe));
		else if (*pattern == 'p')
			hak_protocol_put_number(&text, (uint64_t)pid);
		else
			hak_protocol_put(&text, "%");
	}
	return !text.overflow && hak_dump_resolve(path, out, size);
}

void hak_dump_events(struct hak_json *json)
{
	struct hak_ring_reader reader;
	struct hak_event event;

	hak_json_key(json, "events");
	hak_json_array(json);
	if (hak_ring_reader_open(&reader, true)) {
		uint64_t held = hak_ring_reader_begin(&reader);

		for (uint64_t i = 0; hak_ring_reader_next(&reader, &event); i++) {
			if (i + HAK_DUMP_EVENTS >= held)
				hak_encode_event(json, &event);
		}
		hak_ring_reader_close(&reader);
	}
	hak_json_end(json);
}

/* What is kept of a module while the loader's lock is held; the path follows in the same buffer. */
struct module {
	uint64_t base, end;
	size_t path_length;
	size_t build_id_length;
	unsigned char build_id[BUILD_ID_MAX];
};

/* Looks for the GNU build-id in a note segment. */
static void find_build_id(struct module *module, const char *notes, size_t size)
{
	while (size >= sizeof(ElfW(Nhdr))) {
		const ElfW(Nhdr) *note = (const ElfW(Nhdr) *)notes;
		size_t name_bytes = hak_align_up(note->n_namesz, 4), value_bytes = hak_align_up(note->n_descsz, 4);
		const char *name = notes + sizeof(*note);

		if (name_bytes > size || value_bytes > size || sizeof(*note) + name_bytes + value_bytes > size)
			return;
		if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && memcmp(name, "GNU", 4) == 0 &&
		    note->n_descsz <= BUILD_ID_MAX) {
			module->build_id_length = note->n_descsz;
			memcpy(module->build_id, name + name_bytes, note->n_descsz);
			return;
		}
		notes += sizeof(*note) + name_bytes + value_bytes;
		size -= sizeof(*note) + name_bytes + value_bytes;
	}
}

/* dl_iterate_phdr's callback. It only copies: the loader's lock is held, and must not wait for a disk. */
static int collect_module(struct dl_phdr_info *info, size_t size, void *buffer)
{
	struct module module = {.base = info->dlpi_addr, .end = info->dlpi_addr};

	(void)size;
	module.path_length = strlen(info->dlpi_name);
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uint64_t start = info->dlpi_addr + segment->p_vaddr;

		if (segment->p_type == PT_LOAD && start + segment->p_memsz > module.end)
			module.end = start + segment->p_memsz;
		if (segment->p_type == PT_NOTE && !module.build_id_length)
			find_build_id(&module, (const char *)start, segment->p_memsz);
	}
	/* A refused mapping ends the walk: the modules so far are still of use. */
	return !hak_buffer_append(buffer, &module, sizeof(module)) ||
		!hak_buffer_append(buffer, info->dlpi_name, module.path_length);
}

static void encode_module(struct hak_json *json, const struct module *module, const char *path, size_t path_length)
{
	char hex[2 * BUILD_ID_MAX];

	for (size_t i = 0; i < module->build_id_length; i++) {
		hex[2 * i] = "0123456789abcdef"[module->build_id[i] >> 4];
		hex[2 * i + 1] = "0123456789abcdef"[module->build_id[i] & 15];
	}
	hak_json_object(json);
	hak_json_key(json, "path");
	hak_json_string_n(json, path, path_length);
	hak_json_member_hex(json, "base", module->base);
	hak_json_member_hex(json, "end", module->end);
	hak_json_key(json, "build_id");
	hak_json_string_n(json, hex, 2 * module->build_id_length);
	hak_json_end(json);
}

void hak_dump_modules(struct hak_json *json, const char *exe)
{
	struct hak_buffer buffer = {0};
	struct module module;

	dl_iterate_phdr(collect_module, &buffer);
	hak_json_key(json, "modules");
	hak_json_array(json);
	for (size_t at = 0; at + sizeof(module) <= buffer.length; at += sizeof(module) + module.path_length) {
		memcpy(&module, buffer.data + at, sizeof(module));
		if (at + sizeof(module) + module.path_length > buffer.length)
			break;
		/* The loader knows the program itself, always the first, by no name. */
		if (at == 0 && module.path_length == 0)
			encode_module(json, &module, exe, strlen(exe));
		else
			encode_module(json, &module, buffer.data + at + sizeof(module), module.path_length);
	}
	hak_json_end(json);
	hak_buffer_free(&buffer);
}

/* A run of mappings of one file. */
struct mapped {
	struct hak_json *json;
	uint64_t start, end, inode; /* inode 0: none yet */
	char path[HAK_PROC_TEXT_MAX];
};

/* Reads what is mapped of an ELF file: its load address and build-id. Returns false if it is none. */
static bool read_mapped(const struct mapped *mapped, struct module *module)
{
	const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)mapped->start;
	const ElfW(Phdr) *segments = (const ElfW(Phdr) *)(mapped->start + header->e_phoff);
	size_t room = mapped->end - mapped->start;

	if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_phoff > room ||
	    header->e_phnum * sizeof(*segments) > room - header->e_phoff)
		return false;
	*module = (struct module){.base = mapped->start, .end = mapped->end};
	for (unsigned i = 0; i < header->e_phnum; i++) {
		if (segments[i].p_type == PT_LOAD && segments[i].p_offset == 0)
			module->base = mapped->start - segments[i].p_vaddr;
	}
	for (unsigned i = 0; i < header->e_phnum; i++) {
		uint64_t notes = module->base + segments[i].p_vaddr;

		if (segments[i].p_type == PT_NOTE && !module->build_id_length && notes >= mapped->start &&
		    notes <= mapped->end && segments[i].p_memsz <= mapped->end - notes)
			find_build_id(module, (const char *)notes, segments[i].p_memsz);
	}
	return true;
}

static void end_mapped(struct mapped *mapped)
{
	struct module module;

	if (mapped->inode && read_mapped(mapped, &module))
		encode_module(mapped->json, &module, mapped->path, strlen(mapped->path));
	mapped->inode = 0;
}

static bool take_mapping(void *argument, const struct hak_proc_mapping *mapping)
{
	struct mapped *mapped = argument;

	/* The memory behind the file's own part of the last segment has no name. */
	if (mapped->inode && mapping->inode == mapped->inode && mapping->offset != 0) {
		mapped->end = mapping->end;
		return true;
	}
	if (mapped->inode && mapping->inode)
		end_mapped(mapped);
	if (mapping->inode && mapping->offset == 0 && mapping->permissions[0] == 'r' &&
	    mapping->end - mapping->start >= sizeof(ElfW(Ehdr)) && mapping->path[0] == '/') {
		mapped->start = mapping->start;
		mapped->end = mapping->end;
		mapped->inode = mapping->inode;
		hak_copy_text(mapped->path, sizeof(mapped->path), mapping->path);
	}
	return true;
}

void hak_dump_mapped_modules(struct hak_json *json)
{
	struct mapped mapped = {.json = json};

	hak_json_key(json, "modules");
	hak_json_array(json);
	hak_proc_mappings(take_mapping, &mapped);
	end_mapped(&mapped);
	hak_json_end(json);
}

/* Writes the document to `fd`. Returns 0 or a negative errno. */
static int write_document(int fd, const char *reason, uint64_t *bytes)
{
	/* Both are too big for a stack that may be a small one of the program's. */
	struct hak_snapshot *snapshot = hak_memory_map(sizeof(*snapshot), HAK_MEMORY_PRIVATE);
	char *chunk = hak_memory_map(CHUNK_BYTES, HAK_MEMORY_PRIVATE);
	int result = -ENOMEM;
	struct hak_json json;

	if (snapshot)
		hak_snapshot_init(snapshot);
	if (snapshot && chunk && hak_snapshot_take(snapshot)) {
		hak_json_to_fd(&json, fd, chunk, CHUNK_BYTES);
		hak_json_object(&json);
		hak_json_member_string(&json, "type", HAK_TYPE_DUMP);
		hak_json_member_string(&json, "reason", reason);
		hak_encode_snapshot_members(&json, snapshot);
		hak_dump_events(&json);
		hak_misuse_encode(&json);
		if (hak_profile_has_data()) {
			hak_json_key(&json, "profile");
			hak_json_object(&json);
			hak_profile_encode(&json, false);
			hak_json_end(&json);
		}
		hak_dump_modules(&json, snapshot->exe);
		hak_json_end(&json);
		hak_json_newline(&json);
		result = hak_json_finish(&json) ? 0 : -json.error;
		*bytes = json.total;
	}
	if (snapshot)
		hak_snapshot_free(snapshot);
	hak_memory_unmap(snapshot, sizeof(*snapshot));
	hak_memory_unmap(chunk, CHUNK_BYTES);
	return result;
}

/* Replaces target->path by what it refers to as long as it is a symbolic link. Nothing needs to be there. The kernel
 * refuses to follow links that strangers left in directories like /tmp, but does not see those that are followed here:
 * so only links of this user and of root are. Returns 0 or a negative errno. */
static int follow_links(struct hak_dump_target *target)
{
	for (int i = 0; i < LINKS_MAX; i++) {
		struct hak_protocol_text text = {target->path, sizeof(target->path), 0, false};
		struct stat status;
		ssize_t length;

		if (lstat(target->path, &status) != 0)
			return errno == ENOENT ? 0 : -errno;
		if (!S_ISLNK(status.st_mode))
			return 0;
		if (status.st_uid != geteuid() && status.st_uid != 0)
			return -EACCES;
		length = readlink(target->path, target->link, sizeof(target->link) - 1);
		if (length < 0)
			return -errno;
		target->link[length] = 0;
		/* A relative link starts where it lies. */
		if (target->link[0] != '/')
			text.length = (size_t)(hak_proc_basename(target->path) - target->path);
		hak_protocol_put(&text, target->link);
		if (text.overflow)
			return -ENAMETOOLONG;
	}
	return -ELOOP;
}

/* Sets path and in_place for a dump to `path`. Returns 0 or a negative errno. */
static int find_target(struct hak_dump_target *target, const char *path)
{
	struct stat status, found;
	bool exists = stat(path, &status) == 0;
	int result;

	hak_copy_text(target->path, sizeof(target->path), path);
	if (!exists && errno != ENOENT)
		return -errno;
	if (exists && S_ISDIR(status.st_mode))
		return -EISDIR;
	/* A disk is nowhere to write a document. */
	if (exists && S_ISBLK(status.st_mode))
		return -EPERM;
	target->in_place = exists && !S_ISREG(status.st_mode);
	if (target->in_place)
		return 0;
	result = follow_links(target);
	/* A link of /proc may name a file that is no longer there: replacing whatever has its name now would be wrong.
	 */
	if (result == 0 && exists && (lstat(target->path, &found) != 0 || found.st_dev != status.st_dev ||
				      found.st_ino != status.st_ino))
		return -ESTALE;
	return result;
}

/* Fills in the name beside the file that it has until it is whole. */
static bool name_temporary(struct hak_dump_target *target)
{
	struct hak_protocol_text text = {target->temporary, sizeof(target->temporary), 0, false};

	hak_protocol_put(&text, target->path);
	hak_protocol_put(&text, ".");
	hak_protocol_put_number(&text, (uint64_t)syscall(SYS_gettid));
	hak_protocol_put(&text, ".tmp");
	return !text.overflow;
}

/* Returns a descriptor or a negative errno. */
static int open_named(struct hak_dump_target *target)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd;

	if (!name_temporary(target))
		return -ENAMETOOLONG;
	fd = open(target->temporary, flags, 0600);
	/* A left-over of a thread that had this id and was killed while it wrote. */
	if (fd < 0 && errno == EEXIST && unlink(target->temporary) == 0)
		fd = open(target->temporary, flags, 0600);
	if (fd >= 0)
		fd = hak_fd_raise(fd);
	return fd < 0 ? -errno : fd;
}

/* The path by which an open file can be given a name. */
static void descriptor_path(int fd, char out[FD_PATH_MAX])
{
	struct hak_protocol_text text = {out, FD_PATH_MAX, 0, false};

	hak_protocol_put(&text, "/proc/thread-self/fd/");
	hak_protocol_put_number(&text, (uint64_t)fd);
}

/* Opens a file without a name in the target's directory: it goes away by itself should the process end meanwhile.
 * Returns a descriptor, or a negative errno where there is no such thing. */
static int open_nameless(struct hak_dump_target *target)
{
	char from[FD_PATH_MAX];
	size_t length = (size_t)(hak_proc_basename(target->path) - target->path);
	int fd;

	/* The directory's path, with the slash that ends it. */
	memcpy(target->temporary, target->path, length);
	target->temporary[length] = 0;
	fd = open(target->temporary, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
	target->temporary[0] = 0;
	if (fd >= 0)
		fd = hak_fd_raise(fd);
	if (fd < 0)
		return -errno;
	descriptor_path(fd, from);
	if (access(from, F_OK) == 0)
		return fd;
	close(fd);
	return -ENOENT;
}

/* Opens a device or a pipe without ever waiting for its other end. */
static int open_in_place(const struct hak_dump_target *target)
{
	struct stat status;
	int fd = open(target->path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	/* Something else may have taken the name since it was looked at. */
	if (fstat(fd, &status) != 0 || S_ISREG(status.st_mode) || S_ISBLK(status.st_mode)) {
		close(fd);
		return -EPERM;
	}
	fd = hak_fd_raise(fd);
	return fd < 0 ? -errno : fd;
}

static int open_target(struct hak_dump_target *target)
{
	if (target->in_place) {
		target->fd = open_in_place(target);
	} else {
		target->fd = target->bare ? -ENOENT : open_nameless(target);
		if (target->fd < 0)
			target->fd = open_named(target);
	}
	return target->fd < 0 ? target->fd : 0;
}

/* Gives the whole file its name. Returns 0 or a negative errno. */
static int publish(struct hak_dump_target *target)
{
	char from[FD_PATH_MAX];

	if (!target->temporary[0]) {
		descriptor_path(target->fd, from);
		if (linkat(AT_FDCWD, from, AT_FDCWD, target->path, AT_SYMLINK_FOLLOW) == 0)
			return 0;
		/* An older dump is replaced by rename only, which wants a name. */
		if (errno != EEXIST)
			return -errno;
		if (!name_temporary(target))
			return -ENAMETOOLONG;
		unlink(target->temporary);
		if (linkat(AT_FDCWD, from, AT_FDCWD, target->temporary, AT_SYMLINK_FOLLOW) != 0)
			return -errno;
	}
	return rename(target->temporary, target->path) == 0 ? 0 : -errno;
}

static int write_file(struct hak_dump_target *target, const char *path, int (*document)(void *, int), void *argument)
{
	int result = find_target(target, path);

	target->temporary[0] = 0;
	if (result == 0 && target->in_place && target->file_only)
		result = -ESPIPE;
	if (result == 0)
		result = open_target(target);
	if (result < 0)
		return result;
	result = document(argument, target->fd);
	if (result == 0 && !target->in_place)
		result = publish(target);
	close(target->fd);
	if (result < 0 && target->temporary[0])
		unlink(target->temporary);
	return result;
}

int hak_dump_write_by(
	struct hak_dump_target *target, const char *path, int (*document)(void *argument, int fd), void *argument)
{
	struct hak_quiet quiet;
	int result;

	hak_quiet_begin(&quiet);
	result = write_file(target, path, document, argument);
	hak_quiet_end(&quiet);
	return result;
}

/* The arguments of write_document. */
struct document {
	const char *reason;
	uint64_t *bytes;
};

static int write_document_of(void *argument, int fd)
{
	const struct document *document = argument;

	return write_document(fd, document->reason, document->bytes);
}

static int write_dump(const char *path, const char *reason, uint64_t *bytes, bool file_only)
{
	struct hak_dump_target *target = hak_memory_map(sizeof(*target), HAK_MEMORY_PRIVATE);
	struct document document = {reason, bytes};
	int result;

	*bytes = 0;
	if (!target)
		return -ENOMEM;
	target->file_only = file_only;
	result = hak_dump_write_by(target, path, write_document_of, &document);
	hak_memory_unmap(target, sizeof(*target));
	return result;
}

int hak_dump_write(const char *path, const char *reason, uint64_t *bytes)
{
	return write_dump(path, reason, bytes, false);
}

int hak_dump_write_file(const char *path, const char *reason, uint64_t *bytes)
{
	return write_dump(path, reason, bytes, true);
}
