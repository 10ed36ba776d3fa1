// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keep the books of locks as told, one event a line of standard input:
 *
 *     take OBJECT SITE FAMILY SHARED NOW     free OBJECT FAMILY SHARED NOW
 *     try OBJECT SITE FAMILY SHARED NOW      wait      downgrade OBJECT SITE NOW
 *     open CHANNEL NOW    close CHANNEL NOW    clear CHANNEL    report CHANNEL MOST
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../../vm-images/plugins/lockmodel.h"

static void write_line(void *context, const char *line)
{
	fprintf(context, "%s\n", line);
}

int main(void)
{
	struct lock_books books;
	uint64_t object, site, now;
	unsigned int family, shared, channel, most;
	char line[256];

	if (!lock_books_init(&books))
		return 3;
	while (fgets(line, sizeof(line), stdin) != NULL) {
		bool try = line[1] == 'r';

		if (sscanf(line, try ? "try %" SCNu64 " %" SCNu64 " %u %u %" SCNu64 :
				       "take %" SCNu64 " %" SCNu64 " %u %u %" SCNu64,
			   &object, &site, &family, &shared, &now) == 5) {
			struct lock_kind kind = { (enum lock_family)family, shared != 0 };

			if (!try || lock_free_for(&books, object, kind))
				lock_acquired(&books, object, site, kind, now);
		} else if (sscanf(line, "free %" SCNu64 " %u %u %" SCNu64, &object, &family,
				  &shared, &now) == 4) {
			lock_released(&books, object,
				      (struct lock_kind){ (enum lock_family)family, shared != 0 },
				      now);
		} else if (sscanf(line, "downgrade %" SCNu64 " %" SCNu64 " %" SCNu64, &object,
				  &site, &now) == 3) {
			lock_downgraded(&books, object, site, now);
		} else if (strcmp(line, "wait\n") == 0) {
			lock_waits(&books);
		} else if (sscanf(line, "open %u %" SCNu64, &channel, &now) == 2) {
			lock_channel_open(&books, channel, now);
		} else if (sscanf(line, "close %u %" SCNu64, &channel, &now) == 2) {
			lock_channel_close(&books, channel, now);
		} else if (sscanf(line, "clear %u", &channel) == 1) {
			lock_channel_clear(&books, channel);
		} else if (sscanf(line, "report %u %u", &channel, &most) == 2) {
			if (!lock_channel_report(&books, channel, most, write_line, stdout))
				return 3;
		} else {
			return 2;
		}
	}
	lock_books_free(&books);
	return 0;
}
