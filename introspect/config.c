#include "introspect/config.h"

#include <signal.h>
#include <string.h>

#include "introspect/leaks.h"
#include "introspect/stack.h"
#include "lib/trace.h"

const char *const hak_dump_on_words[] = {"exit", "abort", "crash", "oom", "signal", NULL};

/* Signals that nothing but a program raises, and those that people send from a terminal. */
const char *const hak_dump_signal_words[] = {"USR1", "USR2", "HUP", "QUIT", "URG", "WINCH", "IO", NULL};
const uint8_t hak_dump_signals[] = {SIGUSR1, SIGUSR2, SIGHUP, SIGQUIT, SIGURG, SIGWINCH, SIGIO};

struct hak_config hak_config = {
#define HAK_ENV_VALUE(field, name, type, value, text, minimum, maximum, words, help) .field = (value),
/* NOLINTNEXTLINE(bugprone-macro-parentheses): an array takes a string without only */
#define HAK_ENV_STRING(field, name, text, help) .field = text,
#include "introspect/env.def"
#undef HAK_ENV_VALUE
#undef HAK_ENV_STRING
};

const struct hak_env_row hak_config_rows[] = {
#define HAK_ENV_VALUE(field, name, type, value, text, minimum, maximum, words, help) \
	{"HAKMEM_" #name, HAK_ENV_##type, &hak_config.field, text, minimum, maximum, words, help},
#define HAK_ENV_STRING(field, name, text, help) \
	{"HAKMEM_" #name, HAK_ENV_TEXT, hak_config.field, text, 0, 0, NULL, help},
#include "introspect/env.def"
#undef HAK_ENV_VALUE
#undef HAK_ENV_STRING
};
const size_t hak_config_count = HAK_COUNT_OF(hak_config_rows);

void hak_config_read(char *const *environment)
{
	hak_env_parse(hak_config_rows, hak_config_count, environment);
}

const char *hak_config_variable(char *const *environment, const char *name)
{
	size_t length = strlen(name);

	for (; environment && *environment; environment++) {
		if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
			return *environment + length + 1;
	}
	return NULL;
}
