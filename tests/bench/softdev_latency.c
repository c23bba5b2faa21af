/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * softdev-latency NAME: how long a read of a register takes that a device answers itself, such as
 * STATUS of an 82574 at user:PATH. Prints one JSON object.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/vfio.h>
#include <pollux/vfio.h>

#define READS  20000
#define STATUS 8

static double times[READS];

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int measure(struct plx_vfio_dev *dev)
{
	for (unsigned i = 0; i < READS; i++) {
		const double start = now_us();
		uint32_t value;

		if (plx_vfio_read(dev, VFIO_PCI_BAR0_REGION_INDEX, STATUS, &value, sizeof(value)))
			return 1;
		times[i] = now_us() - start;
	}
	qsort(times, READS, sizeof(*times), compare);
	printf("{\"reads\": %u, \"median_us\": %.2f, \"best_us\": %.2f, \"p99_us\": %.2f}\n", READS,
	       times[READS / 2], times[0], times[READS / 100 * 99]);
	return 0;
}

int main(int argc, char **argv)
{
	struct plx_vfio_opts opts = PLX_VFIO_OPTS_INIT;
	struct plx_policy policy = { .addr = PLX_ADDR_VA };
	struct plx_vfio_dev *dev;
	struct plx_ioas *ioas;
	int failed;

	if (argc != 2) {
		fprintf(stderr, "usage: softdev-latency NAME\n");
		return 2;
	}
	if (plx_ioas_create(&policy, &ioas))
		return 1;
	failed = plx_vfio_open(ioas, argv[1], &opts, &dev, NULL) != 0;
	if (!failed) {
		failed = measure(dev);
		plx_vfio_close(dev);
	}
	plx_ioas_destroy(ioas);
	return failed;
}
