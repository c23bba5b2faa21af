/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the tests of EAL share. EAL starts once a process, so each case runs in a child; the child
 * says what went wrong in its output, which the parent shows only then. lib/eal's calls of the
 * address space are wrapped: recorded, and made to fail on request.
 */
#ifndef PLX_TEST_EAL_H
#define PLX_TEST_EAL_H

#include "test_mem.h"

#include <stdlib.h>
#include <sys/mman.h>

#include <rte_mempool.h>

#include <pollux/eal.h>

#define MIB ((size_t)1 << 20)

/* In a child: says what failed, and ends the case. */
#define CHECK(expr)                                                                        \
	do {                                                                               \
		if (!(expr)) {                                                             \
			fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #expr); \
			return 1;                                                          \
		}                                                                          \
	} while (0)

#define CHECK_OK(call)                                                                         \
	do {                                                                                   \
		int check_err_ = (call);                                                       \
		if (check_err_) {                                                              \
			fprintf(stderr, "%s:%d: %d from %s\n", __FILE__, __LINE__, check_err_, \
				#call);                                                        \
			return 1;                                                              \
		}                                                                              \
	} while (0)

static int child_log; /* a memfd: the child's output */

/* Whether EAL's or our lines so far hold a text. */
static inline bool said(const char *text)
{
	char lines[65536];
	ssize_t len = pread(child_log, lines, sizeof(lines), 0);

	return len > 0 && memmem(lines, len, text, strlen(text));
}

static inline void in_child(int (*body)(void))
{
	char lines[65536] = "";
	int status;
	pid_t pid;

	child_log = memfd_create("child-log", MFD_CLOEXEC);
	assert_true(child_log >= 0);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		alarm(120);
		dup2(child_log, STDOUT_FILENO);
		dup2(child_log, STDERR_FILENO);
		_exit(body());
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status) {
		if (pread(child_log, lines, sizeof(lines) - 1, 0) < 0)
			strcpy(lines, "(its words are lost)");
		fprintf(stderr, "%s\n", lines);
	}
	close(child_log);
	assert_int_equal(status, 0);
}

/* Starts EAL with one lcore and the options of a line. As plx_eal_init(). */
static inline int start(enum plx_addr_policy addr, const char *line, struct plx_ioas **ioas)
{
	static char words[512], prog[] = "test";
	struct plx_policy policy = { .addr = addr, .reason = "the test says so" };
	char *argv[32] = { prog };
	int argc = 1;

	snprintf(words, sizeof(words), "-l 0 --no-telemetry %s", line);
	for (char *w = strtok(words, " "); w; w = strtok(NULL, " "))
		argv[argc++] = w;
	return plx_eal_init(argc, argv, &policy, ioas);
}

/*
 * What lib/eal asked of the address space.
 */
#define MAX_MAPS 4096

static struct {
	struct plx_dma_mem map[MAX_MAPS]; /* what is mapped now */
	unsigned int count;
	int fail_map;	  /* error of the next map, once */
	int fail_destroy; /* error of the next destroy, once */
} asked;

int __real_plx_ioas_map(struct plx_ioas *ioas, const struct plx_dma_mem *mem,
			struct plx_refusal *why);
int __wrap_plx_ioas_map(struct plx_ioas *ioas, const struct plx_dma_mem *mem,
			struct plx_refusal *why);
int __real_plx_ioas_unmap(struct plx_ioas *ioas, void *va, size_t len);
int __wrap_plx_ioas_unmap(struct plx_ioas *ioas, void *va, size_t len);
int __real_plx_ioas_destroy(struct plx_ioas *ioas);
int __wrap_plx_ioas_destroy(struct plx_ioas *ioas);

static inline int take_error(int *err)
{
	int now = *err;

	*err = 0;
	return now;
}

int __wrap_plx_ioas_map(struct plx_ioas *ioas, const struct plx_dma_mem *mem,
			struct plx_refusal *why)
{
	int err = take_error(&asked.fail_map);

	if (!err)
		err = __real_plx_ioas_map(ioas, mem, why);
	else if (why)
		*why = (struct plx_refusal){ PLX_REFUSED_MEMORY, err, .text = "the test says no" };
	if (!err && asked.count < MAX_MAPS)
		asked.map[asked.count++] = *mem;
	return err;
}

int __wrap_plx_ioas_unmap(struct plx_ioas *ioas, void *va, size_t len)
{
	for (unsigned int i = 0; i < asked.count; i++) {
		if (asked.map[i].va == va && asked.map[i].len == len)
			asked.map[i--] = asked.map[--asked.count];
	}
	return __real_plx_ioas_unmap(ioas, va, len);
}

int __wrap_plx_ioas_destroy(struct plx_ioas *ioas)
{
	int err = take_error(&asked.fail_destroy);

	return err ? err : __real_plx_ioas_destroy(ioas);
}

/* The mapping that va lies in, or NULL. */
static inline const struct plx_dma_mem *mapping_of(const void *va)
{
	for (unsigned int i = 0; i < asked.count; i++) {
		if ((const char *)va >= (char *)asked.map[i].va &&
		    (const char *)va < (char *)asked.map[i].va + asked.map[i].len)
			return &asked.map[i];
	}
	return NULL;
}

#endif
