// SPDX-License-Identifier: Apache-2.0
// Every verb of the protocol: each answers its request, now or later, exactly once.
#ifndef SEABUS_VERBS_H
#define SEABUS_VERBS_H

#include "request.h"

void verb_hello(struct request *request);	/* hello.c */
void verb_clock(struct request *request);	/* clock.c */
void verb_leap(struct request *request);
void verb_tick(struct request *request);	/* tick.c */
void verb_exec(struct request *request);	/* exec.c */
void verb_alive(struct request *request);	/* process.c */
void verb_kill(struct request *request);
void verb_threads(struct request *request);
void verb_read(struct request *request);	/* file.c */
void verb_write(struct request *request);
void verb_follow(struct request *request);	/* follow.c */
void verb_stop(struct request *request);
void verb_pagemap(struct request *request);	/* pagemap.c */
void verb_victim(struct request *request);	/* victim_make.c */
void verb_end(struct request *request);		/* victim.c */
void verb_touch(struct request *request);	/* victim_touch.c */
void stop_loop(struct request *request);	/* `stop` of a victim */
void verb_signals(struct request *request);	/* victim_signals.c */

#endif
