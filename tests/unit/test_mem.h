/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the tests of lib/mem share: what was logged, what is held, and a child without privileges.
 */
#ifndef PLX_TEST_MEM_H
#define PLX_TEST_MEM_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pollux/log.h>
#include <pollux/mem.h>

static char logged[4096];

static void keep_line(void *ctx, enum plx_log_level level, const char *line)
{
	size_t have = strlen(logged);

	(void)ctx;
	snprintf(logged + have, sizeof(logged) - have, "%d: %s\n", level, line);
}

static inline int keep_log(void **state)
{
	(void)state;
	logged[0] = '\0';
	plx_log_set_sink(keep_line, NULL);
	plx_log_set_level(PLX_LOG_INFO);
	return 0;
}

#define assert_logged(text)                                                     \
	do {                                                                    \
		if (!strstr(logged, text))                                      \
			fail_msg("not logged: \"%s\"; but:\n%s", text, logged); \
	} while (0)

static inline unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* Free pages of a size; 0 if the system has no such pages. */
static inline uint64_t free_pages(size_t page_size)
{
	struct plx_hugepages pages;

	return page_size && !plx_hugepages_query(page_size, PLX_NODE_ANY, &pages) ? pages.free : 0;
}

#define skip_because(...)                                 \
	do {                                              \
		print_message("# skipped: " __VA_ARGS__); \
		print_message("\n");                      \
		skip();                                   \
	} while (0)

/* Runs body in a child that has no privileges. Its result, 0 to 127, or -1. */
static inline int as_nobody(int (*body)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		if (geteuid() == 0 &&
		    (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534)))
			_exit(126);
		_exit(body());
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

#endif
