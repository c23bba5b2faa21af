/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "commands.h"

const struct command_info commands[] = {
	{ "status", COMMAND_STATUS, "[DEVICE...]", "devices, their drivers, and what uses them" },
	{ "bind", COMMAND_BIND, "DRIVER DEVICE...",
	  "give devices to a driver: all of them or none" },
	{ "unbind", COMMAND_UNBIND, "DEVICE...",
	  "take devices from their drivers: all of them or none" },
	{ "restore", COMMAND_RESTORE, "[DEVICE...]",
	  "back to what they were before the first bind or unbind (without a name: all devices "
	  "that were changed)" },
	{ "why", COMMAND_WHY, "DEVICE...",
	  "each access mode: taken, possible, or why it is refused" },
	{ "doctor", COMMAND_DOCTOR, "", "what the machine has, and what each access mode lacks" },
	{ "grant", COMMAND_GRANT, "WHOM DEVICE...",
	  "let a user, or a group (:GROUP), use devices without root" },
	{ "broker", COMMAND_BROKER, "USER,... DEVICE...",
	  "open devices for programs of these users, until it is ended; they name them with "
	  "-a broker:PATH,DEVICE" },
	{ "help", COMMAND_HELP, "[COMMAND]", "this text, or what there is to say of a command" },
	{ .name = NULL },
};

const struct option_info known_options[] = {
	{ "json", NULL, OPT_JSON, false, A(STATUS) | A(WHY) | A(DOCTOR), "as JSON" },
	{ "all", NULL, OPT_ALL, false, A(STATUS), "every PCI device, not just network and NVMe" },
	{ "force", NULL, OPT_FORCE, false, A(BIND) | A(UNBIND) | A(RESTORE),
	  "devices that are in use, too" },
	{ "force", NULL, OPT_FORCE, false, A(GRANT), "nodes of somebody else's, too" },
	{ "whole-group", NULL, OPT_WHOLE_GROUP, false, A(BIND) | A(UNBIND),
	  "the other endpoints of an IOMMU group, too" },
	{ "persist", NULL, OPT_PERSIST, false, A(BIND) | A(GRANT), "after a reboot too" },
	{ "noiommu-mode", NULL, OPT_NOIOMMU_MODE, false, A(BIND),
	  "without an IOMMU, turn on VFIO's unsafe mode" },
	{ "memory", "SIZE", OPT_MEMORY, false, A(WHY) | A(DOCTOR), "as much is to be mapped (1G)" },
	{ "socket", "PATH", OPT_SOCKET, false, A(BROKER), "where it listens (/run/pollux.sock)" },
	{ "allow-noiommu", NULL, OPT_ALLOW_NOIOMMU, false, A(WHY), "unprotected DMA is accepted" },
	{ "help", NULL, 'h', false, 0, "as the command of that name" },
	{ "version", NULL, OPT_VERSION, false, A(NONE), "which it is, and nothing else" },
	{ "status", NULL, 's', true, A(STATUS), "its report, letter for letter" },
	{ "status", NULL, 's', true, A(BIND) | A(UNBIND), "that report afterwards" },
	{ "status-dev", "KIND", OPT_STATUS_DEV, true, A(STATUS) | A(BIND) | A(UNBIND),
	  "that report of one kind of devices:" },
	{ "bind", "DRIVER", 'b', true, A(BIND) | A(UNBIND), "bind (DRIVER none: unbind)" },
	{ "unbind", NULL, 'u', true, A(UNBIND),
	  "unbind ('dpdk': all that are ready for user space)" },
	{ "uid", "UID", 'U', true, A(BIND), "grant the devices to that user" },
	{ "gid", "GID", 'G', true, A(BIND), "grant the devices to that group" },
	{ .name = NULL },
};

bool option_suits(const struct option_info *info, enum command command)
{
	return !info->commands || info->commands & 1u << command;
}

bool option_commands(const struct option_info *info)
{
	return info->option == 'b' || info->option == 'u';
}

const struct command_info *command_find(const char *name)
{
	const struct command_info *info = commands;

	while (info->name && strcmp(info->name, name))
		info++;
	return info->name ? info : NULL;
}
