/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "category.h"
#include "commands.h"

#define TEXT_COLUMN 28
#define WIDTH	    92
#define TEXT_LEN    400

static const char devices[] =
	"\ndevices: 0000:01:00.0, 01:00.0, a pattern ('01:00.*'), a network interface, a disk,\n"
	"         another node in /dev ('nvme0')\n";

static const char rest[] =
	"\nexamples:\n"
	"  plx-devbind status\n"
	"  plx-devbind bind vfio-pci 01:00.0 02:00.0\n"
	"  plx-devbind bind --persist vfio-pci eth1\n"
	"  plx-devbind grant alice 01:00.0\n"
	"  plx-devbind why --memory 1G 01:00.0\n"
	"  plx-devbind restore\n"
	"\n"
	"exit codes: 0 done; 1 failed, and what was begun is taken back (why: a device can't be\n"
	"used; doctor: no access mode of PCI devices has all that it needs); 2 usage; 3 refused,\n"
	"because a device is in use or the request is unsafe\n";

/* Two columns, the second of which is broken at blanks. */
static void print_row(FILE *out, const char *name, const char *text)
{
	size_t at = (size_t)fprintf(out, "  %s", name);
	const char *word = text;

	while (*word) {
		size_t len = strcspn(word, " ");

		if (at > TEXT_COLUMN && at + 1 + len > WIDTH) {
			fputc('\n', out);
			at = 0;
		}
		if (at <= TEXT_COLUMN)
			at += (size_t)fprintf(out, "%*s", TEXT_COLUMN - (int)at, "");
		else
			at += (size_t)fprintf(out, " ");
		at += (size_t)fprintf(out, "%.*s", (int)len, word);
		word += len + strspn(word + len, " ");
	}
	fputc('\n', out);
}

static void append(char text[TEXT_LEN], const char *between, const char *more)
{
	size_t len = strlen(text);

	snprintf(text + len, TEXT_LEN - len, "%s%s", len ? between : "", more);
}

/* "bind, grant: after a reboot too" or, about one of them, "after a reboot too". */
static void describe(const struct option_info *info, enum command about, char text[TEXT_LEN])
{
	const struct category *category;
	const struct command_info *one;
	char names[TEXT_LEN] = "";

	for (one = commands; one->name && about == COMMAND_NONE; one++)
		if (info->commands & 1u << one->command && !option_commands(info))
			append(names, ", ", one->name);
	append(text, "; ", names);
	append(text, *names ? ": " : "", info->text);
	for (category = categories; category->key && info->option == OPT_STATUS_DEV; category++)
		append(text, category == categories ? " " : ", ", category->key);
}

static bool is_wanted(const struct option_info *info, enum command about, bool old)
{
	return info->name && info->old == old &&
	       (about == COMMAND_NONE || (option_suits(info, about) && !option_commands(info)));
}

static void print_options(FILE *out, enum command about, bool old, const char *title)
{
	const struct option_info *info;
	char name[60], text[TEXT_LEN] = "";

	for (info = known_options; info->name; info++) {
		if (!is_wanted(info, about, old))
			continue;
		describe(info, about, text);
		if (info[1].option == info->option && is_wanted(&info[1], about, old))
			continue;
		*name = '\0';
		if (info->option < OPT_STATUS_DEV)
			snprintf(name, sizeof(name), "-%c, ", info->option);
		snprintf(name + strlen(name), sizeof(name) - strlen(name), "--%s %s", info->name,
			 info->value ? info->value : "");
		fputs(title, out);
		print_row(out, name, text);
		title = "";
		*text = '\0';
	}
}

static void print_all(FILE *out)
{
	const struct command_info *info;
	char name[60];

	fputs("usage: plx-devbind COMMAND [OPTION...] [ARGUMENT...]\n"
	      "       plx-devbind -s | -b DRIVER DEVICE... | -u DEVICE...\n"
	      "\n"
	      "Gives PCI devices to user space and back, safely.\n"
	      "\n"
	      "commands:\n",
	      out);
	for (info = commands; info->name; info++) {
		snprintf(name, sizeof(name), "%s %s", info->name, info->arguments);
		print_row(out, name, info->text);
	}
	fputs(devices, out);
}

static void print_one(FILE *out, enum command about)
{
	const struct command_info *info = commands;

	while (info->command != about)
		info++;
	fprintf(out, "usage: plx-devbind %s [OPTION...] %s\n\n%s: %s\n", info->name,
		info->arguments, info->name, info->text);
	if (strstr(info->arguments, "DEVICE"))
		fputs(devices, out);
}

void usage(FILE *out, enum command about)
{
	if (about == COMMAND_NONE)
		print_all(out);
	else
		print_one(out, about);
	print_options(out, about, false, "\noptions:\n");
	print_options(out, about, true, "\nas in dpdk-devbind.py:\n");
	if (about == COMMAND_NONE)
		fputs(rest, out);
}
