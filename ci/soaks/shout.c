// SPDX-License-Identifier: Apache-2.0
// shout PID DESCRIPTOR BYTES: writes noise into a file that another process holds open, as if that had written it.
//
// L2's UART is emulated twice and passes 0.3 kB/s. What it leads to is a port of L1 that only one process may
// open, the VMM; so its descriptor is taken over (pidfd_getfd), and the channel filled as fast as it takes it.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// Colours, a title, a bell, a wrong line end, a Debian that says PASS, and bytes that are no UTF-8.
static const char noise[] = "\033[31mkernel: PASS \033]0;title\007\r\n\377\376\300##[error]\033[2J";

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	int process = syscall(SYS_pidfd_open, atoi(argv[1]), 0);
	int wire = syscall(SYS_pidfd_getfd, process, atoi(argv[2]), 0);
	if (wire < 0) {
		perror("pidfd_getfd");
		return 1;
	}
	static char block[1 << 14];
	for (size_t at = 0; at < sizeof(block); at++)
		block[at] = noise[at % (sizeof(noise) - 1)];
	for (long left = atol(argv[3]); left > 0;) {
		ssize_t sent = write(wire, block, left < (long)sizeof(block) ? (size_t)left : sizeof(block));
		if (sent > 0) {
			left -= sent;
		} else if (errno == EAGAIN) {
			struct pollfd room = {.fd = wire, .events = POLLOUT};
			poll(&room, 1, 1000);
		} else if (errno != EINTR) {
			perror("write");
			return 1;
		}
	}
	return 0;
}
