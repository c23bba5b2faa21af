/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long a cache line takes from one CPU to another and back, in nanoseconds: what two processes
 * that talk through memory can't be faster than. On a virtual machine it changes with where the
 * host runs the CPUs.
 *
 *      line-trip CPU CPU
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TRIPS  20000
#define ROUNDS 15
#define LAST   UINT64_MAX

static volatile uint64_t there __attribute__((aligned(128)));
static volatile uint64_t back __attribute__((aligned(128)));

static void pin(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (!sched_setaffinity(0, sizeof(cpus), &cpus))
		return;
	perror("line-trip");
	exit(1);
}

static void *answer(void *arg)
{
	uint64_t n = 0, next;

	pin(atoi(arg));
	while (n != LAST) {
		while ((next = __atomic_load_n(&there, __ATOMIC_ACQUIRE)) == n)
			;
		n = next;
		__atomic_store_n(&back, n, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void trip(uint64_t n)
{
	__atomic_store_n(&there, n, __ATOMIC_RELEASE);
	while (__atomic_load_n(&back, __ATOMIC_ACQUIRE) != n)
		;
}

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	return *(const double *)a < *(const double *)b ? -1 : 1;
}

int main(int argc, char **argv)
{
	double round[ROUNDS];
	uint64_t n = 0;
	pthread_t other;

	if (argc != 3) {
		fprintf(stderr, "usage: line-trip CPU CPU\n");
		return 2;
	}
	pin(atoi(argv[1]));
	if (pthread_create(&other, NULL, answer, argv[2]))
		return 1;
	for (int i = 0; i < ROUNDS; i++) {
		const double start = now_ns();

		for (int k = 0; k < TRIPS; k++)
			trip(++n);
		round[i] = (now_ns() - start) / TRIPS;
	}
	trip(LAST);
	pthread_join(other, NULL);
	qsort(round, ROUNDS, sizeof(round[0]), by_value);
	printf("%.0f\n", round[ROUNDS / 2]);
	return 0;
}
