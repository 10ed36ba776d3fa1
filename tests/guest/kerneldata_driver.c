// SPDX-License-Identifier: GPL-2.0-only
/*
 * Asks vm-images/plugins/kerneldata.c about a guest whose memory is a file.
 *
 *     kerneldata_driver MEMORY LINES
 *
 * LINES has kernel_data_line()'s lines.  For each address on stdin it prints the word and the
 * offset, hexadecimal.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../vm-images/plugins/kerneldata.h"

int main(int argc, char **argv)
{
	FILE *lines = argc == 3 ? fopen(argv[2], "re") : NULL;
	int memory = argc == 3 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	char line[128], word[DATA_WORD];
	struct stat facts;
	uint64_t address;
	void *ram;

	if (lines == NULL || memory < 0 || fstat(memory, &facts) != 0)
		return 2;
	/* Nothing behind it: what reads there is killed. */
	ram = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_PRIVATE, memory, 0);
	if (ram == MAP_FAILED)
		return 2;
	while (fgets(line, sizeof(line), lines) != NULL)
		if (!kernel_data_line(line))
			return 3;
	kernel_data_ram((uintptr_t)ram);
	while (scanf("%" SCNx64, &address) == 1) {
		struct kernel_data data = kernel_data_of(address);

		kernel_data_word(&data, word);
		printf("%s %" PRIx64 "\n", word, data.offset);
	}
	return 0;
}
