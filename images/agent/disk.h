// SPDX-License-Identifier: Apache-2.0
// A file system with a disk behind it, where an initramfs has none.
#ifndef SEABUS_DISK_H
#define SEABUS_DISK_H

/* Mounts it and returns 0, leaving a process behind that serves it; 1 if it cannot. */
int disk_begin(const char *folder);

#endif
