/* SPDX-License-Identifier: BSD-3-Clause */
#include "category.h"
#include "options.h"

static const char text[] =
	"usage: plx-devbind COMMAND [OPTION...] [ARGUMENT...]\n"
	"       plx-devbind -s | -b DRIVER DEVICE... | -u DEVICE...\n"
	"\n"
	"Gives PCI devices to user space and back, safely.\n"
	"\n"
	"commands:\n"
	"  status [DEVICE...]        devices, their drivers, and what uses them\n"
	"  bind DRIVER DEVICE...     give devices to a driver: all of them or none\n"
	"  unbind DEVICE...          take devices from their drivers: all of them or none\n"
	"  restore [DEVICE...]       back to what they were before the first bind or unbind\n"
	"                            (without a name: all devices that were changed)\n"
	"  why DEVICE...             each access mode: taken, possible, or why it is refused\n"
	"  doctor                    what the machine has, and what each access mode lacks\n"
	"  grant WHOM DEVICE...      let a user, or a group (:GROUP), use devices without root\n"
	"  broker USER,... DEVICE... open devices for programs of these users, until it is ended;\n"
	"                            they name them with -a broker:PATH,DEVICE\n"
	"  help                      this text\n"
	"\n"
	"devices: 0000:01:00.0, 01:00.0, a pattern ('01:00.*'), a network interface, a disk,\n"
	"         another node in /dev ('nvme0')\n"
	"\n"
	"options:\n"
	"  --json                    status, why, doctor: as JSON\n"
	"  --all                     status: every PCI device, not just network and NVMe\n"
	"  --force                   bind, unbind, restore: devices that are in use, too; grant:\n"
	"                            nodes of somebody else's, too\n"
	"  --whole-group             bind, unbind: the other endpoints of an IOMMU group, too\n"
	"  --persist                 bind, grant: after a reboot too\n"
	"  --noiommu-mode            bind: without an IOMMU, turn on VFIO's unsafe mode\n"
	"  --memory SIZE             why, doctor: as much is to be mapped (1G)\n"
	"  --socket PATH             broker: where it listens (/run/pollux.sock)\n"
	"  --allow-noiommu           why: unprotected DMA is accepted\n"
	"\n"
	"as in dpdk-devbind.py:\n"
	"  -s, --status              the report, letter for letter\n"
	"  --status-dev KIND         one kind of devices:";

static const char rest[] =
	"  -b, --bind DRIVER         bind (DRIVER none: unbind)\n"
	"  -U, --uid, -G, --gid ID   bind: grant the devices to that user, that group\n"
	"  -u, --unbind              unbind ('dpdk': all that are ready for user space)\n"
	"\n"
	"examples:\n"
	"  plx-devbind status\n"
	"  plx-devbind bind vfio-pci 01:00.0 02:00.0\n"
	"  plx-devbind bind --persist vfio-pci eth1\n"
	"  plx-devbind grant alice 01:00.0\n"
	"  plx-devbind why --memory 1G 01:00.0\n"
	"  plx-devbind restore\n"
	"\n"
	"exit codes: 0 done; 1 failed, and what was begun is taken back (why: a device can't be\n"
	"used; doctor: none can); 2 usage; 3 refused, because a device is in use or the request\n"
	"is unsafe\n";

void usage(FILE *out)
{
	const struct category *category;
	unsigned i = 0;

	fputs(text, out);
	for (category = categories; category->key; category++)
		fprintf(out, "%s%s",
			i++ % 6	 ? ", "
			: i == 1 ? " "
				 : ",\n                            ",
			category->key);
	fprintf(out, "\n%s", rest);
}
