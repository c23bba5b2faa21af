/* SPDX-License-Identifier: BSD-3-Clause */
/* lib/base: log lines, the system-call table, small files. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <pollux/log.h>

#include "sys.h"

/*
 * The log.
 */
static char last_line[2048];
static int last_level, nlines;

static void sink(void *ctx, enum plx_log_level level, const char *line)
{
	assert_ptr_equal(ctx, &nlines);
	snprintf(last_line, sizeof(last_line), "%s", line);
	last_level = level;
	nlines++;
}

static void log_goes_to_the_sink(void **state)
{
	(void)state;
	nlines = 0;
	plx_log_set_sink(sink, &nlines);
	plx_err("lost %d of %s", 3, "these");
	plx_log_set_sink(NULL, NULL);
	assert_int_equal(nlines, 1);
	assert_int_equal(last_level, PLX_LOG_ERR);
	assert_string_equal(last_line, "lost 3 of these");
}

static void log_drops_what_is_below_the_level(void **state)
{
	static const struct {
		enum plx_log_level level;
		int lines;
	} cases[] = { { PLX_LOG_ERR, 1 },
		      { PLX_LOG_WARN, 2 },
		      { PLX_LOG_NOTICE, 3 },
		      { PLX_LOG_INFO, 4 },
		      { PLX_LOG_DEBUG, 5 } };
	size_t i;

	(void)state;
	plx_log_set_sink(sink, &nlines);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		nlines = 0;
		plx_log_set_level(cases[i].level);
		plx_err("e");
		plx_warn("w");
		plx_notice("n");
		plx_info("i");
		plx_debug("d");
		assert_int_equal(nlines, cases[i].lines);
	}
	plx_log_set_level(PLX_LOG_NOTICE);
	nlines = 0;
	plx_notice("n");
	plx_info("i");
	plx_log_set_sink(NULL, NULL);
	assert_int_equal(nlines, 1);
}

static void assert_round(struct plx_log_rounds *rounds, const char *line, int lines)
{
	nlines = 0;
	plx_log_round_begin(rounds);
	plx_notice("always");
	plx_err("%s", line);
	plx_log_round_end();
	assert_int_equal(nlines, lines);
}

static void log_says_once_what_is_tried_over_and_over(void **state)
{
	struct plx_log_rounds rounds = { 0 };

	(void)state;
	plx_log_set_sink(sink, &nlines);
	assert_round(&rounds, "nobody there", 2);
	assert_round(&rounds, "nobody there", 0);
	assert_round(&rounds, "nobody there", 0);
	assert_round(&rounds, "busy", 1);
	assert_string_equal(last_line, "busy");
	assert_round(&rounds, "nobody there", 1);
	rounds = (struct plx_log_rounds){ 0 };
	assert_round(&rounds, "nobody there", 2);
	/* Lines outside of a round, and in one more than there is room for. */
	plx_err("nobody there");
	assert_int_equal(nlines, 3);
	for (int round = 0; round < 2; round++) {
		nlines = 0;
		plx_log_round_begin(&rounds);
		for (int i = 0; i < 20; i++)
			plx_err("line %d", i);
		plx_log_round_end();
		assert_int_equal(nlines, round ? 12 : 20);
	}
	plx_log_set_sink(NULL, NULL);
}

static void log_cuts_a_line_that_is_too_long(void **state)
{
	char *text = malloc(5000);

	(void)state;
	memset(text, 'x', 4999);
	text[4999] = '\0';
	plx_log_set_sink(sink, &nlines);
	plx_err("%s", text);
	plx_log_set_sink(NULL, NULL);
	assert_int_equal(strlen(last_line), 1023);
	free(text);
}

static void log_goes_to_stderr_without_a_sink(void **state)
{
	char text[64] = "";
	int pipes[2], saved = dup(STDERR_FILENO);

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	dup2(pipes[1], STDERR_FILENO);
	plx_warn("mind the %s", "gap");
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(pipes[1]);
	assert_true(read(pipes[0], text, sizeof(text) - 1) > 0);
	close(pipes[0]);
	assert_string_equal(text, "pollux: mind the gap\n");
}

/*
 * Small files, in a directory of our own.
 */
static char dir[] = "/tmp/pollux-base-XXXXXX";

static const char *path_of(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static const char *file(const char *text)
{
	const char *path = path_of("file");
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	fputs(text, out);
	fclose(out);
	return path;
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(path_of("file"));
	unlink(path_of("link"));
	return rmdir(dir);
}

static void text_is_read_without_its_last_newline(void **state)
{
	char buf[16];

	(void)state;
	assert_int_equal(plx_sys_read_text(file("hello\n"), buf, sizeof(buf)), 5);
	assert_string_equal(buf, "hello");
	assert_int_equal(plx_sys_read_text(file("hello"), buf, sizeof(buf)), 5);
	assert_string_equal(buf, "hello");
	assert_int_equal(plx_sys_read_text(file("a\nb\n"), buf, sizeof(buf)), 3);
	assert_string_equal(buf, "a\nb");
	assert_int_equal(plx_sys_read_text(file(""), buf, sizeof(buf)), 0);
	assert_string_equal(buf, "");
	assert_int_equal(plx_sys_read_text(file("\n"), buf, sizeof(buf)), 0);
	assert_string_equal(buf, "");
}

static void text_that_does_not_fit_is_an_error(void **state)
{
	char buf[8];

	(void)state;
	assert_int_equal(plx_sys_read_text(file("1234567"), buf, sizeof(buf)), 7);
	assert_int_equal(plx_sys_read_text(file("12345678"), buf, sizeof(buf)), -E2BIG);
	assert_int_equal(plx_sys_read_text(file("123456789"), buf, sizeof(buf)), -E2BIG);
	assert_int_equal(plx_sys_read_text(path_of("none"), buf, sizeof(buf)), -ENOENT);
	assert_int_equal(plx_sys_read_text(dir, buf, sizeof(buf)), -EISDIR);
}

/* A kernel that hands out a byte at a time, is interrupted now and then, and may fail. */
static int reads, fail_at, closes;

static ssize_t slow_read(int fd, void *buf, size_t len)
{
	(void)len;
	if (++reads == fail_at) {
		errno = EIO;
		return -1;
	}
	if (reads % 3 == 0) {
		errno = EINTR;
		return -1;
	}
	return read(fd, buf, 1);
}

static int counted_close(int fd)
{
	closes++;
	return close(fd);
}

static void text_survives_short_and_interrupted_reads(void **state)
{
	struct plx_sys sys = plx_sys_kernel;
	char buf[16];

	(void)state;
	sys.read = slow_read;
	sys.close = counted_close;
	plx_sys = &sys;
	reads = fail_at = closes = 0;
	assert_int_equal(plx_sys_read_text(file("abcdefg\n"), buf, sizeof(buf)), 7);
	assert_string_equal(buf, "abcdefg");
	assert_int_equal(closes, 1);
	reads = 0;
	fail_at = 4;
	assert_int_equal(plx_sys_read_text(file("abcdefg\n"), buf, sizeof(buf)), -EIO);
	assert_int_equal(closes, 2);
	plx_sys = &plx_sys_kernel;
}

static void numbers_are_read_in_any_base(void **state)
{
	uint64_t value;

	(void)state;
	assert_int_equal(plx_sys_read_u64(file("42\n"), &value), 0);
	assert_int_equal(value, 42);
	assert_int_equal(plx_sys_read_u64(file("0x8086\n"), &value), 0);
	assert_int_equal(value, 0x8086);
	assert_int_equal(plx_sys_read_u64(file("0xffffffffffffffff\n"), &value), 0);
	assert_true(value == UINT64_MAX);
	assert_int_equal(plx_sys_read_u64(file("0\n"), &value), 0);
	assert_int_equal(value, 0);
}

static void what_is_no_number_is_refused(void **state)
{
	static const char *const bad[] = {
		"", "\n", "x", "12 34", "0xg", "1.5", "18446744073709551616", "7Y"
	};
	uint64_t value;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(plx_sys_read_u64(file(bad[i]), &value), -EINVAL);
	assert_int_equal(plx_sys_read_u64(path_of("none"), &value), -ENOENT);
	assert_int_equal(plx_sys_read_u64(file("0000000000000000000000000000000000000000000000000"
					       "0000000000000000000000000000000000000001"),
					  &value),
			 -E2BIG);
}

static void link_names_are_last_components(void **state)
{
	static const char *const target[][2] = {
		{ "../../bus/pci/drivers/vfio-pci", "vfio-pci" },
		{ "plain", "plain" },
		{ "/a", "a" },
	};
	const char *link;
	char buf[9];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(target) / sizeof(target[0]); i++) {
		link = path_of("link");
		unlink(link);
		assert_int_equal(symlink(target[i][0], link), 0);
		assert_int_equal(plx_sys_link_name(link, buf, sizeof(buf)), 0);
		assert_string_equal(buf, target[i][1]);
	}
	link = path_of("link");
	unlink(link);
	assert_int_equal(symlink("x/vfio-pci9", link), 0);
	assert_int_equal(plx_sys_link_name(link, buf, sizeof(buf)), -E2BIG);
	assert_int_equal(plx_sys_link_name(path_of("none"), buf, sizeof(buf)), -ENOENT);
	assert_int_equal(plx_sys_link_name(file("x"), buf, sizeof(buf)), -EINVAL);
}

/*
 * The table itself.
 */
static bool cloexec(int fd)
{
	return fcntl(fd, F_GETFD) & FD_CLOEXEC;
}

static void descriptors_are_closed_on_exec(void **state)
{
	int fd, copy;

	(void)state;
	fd = plx_sys_kernel.open("/dev/null", O_RDWR);
	assert_true(fd >= 0 && cloexec(fd));
	copy = plx_sys_kernel.dup(fd);
	assert_true(copy > fd && cloexec(copy));
	assert_int_equal(plx_sys_kernel.close(copy), 0);
	assert_int_equal(plx_sys_kernel.close(fd), 0);
	assert_int_equal(plx_sys_kernel.close(fd), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(plx_sys_kernel.dup(fd), -1);
}

static void the_table_is_complete(void **state)
{
	const struct plx_sys *sys = &plx_sys_kernel;
	struct rlimit limit;
	struct dirent *entry;
	struct stat st;
	char buf[64];
	uint64_t value = 3, got = 0;
	void *va;
	int fd, ents = 0;
	DIR *open_dir;

	(void)state;
	fd = sys->eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(fd >= 0);
	assert_int_equal(sys->write(fd, &value, sizeof(value)), sizeof(value));
	assert_int_equal(sys->read(fd, &got, sizeof(got)), sizeof(got));
	assert_int_equal(got, 3);
	assert_int_equal(sys->ioctl(fd, 0xdead, NULL), -1);
	assert_int_equal(errno, ENOTTY);
	sys->close(fd);

	fd = sys->open(file("0123456789"), O_RDWR);
	assert_int_equal(sys->pread(fd, buf, 2, 4), 2);
	assert_memory_equal(buf, "45", 2);
	assert_int_equal(sys->pwrite(fd, "ab", 2, 8), 2);
	va = sys->mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(va, MAP_FAILED);
	assert_memory_equal(va, "01234567ab", 10);
	assert_int_equal(sys->munmap(va, 4096), 0);
	sys->close(fd);
	assert_int_equal(sys->access(path_of("file"), R_OK), 0);
	assert_int_equal(sys->stat(path_of("file"), &st), 0);
	assert_int_equal(st.st_size, 10);
	assert_int_equal(sys->readlink(path_of("none"), buf, sizeof(buf)), -1);

	open_dir = sys->opendir(dir);
	assert_non_null(open_dir);
	while ((entry = sys->readdir(open_dir)))
		ents += !strcmp(entry->d_name, "file");
	assert_int_equal(ents, 1);
	assert_int_equal(sys->closedir(open_dir), 0);

	assert_int_equal(sys->getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_true(limit.rlim_cur > 0);
	fd = sys->socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(sys->bind(fd, NULL, 0), -1);
	sys->close(fd);
}

static void memory_comes_zeroed(void **state)
{
	unsigned char *mem = plx_sys_kernel.alloc(1000);
	int i;

	(void)state;
	assert_non_null(mem);
	for (i = 0; i < 1000; i++)
		assert_int_equal(mem[i], 0);
	plx_sys_kernel.free(mem);
	plx_sys_kernel.free(NULL);
}

static void sleep_takes_its_time(void **state)
{
	struct timespec from, to;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &from);
	plx_sys_kernel.sleep_ms(20);
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert_true((to.tv_sec - from.tv_sec) * 1000000000L + to.tv_nsec - from.tv_nsec >=
		    20000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(log_goes_to_the_sink),
		cmocka_unit_test(log_drops_what_is_below_the_level),
		cmocka_unit_test(log_says_once_what_is_tried_over_and_over),
		cmocka_unit_test(log_cuts_a_line_that_is_too_long),
		cmocka_unit_test(log_goes_to_stderr_without_a_sink),
		cmocka_unit_test(text_is_read_without_its_last_newline),
		cmocka_unit_test(text_that_does_not_fit_is_an_error),
		cmocka_unit_test(text_survives_short_and_interrupted_reads),
		cmocka_unit_test(numbers_are_read_in_any_base),
		cmocka_unit_test(what_is_no_number_is_refused),
		cmocka_unit_test(link_names_are_last_components),
		cmocka_unit_test(descriptors_are_closed_on_exec),
		cmocka_unit_test(the_table_is_complete),
		cmocka_unit_test(memory_comes_zeroed),
		cmocka_unit_test(sleep_takes_its_time),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
