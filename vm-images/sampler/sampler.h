/* SPDX-License-Identifier: GPL-2.0-only */
/* The sampler: a record, the watched files, the kernel threads, the processes, the PMU. */
#ifndef SAMPLER_H
#define SAMPLER_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>

#include "../../workloads/common/workload.h"

#define WATCH_MAX 768
#define WATCH_PATH_BYTES 224

/*
 * One sample, put together in memory before it is written.  The reserve is kept
 * for "@miss" and "@end" lines: a file that does not fit becomes a miss, and
 * the miss always fits.
 */
struct record {
	char *data;
	size_t size;
	size_t used;
};

#define RECORD_RESERVE ((size_t)(WATCH_MAX + 2) * (WATCH_PATH_BYTES + 32))

void record_line(struct record *record, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void record_miss(struct record *record, const char *path, int error);
/* Room for content, or 0 when only the reserve is left. */
size_t record_room(const struct record *record);
/*
 * Content that the caller has put at record_content() becomes a "@file" entry:
 * the header's length is known only afterwards, so the content moves down.
 */
char *record_content(const struct record *record);
void record_file(struct record *record, const char *path, size_t bytes);

/* Remember a path or glob; mark_only: not in interval samples; anew: opened for each sample. */
void watch_add(const char *pattern, bool mark_only, bool anew);
/* A list: one path a line, '#' comments, "mark: PATH" for marks only, "anew: PATH" for both. */
void watch_load(const char *list_path);
/* Match the globs again: files such as zram's appear while the guest runs. */
void watch_refresh(void);
void watch_sample(struct record *record, bool is_mark);

/* Append the pseudo file "kthreads". */
void kthreads_open(void);
void kthreads_sample(struct record *record);

/* Append the pseudo file "smaps". */
void processes_sample(struct record *record);

/*
 * Append the pseudo file "pmu", if pmu_open() found one on each CPU.  From pmu_pause() to
 * pmu_resume() nothing is counted.
 */
void pmu_open(void);
void pmu_pause(void);
void pmu_resume(void);
void pmu_sample(struct record *record);

/* perf_event_open(2) of one CPU: all that runs there. */
int perf_event(struct perf_event_attr *attr, int cpu, int group);

#endif
