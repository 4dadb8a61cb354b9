// SPDX-License-Identifier: Apache-2.0
// Standard input and output as one end of a unix socket.
#ifndef SEABUS_RELAY_H
#define SEABUS_RELAY_H

/* Copies both ways until either side closes: 0 then, 1 if nobody listens at the path. */
int relay(const char *path);

#endif
