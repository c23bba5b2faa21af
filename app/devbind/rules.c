/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include <pollux/facts.h>

#include "files.h"
#include "rules.h"

#define FOLDER "/etc/udev/rules.d"
#define MARK   "-plx-devbind-"
#define END    ".rules"

void rule_path(char path[RULE_PATH_LEN], enum rule rule, const char *bdf)
{
	snprintf(path, RULE_PATH_LEN, FOLDER "/%d" MARK "%.16s" END, rule, bdf);
}

int rule_remove(enum rule rule, const char *bdf)
{
	char path[RULE_PATH_LEN];

	rule_path(path, rule, bdf);
	return file_remove(path);
}

/* "10-plx-devbind-0000:01:00.0.rules" */
static int add_rule(void *ctx, const char *name)
{
	const char *at = strstr(name, MARK);
	char bdf[PLX_BDF_LEN];
	size_t len;

	if (!at)
		return 0;
	at += strlen(MARK);
	len = strlen(at);
	if (len <= strlen(END) || strcmp(at + len - strlen(END), END) ||
	    len - strlen(END) >= sizeof(bdf))
		return 0;
	snprintf(bdf, sizeof(bdf), "%.*s", (int)(len - strlen(END)), at);
	return plx_bdf_valid(bdf) ? texts_add_new(ctx, bdf) : 0;
}

int rules_list(struct texts *bdfs)
{
	return each_name(FOLDER, add_rule, bdfs);
}
