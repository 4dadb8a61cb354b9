// SPDX-License-Identifier: Apache-2.0
// The arguments of `touch`.
#include <string.h>

#include "victim.h"

enum { CPU_MAX = 1023 };

static bool is_size(const struct op_shape *shape, uint64_t size)
{
	if (shape->sizes & OP_ANY_SIZE)
		return size <= OP_BULK_MAX;
	return !(size & (size - 1)) && size <= 16 && shape->sizes & 1U << __builtin_ctzll(size);
}

static uint32_t take_size(struct request *request, const struct op_shape *shape)
{
	uint64_t size;

	if (shape->sizes == OP_PAGES)	/* known once the victim is */
		return may_number(request, "size", 1, 1ULL << 30, 0);
	size = shape->usual_size ?
		       may_number(request, "size", 1, OP_BULK_MAX, shape->usual_size) :
		       need_number(request, "size", 1, OP_BULK_MAX);
	if (!is_size(shape, size))
		request_wrong(request, "size", "one that this op has");
	return size;
}

static void take_value(struct request *request, const struct op_shape *shape,
		       struct touch_order *order)
{
	if (shape->effect != EFFECT_STORE && shape->effect != EFFECT_ADD &&
	    shape->effect != EFFECT_FEED)
		return;
	if (shape->effect == EFFECT_STORE || may_value(request, "value"))
		need_wide_hex(request, "value", order->value);
	else
		order->value[0] = 1;
	if ((order->size < 8 && shape->effect != EFFECT_FEED &&
	     order->value[0] >> order->size % 8 * 8) ||
	    (order->size != 16 && order->value[1]))
		request_wrong(request, "value", "no larger than its size");
}

static void take_path(struct request *request, const struct op_shape *shape,
		      struct touch_order *order)
{
	const char *path = NULL;

	if (shape->needs & NEED_PATH)
		path = need_string(request, "path");
	else if (shape->needs & MAY_PATH)
		path = may_string(request, "path");
	if (!path)
		return;
	if (!*path || strlen(path) >= VICTIM_PATH_MAX)
		request_wrong(request, "path", "of 1 to 255 bytes");
	else
		strcpy(order->path, path);
}

static void take_choice(struct request *request, const struct op_shape *shape,
			struct touch_order *order)
{
	if (shape->needs & NEED_ADVICE) {
		order->advice = advice_find(need_string(request, "advice"));
		if (order->advice < 0)
			request_wrong(request, "advice", "one that madvise takes");
	}
	if (shape->needs & NEED_POLICY) {
		order->advice = policy_find(need_string(request, "policy"));
		if (order->advice < 0)
			request_wrong(request, "policy", "\"early\", \"late\" or \"default\"");
	}
}

const struct op_shape *order_from_request(struct request *request, struct touch_order *order)
{
	const struct op_shape *shape = op_find(need_string(request, "op"));
	uint64_t cpu = may_number(request, "cpu", 0, CPU_MAX, CPU_MAX + 1);

	if (!shape) {
		request_wrong(request, "op",
			      "one of those that docs/reference/agent-protocol.md lists");
		shape = op_shape(OP_READ);
	}
	order->op = shape->op;
	order->cpu = cpu > CPU_MAX ? -1 : (int32_t)cpu;
	order->size = take_size(request, shape);
	order->offset = shape->sizes == OP_PAGES ?
				may_number(request, "offset", 0, INT64_MAX, 0) :
				need_number(request, "offset", 0, INT64_MAX);
	order->loop = may_bool(request, "loop", false);
	if (order->loop && !op_is_access(order->op))
		request_wrong(request, "loop", "of an access at EL0");
	take_value(request, shape, order);
	take_path(request, shape, order);
	take_choice(request, shape, order);
	return shape;
}
