// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What probes of executables attach to: a function that is called as often as
 * the argument says, with a static probe in it (the note that DTRACE_PROBE1 of
 * <sys/sdt.h> makes).
 */
#include <stdlib.h>

__attribute__((noinline)) long l3af_target(long value)
{
	__asm__ volatile("990: nop\n"
			 ".pushsection .note.stapsdt, \"\", \"note\"\n"
			 ".balign 4\n"
			 ".4byte 992f-991f, 994f-993f, 3\n"
			 "991: .asciz \"stapsdt\"\n"
			 "992: .balign 4\n"
			 "993: .8byte 990b, _.stapsdt.base, 0\n"
			 ".asciz \"l3af\"\n"
			 ".asciz \"called\"\n"
			 ".asciz \"8@%0\"\n"
			 "994: .balign 4\n"
			 ".popsection\n"
			 ".ifndef _.stapsdt.base\n"
			 ".pushsection .stapsdt.base, \"aG\", \"progbits\", "
			 ".stapsdt.base, comdat\n"
			 ".weak _.stapsdt.base\n"
			 ".hidden _.stapsdt.base\n"
			 "_.stapsdt.base: .space 1\n"
			 ".size _.stapsdt.base, 1\n"
			 ".popsection\n"
			 ".endif\n"
			 :
			 : "r"(value));
	return value + 1;
}

int main(int count, char **arguments)
{
	long calls = count > 1 ? atol(arguments[1]) : 1;

	for (long value = 1; value <= calls; value++)
		if (l3af_target(value) <= 0)
			return 1;
	return 0;
}
