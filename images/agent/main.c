// SPDX-License-Identifier: Apache-2.0
// seabus-agent: does in a guest what the host asks for. See docs/reference/agent-protocol.md.
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "child.h"
#include "disk.h"
#include "loop.h"
#include "relay.h"
#include "victim.h"

/* Started with some of 0, 1 and 2 closed, a pipe might take their place. */
static void fill_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

/* Whether these are options of --stdio; they take effect. */
static bool stdio_options(int count, char **options)
{
	for (int i = 0; i < count; i++) {
		if (!strcmp(options[i], "--may-poison"))
			poison_allow();
		else if (!strcmp(options[i], "--idle") && i + 1 < count && atoi(options[i + 1]) > 0)
			channel_end_when_idle(atoi(options[++i]));
		else
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	fill_standard_descriptors();
	if (argc == 3 && !strcmp(argv[1], "--disk"))
		return disk_begin(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "--connect"))
		return relay(argv[2]);
	children_begin();
	if (argc >= 2 && !strcmp(argv[1], "--stdio") && stdio_options(argc - 2, argv + 2)) {
		channel_use_stdio();
	} else if (argc == 3 && !strcmp(argv[1], "--port")) {
		/* Only a guest that was made to suffer has such a port. */
		poison_allow();
		channel_use_port(argv[2]);
	} else {
		fprintf(stderr,
			"usage: %s --port NAME | --stdio [--may-poison] [--idle SECONDS]"
			" | --connect SOCKET | --disk FOLDER\n", argv[0]);
		return 2;
	}
	loop_run();
}
