// SPDX-License-Identifier: Apache-2.0
#ifndef SEABUS_PROBE_POISON_H
#define SEABUS_PROBE_POISON_H

#include "answer.h"

/* Poisons a page of a slot, and tells which signals came of that alone. */
bool poison(const struct json_value *request, struct answer *answer);

#endif
