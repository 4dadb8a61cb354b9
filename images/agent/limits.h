// SPDX-License-Identifier: Apache-2.0
// The protocol's limits.
#ifndef SEABUS_LIMITS_H
#define SEABUS_LIMITS_H

enum {
	LIMIT_VICTIMS = 64,
	LIMIT_THREADS = 8,		/* of each victim */
	LIMIT_VICTIM_MEMORY = 2047 << 20,	/* bytes, of all of them */
	LIMIT_STREAMS = 16,
	LIMIT_COMMANDS = 64,
	LIMIT_ALARMS = 1024,		/* of all ticks: one a CPU */
	LIMIT_REQUEST = 1 << 20,	/* bytes a line, without its '\n' */
	LIMIT_OUTPUT = 1 << 20,		/* bytes kept of each output of a command */
	LIMIT_READ = 256 << 10,
	LIMIT_CHUNK = 64 << 10,		/* bytes in one stream message */
};

#endif
