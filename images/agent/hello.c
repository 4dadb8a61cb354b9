// SPDX-License-Identifier: Apache-2.0
// Says who and where the agent is, remembers which clone it is, and reseeds the kernel's pool.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "clock.h"
#include "cpus.h"
#include "verbs.h"

#ifndef RNDRESEEDCRNG
#define RNDRESEEDCRNG	_IO('R', 0x07)
#endif

enum {
	NONCE_MAX = 64,
	SEED_MAX = 64,
};

static char nonce[NONCE_MAX + 1];
static bool has_nonce;

/*
 * Clones of one snapshot would otherwise draw the same random numbers. Mixing
 * in alone is not enough: the generator in use must be made to take it up.
 */
static bool reseed(struct bytes seed)
{
	struct {
		struct rand_pool_info info;
		char data[SEED_MAX];
	} pool = { .info = { .entropy_count = seed.length * 8, .buf_size = seed.length } };
	int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
	bool done;

	if (fd < 0)
		return false;
	if (seed.length)
		memcpy(pool.data, seed.data, seed.length);
	done = !ioctl(fd, RNDADDENTROPY, &pool) && !ioctl(fd, RNDRESEEDCRNG);
	close(fd);
	return done;
}

static void put_boot_id(struct text *line)
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
	char boot_id[64] = "";

	if (file && fgets(boot_id, sizeof(boot_id), file))
		boot_id[strcspn(boot_id, "\n")] = '\0';
	if (file)
		fclose(file);
	put_string(line, "boot_id", boot_id);
}

void verb_hello(struct request *request)
{
	const char *new_nonce = may_string(request, "nonce");
	bool seeded = may_value(request, "seed");
	struct bytes seed = may_bytes(request, "seed");
	struct utsname system;
	struct text line;
	cpu_set_t online;

	if (new_nonce && strlen(new_nonce) > NONCE_MAX)
		request_wrong(request, "nonce", "at most 64 bytes long");
	if (seed.length > SEED_MAX)
		request_wrong(request, "seed", "at most 64 bytes long");
	if (!request_valid(request))
		return;
	if (new_nonce) {
		strcpy(nonce, new_nonce);
		has_nonce = true;
	}
	uname(&system);
	cpus_online(&online);
	line = reply_begin(request->ticket);
	put_string(&line, "agent", "seabus");
	put_number(&line, "protocol", 1);
	put_boot_id(&line);
	put_string(&line, "kernel", system.release);
	put_number(&line, "cpus", CPU_COUNT(&online));
	put_number(&line, "page_size", sysconf(_SC_PAGESIZE));
	if (has_nonce)
		put_string(&line, "nonce", nonce);
	else
		put_null(&line, "nonce");
	put_signed(&line, "pid", getpid());
	put_clock(&line);
	put_bool(&line, "reseeded", seeded && reseed(seed));
	reply_send(request->ticket, &line);
}
