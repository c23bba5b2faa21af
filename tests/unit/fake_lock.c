/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counts mutexes that are held. Programs linked with
 * -Wl,--wrap=pthread_mutex_lock,--wrap=pthread_mutex_trylock,--wrap=pthread_mutex_unlock have it;
 * there one that stays locked is found by fake_leaks().
 */
#include <pthread.h>
#include <stdatomic.h>

#include "fake_kernel.h"

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);

static atomic_int held;

int fake_locks_held(void)
{
	return held;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	int ret = __real_pthread_mutex_lock(mutex);

	held += !ret;
	return ret;
}

int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex)
{
	int ret = __real_pthread_mutex_trylock(mutex);

	held += !ret;
	return ret;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	int ret = __real_pthread_mutex_unlock(mutex);

	held -= !ret;
	return ret;
}
