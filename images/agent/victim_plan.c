// SPDX-License-Identifier: Apache-2.0
// What kinds of victims there are, and what can be asked of each.
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "limits.h"
#include "victim.h"

enum {
	CPU_MAX = 1023,
	SMALL_PAGES_MAX = 4096,
	HUGE = 2 << 20,
	ANY = -1,		/* may be chosen; else 0 or 1 */
};

#define LENGTH_MAX	(1ULL << 30)

static const struct kind {
	const char *name;
	enum source source;
	enum fill fill;
	uint64_t page_size;	/* 0: the system's, 1: may be chosen, 2 MiB by itself */
	int shared, shared_by_itself;
	bool writable, executable, huge, has_path, has_dirty;
} kinds[] = {
	{ "anon", SOURCE_ANONYMOUS, FILL_PATTERN, 0, 0, 0, .writable = true },
	{ "thp", SOURCE_ANONYMOUS, FILL_PATTERN, HUGE, 0, 0, .writable = true, .huge = true },
	{ "hugetlb", SOURCE_HUGETLB, FILL_PATTERN, 1, ANY, 0, .writable = true },
	{ "shmem", SOURCE_ANONYMOUS, FILL_PATTERN, 0, 1, 1, .writable = true },
	{ "memfd", SOURCE_MEMFD, FILL_PATTERN, 1, ANY, 1, .writable = true },
	{ "file", SOURCE_FILE, FILL_PATTERN, 0, ANY, 1, .writable = true, .has_path = true,
	  .has_dirty = true },
	{ "zero", SOURCE_ANONYMOUS, FILL_ZERO, 0, 0, 0, .writable = true },
	{ "code", SOURCE_ANONYMOUS, FILL_CODE, 0, 0, 0, .executable = true },
	{ "code-file", SOURCE_FILE, FILL_CODE, 0, ANY, 0, .executable = true, .has_path = true },
	{ "physical", SOURCE_PHYSICAL, FILL_UNKNOWN, 0, 1, 1, .writable = true },
	{ "beyond-eof", SOURCE_BEYOND_EOF, FILL_UNKNOWN, 0, 1, 1, .writable = true },
};

static const struct kind *find_kind(struct request *request)
{
	const char *name = need_string(request, "kind");

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(name, kinds[i].name))
			return &kinds[i];
	request_wrong(request, "kind", "one of those that docs/reference/agent-protocol.md lists");
	return &kinds[0];
}

static uint64_t take_page_size(struct request *request, const struct kind *kind)
{
	uint64_t own = sysconf(_SC_PAGESIZE), size;

	if (kind->page_size != 1)
		return kind->page_size ? kind->page_size : own;
	size = may_number(request, "page_size", own, LENGTH_MAX,
			  kind->source == SOURCE_HUGETLB ? HUGE : own);
	if (size & (size - 1))
		request_wrong(request, "page_size", "a power of two");
	return size;
}

static void take_path(struct request *request, char *to)
{
	const char *path = may_string(request, "path");

	if (!path)
		return;
	if (!*path || strlen(path) >= VICTIM_PATH_MAX)
		request_wrong(request, "path", "of 1 to 255 bytes");
	else
		strcpy(to, path);
}

static void take_memory(struct request *request, const struct kind *kind,
			struct memory_plan *memory)
{
	uint64_t own = sysconf(_SC_PAGESIZE), most, pages;

	memory->source = kind->source;
	memory->fill = kind->fill;
	memory->page_size = take_page_size(request, kind);
	most = memory->page_size > own ? LENGTH_MAX / memory->page_size : SMALL_PAGES_MAX;
	pages = need_number(request, "pages", 1, most);
	memory->length = pages * memory->page_size;
	memory->shared = kind->shared == ANY ?
				 may_bool(request, "shared", kind->shared_by_itself) :
				 kind->shared;
	memory->executable = kind->executable;
	memory->huge = kind->huge;
	memory->writable = may_bool(request, "writable", kind->writable);
	memory->locked = may_bool(request, "locked", false);
	if (kind->has_dirty)
		memory->dirty = may_bool(request, "dirty", false);
	if (memory->dirty && !memory->shared)
		request_wrong(request, "dirty", "of a shared file");
	if (memory->executable && memory->writable && memory->shared)
		request_wrong(request, "writable", "false for shared code");
	if (kind->has_path)
		take_path(request, memory->path);
	if (kind->source == SOURCE_PHYSICAL) {
		memory->physical = need_hex(request, "physical");
		if (memory->physical % own || memory->physical > INT64_MAX)
			request_wrong(request, "physical", "the address of a page");
	}
}

static enum disposition take_disposition(struct request *request)
{
	static const char *const names[] = { "handle", "default", "ignore", "block" };
	const char *name = may_string(request, "disposition");

	if (!name)
		return DISPOSITION_HANDLE;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i]))
			return (enum disposition)i;
	request_wrong(request, "disposition", "\"handle\", \"default\", \"ignore\" or \"block\"");
	return DISPOSITION_HANDLE;
}

static int32_t take_policy(struct request *request)
{
	const char *name = may_string(request, "mce_kill");
	int32_t policy = name ? policy_find(name) : -1;

	if (name && policy < 0)
		request_wrong(request, "mce_kill", "\"early\", \"late\" or \"default\"");
	return policy;
}

static void take_process(struct request *request, struct victim_plan *plan)
{
	plan->threads = may_number(request, "threads", 1, LIMIT_THREADS, 1);
	plan->cpu = (int32_t)may_number(request, "cpu", 0, CPU_MAX, CPU_MAX + 1);
	if (plan->cpu > CPU_MAX)
		plan->cpu = -1;
	plan->disposition = take_disposition(request);
	plan->mce_kill = take_policy(request);
}

bool plan_from_request(struct request *request, struct victim_plan *plan)
{
	const struct kind *kind = find_kind(request);

	*plan = (struct victim_plan){ 0 };
	take_memory(request, kind, &plan->memory);
	take_process(request, plan);
	return request_valid(request);
}

bool partner_plan_from_request(struct request *request, struct victim_plan *plan)
{
	*plan = (struct victim_plan){ 0 };
	take_process(request, plan);
	return request_valid(request);
}
