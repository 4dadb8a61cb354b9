// SPDX-License-Identifier: Apache-2.0
// Streams of a file's new contents.
#ifndef SEABUS_FOLLOW_H
#define SEABUS_FOLLOW_H

/* At a hang-up: nobody is left to stop them, or to make sense of them. */
void follow_end_session(void);

#endif
