/* SPDX-License-Identifier: BSD-3-Clause */
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include <pollux/log.h>

#include "select.h"
#include "sys.h"

bool selection_has(const struct selection *selection, const struct device *dev)
{
	unsigned i;

	for (i = 0; i < selection->count; i++)
		if (selection->dev[i] == dev)
			return true;
	return false;
}

/* There is room for every device once. */
void selection_add(struct selection *selection, struct device *dev)
{
	if (!selection_has(selection, dev))
		selection->dev[selection->count++] = dev;
}

bool word_names_address(const char *word, const char *bdf)
{
	char full[64];

	snprintf(full, sizeof(full), "0000:%s", word);
	return !fnmatch(word, bdf, FNM_CASEFOLD) || !fnmatch(full, bdf, FNM_CASEFOLD);
}

static bool names_device(const char *word, const struct device *dev)
{
	const char *node = strncmp(word, "/dev/", 5) ? word : word + 5;

	return word_names_address(word, dev->bdf) || texts_have(&dev->interfaces, word) ||
	       texts_have(&dev->disks, node) || texts_have(&dev->nodes, node);
}

bool word_names_device(const char *word, const struct inventory *inv)
{
	unsigned i = 0;

	while (i < inv->count && !names_device(word, &inv->dev[i]))
		i++;
	return i < inv->count;
}

bool selection_add_word(struct selection *selection, const struct inventory *inv, const char *word)
{
	bool found = false;
	unsigned i;

	for (i = 0; i < inv->count; i++)
		if (names_device(word, &inv->dev[i])) {
			selection_add(selection, &inv->dev[i]);
			found = true;
		}
	return found;
}

enum exit_code selection_unknown(const char *word)
{
	plx_err("no device '%s': name a PCI address (0000:01:00.0, 01:00.*), a network interface "
		"or a disk of this machine",
		word);
	return EXIT_USAGE;
}

enum exit_code selection_make(struct selection *selection, const struct inventory *inv,
			      char **words, unsigned count)
{
	enum exit_code code = EXIT_DONE;
	unsigned i;

	*selection = (struct selection){ .dev = plx_sys->alloc((inv->count + 1) *
							       sizeof(*selection->dev)) };
	if (!selection->dev) {
		plx_err("out of memory for a list of devices");
		return EXIT_FAILED;
	}
	for (i = 0; i < count && code == EXIT_DONE; i++)
		if (!selection_add_word(selection, inv, words[i]))
			code = selection_unknown(words[i]);
	if (code != EXIT_DONE)
		selection_free(selection);
	return code;
}

void selection_add_groups(struct selection *selection, const struct inventory *inv)
{
	unsigned i, j;

	for (i = 0; i < selection->count; i++) {
		const struct device *dev = selection->dev[i];

		if (dev->facts.group < 0)
			continue;
		for (j = 0; j < inv->count; j++)
			if (inv->dev[j].facts.group == dev->facts.group &&
			    device_is_endpoint(&inv->dev[j]))
				selection_add(selection, &inv->dev[j]);
	}
}

void selection_free(struct selection *selection)
{
	plx_sys->free(selection->dev);
	*selection = (struct selection){ 0 };
}
