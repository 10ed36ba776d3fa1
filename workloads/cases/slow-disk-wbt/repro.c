// SPDX-License-Identifier: GPL-2.0-only
/* Many processes use more memory than they may keep, at random places: swap-ins in a second. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROCESSES 16
#define BYTES ((size_t)4 << 20) /* of each */
#define PAGE ((size_t)4096)
#define SECONDS 5

static unsigned long counter(const char *name)
{
	char line[256];
	unsigned long value = 0;
	size_t length = strlen(name);
	FILE *file = fopen("/proc/vmstat", "r");

	if (file == NULL) {
		perror("/proc/vmstat");
		exit(1);
	}
	while (fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, name, length) == 0 && line[length] == ' ')
			value = strtoul(line + length, NULL, 10);
	fclose(file);
	return value;
}

static void use(unsigned int seed, int filled)
{
	char *at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		_exit(1);
	for (size_t i = 0; i < BYTES; i += PAGE)
		at[i] = (char)seed + 1;
	if (write(filled, "", 1) != 1)
		_exit(1);
	for (;;)
		at[(size_t)rand_r(&seed) % (BYTES / PAGE) * PAGE]++;
}

int main(void)
{
	struct timespec time = { .tv_sec = SECONDS };
	pid_t pids[PROCESSES];
	unsigned long in, out;
	int filled[2];
	char byte;

	if (pipe(filled) != 0) {
		perror("pipe");
		return 1;
	}
	for (unsigned int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			use(i + 1, filled[1]);
	}
	for (unsigned int i = 0; i < PROCESSES; i++)
		if (read(filled[0], &byte, 1) != 1)
			return 1;
	in = counter("pswpin");
	out = counter("pswpout");
	nanosleep(&time, NULL);
	in = counter("pswpin") - in;
	out = counter("pswpout") - out;
	for (unsigned int i = 0; i < PROCESSES; i++)
		kill(pids[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	printf("swapins %.1f pages/s\nswapouts %.1f pages/s\n", (double)in / SECONDS,
	       (double)out / SECONDS);
	return 0;
}
