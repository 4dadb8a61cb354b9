// SPDX-License-Identifier: Apache-2.0
// KVM serves a vCPU to the process that made it only, so that process is made to ask: ptrace(2) stops
// the thread between two runs of the guest, and has it make system calls of ours.
#define _GNU_SOURCE
#include "possess.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "entry.h"
#include "layout.h"
#include "registers.h"
#include "uapi.h"

enum {
	TRIES = 400,
	STEADY = 2,		/* times in a row that one process must be found there */
	BELOW_STACK = 4096,	/* where nobody's data are */
	MODE_MASK = 0xdf,	/* M, I and F: with both open it is not in an interrupt */
};

#define SVC		0xd4000001U

static struct {
	pid_t thread;
	struct user_regs_struct saved;
} possessed;

static bool get_registers(struct user_regs_struct *registers)
{
	struct iovec iov = { registers, sizeof(*registers) };

	return !ptrace(PTRACE_GETREGSET, possessed.thread, NT_PRSTATUS, &iov);
}

static bool set_registers(struct user_regs_struct *registers)
{
	struct iovec iov = { registers, sizeof(*registers) };

	return !ptrace(PTRACE_SETREGSET, possessed.thread, NT_PRSTATUS, &iov);
}

static bool copy(bool out, uint64_t there, void *here, size_t length)
{
	struct iovec local = { here, length }, remote = { (void *)there, length };
	ssize_t done = out ? process_vm_writev(possessed.thread, &local, 1, &remote, 1, 0) :
			     process_vm_readv(possessed.thread, &local, 1, &remote, 1, 0);

	return done == (ssize_t)length;
}

/* One step over the SVC that KVM_RUN was called by. */
static int call(uint64_t number, uint64_t a, uint64_t b, uint64_t c)
{
	struct user_regs_struct registers = possessed.saved;
	int status;

	registers.pc -= sizeof(SVC);
	registers.regs[8] = number;
	registers.regs[0] = a;
	registers.regs[1] = b;
	registers.regs[2] = c;
	if (!set_registers(&registers) || ptrace(PTRACE_SINGLESTEP, possessed.thread, 0, 0))
		return -1;
	if (waitpid(possessed.thread, &status, __WALL) < 0 || !WIFSTOPPED(status) || !get_registers(&registers))
		return -1;
	if ((int64_t)registers.regs[0] >= 0)
		return registers.regs[0];
	errno = -(int64_t)registers.regs[0];
	return -1;
}

static int access_by_thread(int vcpu, unsigned long request, uint64_t id, uint64_t *value)
{
	struct {
		struct kvm_one_reg reg;
		uint64_t value;
	} there;
	uint64_t at = (possessed.saved.sp - BELOW_STACK) & ~15ULL;
	int result;

	there.reg.id = id;
	there.reg.addr = at + sizeof(there.reg);
	there.value = *value;
	if (!copy(true, at, &there, sizeof(there)))
		return -1;
	result = call(SYS_ioctl, vcpu, request, at);
	if (!result && !copy(false, at + sizeof(there.reg), value, sizeof(*value)))
		return -1;
	return result;
}

static int find_vcpu(pid_t pid, unsigned index)
{
	char path[64], wanted[64], link[64];
	struct dirent *entry;
	int found = -1;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	snprintf(wanted, sizeof(wanted), "anon_inode:kvm-vcpu:%u", index);
	folder = opendir(path);
	while (folder && found < 0 && (entry = readdir(folder))) {
		ssize_t length = readlinkat(dirfd(folder), entry->d_name, link, sizeof(link) - 1);

		if (length > 0 && (link[length] = '\0', !strcmp(link, wanted)))
			found = atoi(entry->d_name);
	}
	if (folder)
		closedir(folder);
	return found;
}

/* Whether KVM_RUN has just come back for us: then the vCPU has nothing half done. */
static bool stopped_in_run(void)
{
	uint32_t instruction = 0;

	return get_registers(&possessed.saved) && possessed.saved.regs[8] == SYS_ioctl &&
	       possessed.saved.regs[1] == KVM_RUN && (int64_t)possessed.saved.regs[0] == -EINTR &&
	       copy(false, possessed.saved.pc - sizeof(SVC), &instruction, sizeof(instruction)) &&
	       instruction == SVC;
}

static bool stop(void)
{
	int status;

	return !ptrace(PTRACE_INTERRUPT, possessed.thread, 0, 0) &&
	       waitpid(possessed.thread, &status, __WALL) == possessed.thread && WIFSTOPPED(status);
}

struct place {
	uint64_t mode;
	uint64_t tables;	/* TTBR0_EL1: which process it is */
	uint64_t pc;
	uint64_t pstate;
	int times;		/* in a row */
};

static bool look(int vcpu, struct place *place)
{
	uint64_t tables;

	if (register_get(vcpu, REG_PSTATE, &place->pstate))
		return false;
	if ((place->pstate & MODE_MASK) != place->mode) {
		place->times = 0;
		return true;
	}
	if (register_get(vcpu, REG_PC, &place->pc) || register_get(vcpu, REG_TTBR0_EL1, &tables))
		return false;
	place->times = tables == place->tables ? place->times + 1 : 1;
	place->tables = tables;
	return true;
}

/* 1: the abort is in, 0: the guest is not where it is wanted, -1: errno. */
static int attempt(int vcpu, struct place *place, unsigned features, const struct abort *abort)
{
	int result = 0;

	if (!stop())
		return -1;
	if (stopped_in_run()) {
		if (!look(vcpu, place))
			result = -1;
		else if (place->times == STEADY)
			result = entry_take(vcpu, features, abort) ? -1 : 1;
		if (!set_registers(&possessed.saved))
			result = -1;
	}
	if (ptrace(PTRACE_CONT, possessed.thread, 0, 0))
		result = -1;
	return result;
}

bool possess(const struct json_value *request, struct answer *answer)
{
	struct timespec pause = { .tv_nsec = 8000000 };
	struct abort abort = { 0 };
	uint64_t pid, tid, index = 0, features = 0;
	struct place place = { 0 };
	int result = 0, tries = 0, vcpu;

	if (!number_of(request, "pid", &pid) || !number_of(request, "tid", &tid) ||
	    !number_of(request, "esr", &abort.esr))
		return refuse(answer, "possess needs pid, tid and esr");
	abort.has_far = number_of(request, "far", &abort.far);
	abort.serror = flag_of(request, "serror_vector");
	number_of(request, "vcpu", &index);
	number_of(request, "mode", &place.mode);
	number_of(request, "features", &features);
	vcpu = find_vcpu(pid, index);
	if (vcpu < 0)
		return refuse(answer, "process %d has no vcpu %d", (int)pid, (int)index);
	possessed.thread = tid;
	if (ptrace(PTRACE_SEIZE, possessed.thread, 0, 0))
		return system_failed(answer, "PTRACE_SEIZE %d", (int)tid);
	register_access = access_by_thread;
	for (; !result && tries < TRIES; tries++) {
		nanosleep(&pause, NULL);
		result = attempt(vcpu, &place, features, &abort);
	}
	if (result < 0)
		system_failed(answer, "possessing thread %d", (int)tid);
	if (stop())
		ptrace(PTRACE_DETACH, possessed.thread, 0, 0);
	if (result < 0)
		return false;
	if (!result)
		return refuse(answer, "the guest was never found in mode %#x", (unsigned)place.mode);
	put_hex(&answer->ok, "pc", place.pc);
	put_hex(&answer->ok, "pstate", place.pstate);
	put_number(&answer->ok, "tries", tries);
	return true;
}
