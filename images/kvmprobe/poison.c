// SPDX-License-Identifier: Apache-2.0
// Makes a page of a slot bad, for good.
#define _GNU_SOURCE
#include "poison.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "signals.h"
#include "vm.h"

#define HARD_OFFLINE	"/sys/devices/system/memory/hard_offline_page"

static bool choose_kill(const char *name, struct answer *answer)
{
	unsigned long how = PR_MCE_KILL_DEFAULT;

	if (name && !strcmp(name, "early"))
		how = PR_MCE_KILL_EARLY;
	else if (name && !strcmp(name, "late"))
		how = PR_MCE_KILL_LATE;
	else if (name && strcmp(name, "default"))
		return refuse(answer, "kill is early, late or default");
	return !prctl(PR_MCE_KILL, PR_MCE_KILL_SET, how, 0, 0) || system_failed(answer, "PR_MCE_KILL");
}

/* As a memory controller's report would, that no thread is to blame for. */
static bool offline(const char *at, struct answer *answer)
{
	uint64_t physical = memory_physical(at);
	int fd = open(HARD_OFFLINE, O_WRONLY | O_CLOEXEC);
	int length;
	char text[24];
	bool done;

	if (fd < 0)
		return system_failed(answer, HARD_OFFLINE);
	length = snprintf(text, sizeof(text), "0x%lx", (unsigned long)physical);
	done = write(fd, text, length) == length;
	if (!done)
		system_failed(answer, HARD_OFFLINE);
	close(fd);
	return done;
}

bool poison(const struct json_value *request, struct answer *answer)
{
	const char *by = string_of(request, "by");
	size_t page = sysconf(_SC_PAGESIZE);
	uint64_t address, physical;
	unsigned before;
	char *at;

	if (!number_of(request, "address", &address))
		return refuse(answer, "poison needs the guest-physical address of a page");
	at = host_address(address);
	if (!at)
		return refuse(answer, "no slot has that address");
	if (!choose_kill(string_of(request, "kill"), answer))
		return false;
	physical = memory_physical(at);
	before = bus_error_count();
	signals_expected();
	if (by && !strcmp(by, "offline")) {
		if (!offline(at, answer))
			return false;
	} else if (madvise(at, page, MADV_HWPOISON)) {
		return system_failed(answer, "madvise(MADV_HWPOISON)");
	}
	put_hex(&answer->ok, "host", (uintptr_t)at);
	put_hex(&answer->ok, "physical", physical);
	put_array(&answer->ok, "signals");
	for (unsigned i = before; i < bus_error_count(); i++) {
		struct bus_error error = bus_error(i);

		put_bus_error(&answer->ok, NULL, &error);
	}
	put_end(&answer->ok, ']');
	return true;
}
