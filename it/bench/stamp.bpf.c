// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Appends its number to the list that a packet carries of those it met. */
#include "stage.h"
#include "list.h"

#ifndef VERSION
#define VERSION 1
#endif

const volatile __u8 number = 0;
const volatile __u8 version = VERSION;

SEC("xdp")
int stamp(struct xdp_md *context)
{
	void *end = (void *)(long)context->data_end;
	struct list *list = list_of(context);
	__u8 *place;

	if (!list)
		return XDP_PASS;
	place = &list->numbers[list->length & (LIST_LENGTH - 1)];
	if ((void *)(place + 1) > end)
		return XDP_PASS;
	*place = number;
	list->length++;
	return XDP_PASS;
}
