// SPDX-License-Identifier: Apache-2.0
#ifndef SEABUS_PROBE_POSSESS_H
#define SEABUS_PROBE_POSSESS_H

#include "answer.h"

/* Puts an abort into the vCPU of another VMM: the thread that runs it is made to write its registers. */
bool possess(const struct json_value *request, struct answer *answer);

#endif
