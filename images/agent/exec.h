// SPDX-License-Identifier: Apache-2.0
// What became of detached commands.
#ifndef SEABUS_EXEC_H
#define SEABUS_EXEC_H

#include <stdbool.h>
#include <sys/types.h>

/* Whether this was a detached command that has ended (of the last 64), and how. */
bool detached_ended(pid_t pid, int *status);

#endif
