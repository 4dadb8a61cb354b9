// SPDX-License-Identifier: Apache-2.0
// Reads a cell, and writes what came of it.
#include <string.h>

#include "cell.h"
#include "registers.h"

#define ACCESS(name, ...)	#name,
static const char *const accesses[] = {
#include "payload/accesses.h"
};
#undef ACCESS

static const char *const paths[] = { "nothing", "events", "registers", "serror", "both", "relay" };

#define PATH_COUNT	((int)(sizeof(paths) / sizeof(paths[0])))

static bool index_of(const char *name, const char *const *names, int count, int *index)
{
	for (*index = 0; name && *index < count; ++*index)
		if (!strcmp(names[*index], name))
			return true;
	return false;
}

static bool read_sets(const struct json_value *object, struct cell *cell, struct answer *answer)
{
	const struct json_value *v = json_first(object);

	while (v != json_end(object)) {
		const char *name = v->string.bytes;
		uint64_t id = register_id(name);

		if (!id)
			return refuse(answer, "there is no register %s", name);
		if (cell->set_count == SETS_MAX)
			return refuse(answer, "more than %d registers", SETS_MAX);
		v = json_next(v);
		cell->sets[cell->set_count].id = id;
		if (!number_in(v, &cell->sets[cell->set_count++].value))
			return refuse(answer, "%s must be a number", name);
		v = json_next(v);
	}
	return true;
}

bool cell_read(const struct json_value *request, struct cell *cell, struct answer *answer)
{
	const struct json_value *set = json_member(request, "set");
	uint64_t vcpu = 0, regime;
	int path;

	*cell = (struct cell){ 0 };
	if (request->type != JSON_OBJECT)
		return refuse(answer, "a cell is an object");
	number_of(request, "n", &cell->number);
	number_of(request, "vcpu", &vcpu);
	if (vcpu >= (uint64_t)vm.vcpu_count)
		return refuse(answer, "there is no vcpu %lu", (unsigned long)vcpu);
	cell->vcpu = &vm.vcpus[vcpu];
	if (!index_of(string_of(request, "access"), accesses, ACCESS_COUNT, &cell->access))
		return refuse(answer, "there is no access of that name");
	if (!index_of(string_of(request, "path"), paths, PATH_COUNT, &path))
		return refuse(answer, "there is no path of that name");
	cell->path = path;
	if (!number_of(request, "pstate", &cell->pstate) || !number_of(request, "address", &cell->address))
		return refuse(answer, "a cell needs pstate and address");
	if (number_of(request, "regime", &regime)) {
		if (regime >= (uint64_t)vm.regime_count)
			return refuse(answer, "there is no regime %lu", (unsigned long)regime);
		cell->regime = &vm.regimes[regime];
	}
	cell->has_esr = number_of(request, "esr", &cell->abort.esr);
	cell->abort.has_far = number_of(request, "far", &cell->abort.far);
	cell->abort.serror = flag_of(request, "serror_vector");
	cell->before = flag_of(request, "before");
	cell->again = flag_of(request, "again");
	cell->careless = flag_of(request, "careless");
	cell->serial = flag_of(request, "serial");
	cell->keep = flag_of(request, "keep");
	cell->abort.to_el2 = flag_of(request, "to_el2");
	if (cell->abort.to_el2 && !vm.el2)
		return refuse(answer, "the vm has no EL2");
	number_of(request, "sctlr", &cell->sctlr);
	number_of(request, "hcr", &cell->hcr);
	return !set || set->type != JSON_OBJECT || read_sets(set, cell, answer);
}

static void put_exit(struct text *text, const struct exit *exit)
{
	put_object(text, NULL);
	put_signed(text, "reason", exit->reason);
	if (exit->has_mmio || exit->esr || exit->flags)
		put_hex(text, "address", exit->address);
	if (exit->has_mmio)
		put_bool(text, "write", exit->write);
	if (exit->esr || exit->flags) {
		put_hex(text, "esr", exit->esr);
		put_hex(text, "gva", exit->gva);
		put_number(text, "flags", exit->flags);
	}
	if (exit->has_bus_error)
		put_bus_error(text, "sigbus", &exit->bus_error);
	put_end(text, '}');
}

static void put_record(struct text *text, const struct cell *cell, const uint64_t *record)
{
	put_object(text, NULL);
	put_hex(text, "vector", record[RECORD_VECTOR / 8]);
	put_hex(text, "esr", record[RECORD_ESR / 8]);
	put_hex(text, "far", record[RECORD_FAR / 8]);
	put_hex(text, "elr", record[RECORD_ELR / 8]);
	put_hex(text, "spsr", record[RECORD_SPSR / 8]);
	put_hex(text, "pstate", record[RECORD_PSTATE / 8]);
	put_hex(text, "disr", record[RECORD_DISR / 8]);
	put_hex(text, "isr", record[RECORD_ISR / 8]);
	put_object(text, "changed");
	for (int i = 0; i < 31; i++) {
		uint64_t value = record[RECORD_X / 8 + i];
		const char name[] = { 'x', i < 10 ? '0' + i : '0' + i / 10, i < 10 ? 0 : '0' + i % 10, 0 };

		if (value != cell->expected[i])
			put_hex(text, name, value);
	}
	put_end(text, '}');
	put_end(text, '}');
}

void put_cell(struct text *text, const struct cell *cell)
{
	put_object(text, NULL);
	put_number(text, "n", cell->number);
	put_number(text, "taken", cell->records);
	put_array(text, "exits");
	for (int i = 0; i < cell->exit_count; i++)
		put_exit(text, &cell->exits[i]);
	put_end(text, ']');
	put_array(text, "records");
	for (uint64_t i = 0; i < cell->records && i < RECORDS_MAX; i++)
		put_record(text, cell, cell->record[i]);
	put_end(text, ']');
	if (cell->serial)
		put_string(text, "serial", cell->serial_text);
	if (cell->pending)
		put_bool(text, "pending", true);
	if (cell->failed) {
		put_string(text, "failed", cell->failed);
		put_number(text, "errno", cell->error);
	}
	if (cell->stuck)
		put_bool(text, "stuck", true);
	if (cell->state.length) {
		put_object(text, "state");
		put_end(text, '}');
		/* The registers were written as members: they go between the braces. */
		text->length--;
		text_add(text, cell->state.bytes, cell->state.length);
		put_end(text, '}');
	}
	put_end(text, '}');
}
