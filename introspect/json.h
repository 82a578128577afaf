/* json.h: writes JSON piece by piece, into a buffer or a file, and never allocates on its own.
 *
 * Calls follow the document's order: hak_json_object, a hak_json_key before each member's value, hak_json_end. Commas
 * are the writer's business. The first thing that goes wrong (no room, a failed write, nesting too deep) is kept in
 * `error`; later calls do nothing then, so that a caller checks once, with hak_json_finish. A writer belongs to one
 * thread. */
#ifndef HAK_JSON_H
#define HAK_JSON_H

#include "introspect/memory.h"
#include "lib/base.h"

#define HAK_JSON_DEPTH 63 /* objects and arrays inside each other */

struct hak_json {
	char *data;      /* where bytes are put */
	size_t length;   /* of them there are */
	size_t capacity; /* of them fit */
	/* Makes room for `need` more bytes or returns false with error set. NULL: what does not fit is an error. */
	bool (*make_room)(struct hak_json *json, size_t need);
	struct hak_buffer *buffer; /* of hak_json_to_buffer */
	int fd;                    /* of hak_json_to_fd */
	int error;                 /* errno's value of the first failure, 0 while there was none */
	unsigned depth;
	bool after_key;
	volatile bool in_key, in_string; /* what hak_json_unwind finds half written */
	uint64_t has_members; /* bit d: the object or array at depth d has a member */
	uint64_t is_array;    /* bit d: it is an array */
	uint64_t total;       /* bytes that were written to fd */
};

/* Writes into `capacity` bytes at `data`; more is the error ENOSPC. No zero is added at the end. */
void hak_json_to_memory(struct hak_json *json, void *data, size_t capacity);

/* Appends to `buffer`, which grows. After an error the buffer's length is what it was. */
void hak_json_to_buffer(struct hak_json *json, struct hak_buffer *buffer);

/* The greatest number that every reader of JSON keeps exactly: 2^53 - 1. */
#define HAK_JSON_NUMBER_MAX 9007199254740991u

/* For a descriptor that does not wait: how long its other end may take nothing, before that is the error ETIMEDOUT. */
#define HAK_JSON_WAIT_MS 10000

/* Writes to a descriptor in pieces of at most `capacity` (>= 64) bytes, collected at `chunk`. */
void hak_json_to_fd(struct hak_json *json, int fd, void *chunk, size_t capacity);

/* Ends the writing: flushes what is left. Returns false if anything failed (json->error says what) or if an object or
 * array is still open (EINVAL). */
bool hak_json_finish(struct hak_json *json);

void hak_json_object(struct hak_json *json);
void hak_json_array(struct hak_json *json);
/* Closes the innermost object or array. */
void hak_json_end(struct hak_json *json);
void hak_json_key(struct hak_json *json, const char *name);

/* A string. Quotes, backslashes and control characters (U+007F to U+009F too) are escaped; bytes that are not valid
 * UTF-8 become U+FFFD, one for each. */
void hak_json_string(struct hak_json *json, const char *text);
void hak_json_string_n(struct hak_json *json, const char *text, size_t length);
/* Written exactly, whatever it is; readers may not take it so above HAK_JSON_NUMBER_MAX. */
void hak_json_u64(struct hak_json *json, uint64_t number);
void hak_json_i64(struct hak_json *json, int64_t number);
/* An address: the string "0x…" in lower case without leading zeros. */
void hak_json_hex(struct hak_json *json, uint64_t address);
void hak_json_bool(struct hak_json *json, bool value);
void hak_json_null(struct hak_json *json);
/* A value that is JSON already, put as it is, without its newlines and the white space that follows them. */
void hak_json_raw(struct hak_json *json, const char *text, size_t length);
/* One byte outside any value: the newline that ends a message. */
void hak_json_newline(struct hak_json *json);

/* Closes what is open down to `depth`, wherever writing was left: by siglongjmp, in the midst of a string even. What was
 * begun becomes whole, be it "" or null. */
void hak_json_unwind(struct hak_json *json, unsigned depth);

/* A key and its value. */
void hak_json_member_string(struct hak_json *json, const char *name, const char *text);
void hak_json_member_u64(struct hak_json *json, const char *name, uint64_t number);
void hak_json_member_hex(struct hak_json *json, const char *name, uint64_t address);

#endif
