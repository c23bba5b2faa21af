/* SPDX-License-Identifier: BSD-3-Clause */
/* plx-nvme-perf: its command line, its histogram, and the blocks that say what they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pollux/log.h>

#include "hist.h"
#include "options.h"
#include "pattern.h"
#include "session.h"
#include "worker.h"

static struct options opts;
static char line[512];

static void keep_line(void *ctx, enum plx_log_level level, const char *text)
{
	(void)ctx;
	(void)level;
	snprintf(line, sizeof(line), "%s", text);
}

static int setup(void **state)
{
	*state = NULL;
	plx_log_set_sink(keep_line, NULL);
	line[0] = '\0';
	return 0;
}

/* Parses words separated by '|', which may have spaces in them. */
static int parse(const char *words)
{
	static char text[512];
	char *argv[32] = { (char *)(uintptr_t) "plx-nvme-perf" }, *word, *rest = text;
	int argc = 1;

	snprintf(text, sizeof(text), "%s", words);
	while ((word = strsep(&rest, "|")) && *word)
		argv[argc++] = word;
	return options_transport(argc, argv, &opts) ? -1 : options_parse(argc, argv, &opts);
}

/* The first that this process may use. */
static unsigned first_core(void)
{
	unsigned core = 0;
	cpu_set_t set;

	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	while (!CPU_ISSET(core, &set))
		core++;
	return core;
}

static void test_defaults(void **state)
{
	char text[32];

	(void)state;
	assert_int_equal(parse(""), 0);
	assert_int_equal(opts.depth, 32);
	assert_int_equal(opts.io_size, 4096);
	assert_int_equal(opts.seconds, 5);
	assert_int_equal(opts.cores, 1);
	assert_int_equal(opts.core[0], first_core());
	assert_string_equal(options_workload(&opts, text), "randread");
}

static void test_options(void **state)
{
	char text[32];

	(void)state;
	assert_int_equal(parse("-q|128|-o|64k|-M|70|-w|rw|-t|9|-c|0x15|-P|3|-LL|--verify|--ns|7"
			       "|--range|2g|--offset|508|--seed|42|--number-ios|100|--json"),
			 0);
	assert_int_equal(opts.depth, 128);
	assert_int_equal(opts.io_size, 65536);
	assert_int_equal(opts.reads, 70);
	assert_false(opts.random);
	assert_int_equal(opts.seconds, 9);
	assert_int_equal(opts.cores, 3);
	assert_int_equal(opts.core[0] + 10 * opts.core[1] + 100 * opts.core[2], 420);
	assert_int_equal(opts.queues, 3);
	assert_int_equal(opts.latency, 2);
	assert_int_equal(opts.nsid, 7);
	assert_int_equal(opts.range, 2u << 30);
	assert_int_equal(opts.offset, 508);
	assert_int_equal(opts.seed, 42);
	assert_int_equal(opts.ios, 100);
	assert_true(opts.verify && opts.json && !opts.csv);
	assert_string_equal(options_workload(&opts, text), "rw");
	assert_int_equal(parse("-w|randrw"), 0);
	assert_int_equal(opts.reads, 50);
	/* Where there is no choice -M may say what is so anyway. */
	assert_int_equal(parse("-M|0|-w|randwrite"), 0);
	assert_int_equal(opts.reads, 0);
	assert_int_equal(parse("-M|100"), 0);
	assert_int_equal(opts.reads, 100);
	assert_int_equal(parse("-c|[3,0-1]"), 0);
	assert_int_equal(opts.cores, 3);
	assert_int_equal(opts.core[0], 3);
	assert_int_equal(parse("-c|f0"), 0);
	assert_int_equal(opts.core[3], 7);
}

static void test_wrong_options(void **state)
{
	static const char *const wrong[] = {
		"-q|0",
		"-q|65536",
		"-q|1x",
		"-q|-1",
		"-q",
		"-o|513",
		"-o|0",
		"-o|65m",
		"-o|4kk",
		"-w|readrand",
		"-M|101",
		"-M|70",
		"-M|0",
		"-M|70|-w|randwrite",
		"-w|read|-M|99",
		"-t|0",
		"-c|",
		"-c|0",
		"-c|0x",
		"-c|xyz",
		"-c|[0",
		"-c|[0-]",
		"-c|[2-1]",
		"-c|[0-99999]",
		"-c|[,]",
		"-P|0",
		"--ns|0",
		"--ns|4294967295",
		"--offset|4096",
		"--offset|2",
		"--seed|4294967296",
		"--frob",
		"extra",
		"--json|--csv",
		"--range|0",
		"--range|18446744073709551616",
		"--range|17179869184g",
		"--number-ios|0",
		"-r",
		"-r|trtype:TCP traddr:0000:01:00.0",
		"-r|trtype:PCIe",
		"-r|traddr:",
		"-r|traddr:0000:01:00.0 ns:0",
		"-r|traddr:0000:01:00.0 ns:x",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		line[0] = '\0';
		assert_true(parse(wrong[i]) < 0);
		assert_true(line[0]);
	}
}

/* The word that is wrong is the one that is named, wherever it stands. */
static void test_wrong_words(void **state)
{
	static const char *const named[][2] = {
		{ "plain|--frob|-q|1", "'--frob' is unknown" },
		{ "-q|1|plain|-z", "'-z' is unknown" },
		{ "plain|-Lz", "'-z' is unknown" },
		{ "plain|--verify=3", "'--verify=3' is unknown, or takes no value" },
		{ "plain|other|-q", "'-q' wants a value" },
		{ "plain|other|--io-size", "'--io-size' wants a value" },
		{ "plain|-q|1", "'plain' is no option" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		assert_true(parse(named[i][0]) < 0);
		assert_non_null(strstr(line, named[i][1]));
	}
}

static void test_cores(void **state)
{
	cpu_set_t before, after;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	assert_int_equal(parse(""), 0);
	assert_int_equal(run_check_cores(&opts), 0);
	opts.core[opts.cores++] = CORES_MAX - 1; /* no machine of ours */
	assert_true(run_check_cores(&opts) < 0);
	assert_non_null(strstr(line, "there is no core 1023"));
	assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
	assert_true(CPU_EQUAL(&before, &after));
}

static void test_transport(void **state)
{
	char id[] = "trtype:PCIe  traddr:0000:01:00.0 ns:3";
	char *argv[] = { (char *)(uintptr_t) "x", (char *)(uintptr_t) "-r", id };

	(void)state;
	assert_int_equal(options_transport(3, argv, &opts), 0);
	assert_string_equal(argv[1], "-a");
	assert_string_equal(argv[2], "0000:01:00.0");
	assert_int_equal(opts.nsid, 3);
	/* The other options don't forget it. */
	assert_int_equal(options_parse(1, argv, &opts), 0);
	assert_int_equal(opts.nsid, 3);
}

static void test_numbers(void **state)
{
	uint64_t value;

	(void)state;
	assert_int_equal(parse_number("0x10", false, &value), 0);
	assert_int_equal(value, 16);
	assert_int_equal(parse_number("3M", true, &value), 0);
	assert_int_equal(value, 3u << 20);
	assert_true(parse_number("3M", false, &value));
	assert_true(parse_number(" 3", true, &value));
	assert_true(parse_number("", true, &value));
	assert_true(parse_number("16777216t", true, &value));
	assert_int_equal(parse_number("16777215t", true, &value), 0);
}

static void in_its_bucket(uint64_t value)
{
	unsigned index = (unsigned)hist_index(value);

	assert_true(index < HIST_BUCKETS);
	assert_true(value <= hist_top(index));
	assert_true(!index || value > hist_top(index - 1));
	assert_true(hist_top(index) - value <= value / 64);
}

/* Each value is in the bucket that says so: all small ones, and what is around powers of two. */
static void test_buckets(void **state)
{
	(void)state;
	for (uint64_t value = 0; value < 70000; value++)
		in_its_bucket(value);
	for (unsigned shift = 8; shift < 62; shift++) {
		uint64_t value = UINT64_C(1) << shift;

		for (uint64_t around = value - 3; around < value + 3; around++)
			if (shift < 52) /* beyond, a double has no room for all of them */
				in_its_bucket(around);
		in_its_bucket(value - 1);
		assert_true(hist_index(value - 1) == hist_index(value - 2) + 1 || shift > 52);
	}
	assert_int_equal(hist_index(HIST_MAX), HIST_BUCKETS - 1);
	assert_int_equal(hist_index(0), 0);
}

/* Clocks that jump: there is room for whatever they say. */
static void test_huge(void **state)
{
	struct hist *h = malloc(sizeof(*h));

	(void)state;
	hist_init(h);
	hist_add(h, UINT64_MAX);
	hist_add(h, UINT64_C(1) << 63);
	hist_add(h, HIST_MAX);
	assert_int_equal(h->bucket[HIST_BUCKETS - 1], 3);
	assert_int_equal(h->max, HIST_MAX);
	assert_int_equal(hist_percentile(h, .5), HIST_MAX);
	free(h);
}

static void test_percentiles(void **state)
{
	struct hist *h = malloc(sizeof(*h)), *sum = malloc(sizeof(*sum));

	(void)state;
	hist_init(h);
	assert_int_equal(hist_percentile(h, .5), 0);
	for (unsigned i = 1; i <= 100; i++)
		hist_add(h, i);
	assert_int_equal(hist_percentile(h, .5), 50);
	assert_int_equal(hist_percentile(h, .01), 1);
	assert_int_equal(hist_percentile(h, .99), 99);
	assert_int_equal(hist_percentile(h, .999), 100);
	assert_int_equal(hist_percentile(h, 1), 100);
	assert_int_equal(h->min, 1);
	assert_int_equal(h->max, 100);
	assert_int_equal(h->sum, 5050);
	hist_init(sum);
	hist_merge(sum, h);
	hist_add(h, 1000000);
	assert_int_equal(hist_percentile(h, 1), 1000000); /* not the bucket's end */
	hist_merge(sum, h);
	assert_int_equal(sum->count, 201);
	assert_int_equal(sum->max, 1000000);
	assert_int_equal(hist_percentile(sum, .5), 51);
	free(h);
	free(sum);
}

static void test_pattern(void **state)
{
	const struct pattern p = { .lba = 1234567890123, .nsid = 2, .version = 3, .run = 4 };
	uint8_t block[512], other[512];
	struct pattern q;

	(void)state;
	pattern_fill(block, sizeof(block), &p);
	assert_null(pattern_check(block, sizeof(block), &p));
	q = p;
	q.lba++;
	assert_string_equal(pattern_check(block, sizeof(block), &q), "the data of another block");
	q = p;
	q.nsid++;
	assert_string_equal(pattern_check(block, sizeof(block), &q),
			    "the data of another namespace");
	q = p;
	q.version++;
	assert_string_equal(pattern_check(block, sizeof(block), &q), "old data");
	q = p;
	q.run ^= UINT64_C(1) << 63;
	assert_string_equal(pattern_check(block, sizeof(block), &q), "old data");
	/* Not in the head only: a part of each is none of both. */
	pattern_fill(other, sizeof(other), &q);
	assert_memory_not_equal(block + 256, other + 256, 256);
	/* Any bit. */
	for (unsigned bit = 0; bit < sizeof(block) * 8; bit++) {
		block[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_non_null(pattern_check(block, sizeof(block), &p));
		block[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	/* The second half of another block, the head of this one. */
	q = p;
	q.lba++;
	pattern_fill(other, sizeof(other), &q);
	memcpy(block + 256, other + 256, 256);
	assert_string_equal(pattern_check(block, sizeof(block), &p), "a wrong checksum");
	memset(block, 0, sizeof(block));
	assert_string_equal(pattern_check(block, sizeof(block), &p), "not written by this program");
}

/* A disk of one place, for a job of one run. */
static uint8_t place[4096], buffer[4096];
static struct request one;

static void verify_start(struct job *job, uint64_t run)
{
	*job = (struct job){ .slots = 1,
			     .blocks = 1,
			     .run = run,
			     .bad = 1000, /* too many to speak of: there is no controller */
			     .info = { .nsid = 1, .block_size = 4096, .unit = 4096 } };
	assert_int_equal(verify_init(job), 0);
	one = (struct request){ .job = job, .buf = buffer };
}

static void verify_end(struct job *job)
{
	free(job->version);
	free(job->known);
	free(job->busy);
}

static void verify_write(struct job *job, uint16_t status, bool lost)
{
	one.write = true;
	assert_true(verify_choose(job, &one));
	verify_prepare(job, &one);
	if (!lost)
		memcpy(place, buffer, sizeof(place));
	verify_done(job, &one, status);
}

/* Blocks that were found wrong. */
static uint64_t verify_read(struct job *job)
{
	uint64_t bad = job->bad, checked = job->checked;

	one.write = false;
	assert_true(verify_choose(job, &one));
	verify_prepare(job, &one);
	memcpy(buffer, place, sizeof(place));
	verify_done(job, &one, 0);
	return job->checked == checked ? UINT64_MAX : job->bad - bad;
}

static void test_verify(void **state)
{
	struct job job;

	(void)state;
	verify_start(&job, 1);
	assert_int_equal(verify_read(&job), UINT64_MAX); /* nobody knows */
	verify_write(&job, 0, false);
	assert_int_equal(verify_read(&job), 0);
	verify_write(&job, 0, true);
	assert_int_equal(verify_read(&job), 1);
	verify_end(&job);
	/* After a failure nobody knows, and what comes then is not what was there at first. */
	verify_start(&job, 1);
	verify_write(&job, 0, false);
	verify_write(&job, PLX_NVME_WRITE_FAULT, true);
	assert_int_equal(verify_read(&job), UINT64_MAX);
	verify_write(&job, 0, true);
	assert_int_equal(verify_read(&job), 1);
	verify_write(&job, 0, false);
	assert_int_equal(verify_read(&job), 0);
	/* One that wasn't sent changes nothing. */
	one.write = true;
	assert_true(verify_choose(&job, &one));
	verify_prepare(&job, &one);
	verify_undo(&job, &one);
	assert_int_equal(verify_read(&job), 0);
	verify_end(&job);
	/* All that the next run writes is lost, and it writes as much as the one before. */
	verify_start(&job, 1);
	verify_write(&job, 0, false);
	verify_end(&job);
	verify_start(&job, 2);
	verify_write(&job, 0, true);
	assert_int_equal(verify_read(&job), 1);
	verify_end(&job);
}

/* However long it takes, there is room: samples get longer, and say the same. */
static void test_samples(void **state)
{
	struct run run = { .sample_ms = 100 };

	(void)state;
	run.sample = calloc(RUN_SAMPLES_MAX, sizeof(*run.sample));
	for (uint64_t tick = 1; tick <= 10 * RUN_SAMPLES_MAX; tick++) {
		if (tick % (run.sample_ms / 100))
			continue;
		run_sample(&run, 7 * tick);
		assert_true(run.samples && run.samples < RUN_SAMPLES_MAX);
		assert_int_equal(run.sample[0], 7 * run.sample_ms / 100);
		assert_int_equal(run.sample[run.samples - 1], 7 * tick);
		assert_int_equal(tick, run.samples * run.sample_ms / 100);
	}
	assert_int_equal(run.sample_ms, 1600);
	free(run.sample);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_defaults, setup),
		cmocka_unit_test_setup(test_options, setup),
		cmocka_unit_test_setup(test_wrong_options, setup),
		cmocka_unit_test_setup(test_wrong_words, setup),
		cmocka_unit_test_setup(test_cores, setup),
		cmocka_unit_test_setup(test_transport, setup),
		cmocka_unit_test_setup(test_numbers, setup),
		cmocka_unit_test_setup(test_buckets, setup),
		cmocka_unit_test_setup(test_huge, setup),
		cmocka_unit_test_setup(test_percentiles, setup),
		cmocka_unit_test_setup(test_pattern, setup),
		cmocka_unit_test_setup(test_verify, setup),
		cmocka_unit_test_setup(test_samples, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
