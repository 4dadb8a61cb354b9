// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "crew.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

struct member {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool started;
	struct cell *cell;	/* NULL: nothing to do, or done */
	atomic_bool kicked;
};

static struct member crew[VCPUS_MAX];

static void *serve(void *argument)
{
	struct member *member = argument;
	char name[16];

	/* As a VMM's threads are called, for whoever reads a trace. */
	snprintf(name, sizeof(name), "CPU %d/KVM", (int)(member - crew));
	pthread_setname_np(pthread_self(), name);
	signals_of_vcpu();
	pthread_mutex_lock(&member->lock);
	for (;;) {
		while (!member->cell)
			pthread_cond_wait(&member->changed, &member->lock);
		pthread_mutex_unlock(&member->lock);
		cell_run(member->cell, &member->kicked);
		pthread_mutex_lock(&member->lock);
		member->cell = NULL;
		pthread_cond_signal(&member->changed);
	}
	return NULL;
}

static void start(struct member *member)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&member->changed, &monotonic);
	pthread_mutex_init(&member->lock, NULL);
	member->started = !pthread_create(&member->thread, NULL, serve, member);
}

static struct timespec after(unsigned ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000L;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000L;
	}
	return t;
}

void crew_run(struct cell *cell, unsigned within_ms)
{
	struct member *member = &crew[cell->vcpu->index];
	struct timespec deadline = after(within_ms);

	if (!member->started)
		start(member);
	pthread_mutex_lock(&member->lock);
	atomic_store(&member->kicked, false);
	member->cell = cell;
	pthread_cond_signal(&member->changed);
	while (member->cell) {
		if (!pthread_cond_timedwait(&member->changed, &member->lock, &deadline))
			continue;
		/* Kicked again until it has ended: a kick just before KVM_RUN is lost. */
		atomic_store(&member->kicked, true);
		cell->vcpu->run->immediate_exit = 1;
		pthread_kill(member->thread, KICK);
		deadline = after(10);
	}
	pthread_mutex_unlock(&member->lock);
}
