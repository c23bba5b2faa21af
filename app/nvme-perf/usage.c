/* SPDX-License-Identifier: BSD-3-Clause */
#include <pollux/pci.h>

#include "options.h"

static const char synopsis[] = "usage: plx-nvme-perf [BUS OPTIONS] [OPTIONS]\n"
			       "\n"
			       "Reads and writes NVMe namespaces as fast as it can, and says how "
			       "fast that was. It WRITES\n"
			       "to them if told so: what was there is lost.\n"
			       "\n"
			       "BUS OPTIONS: which devices, and how they may be claimed\n";

static const char options[] =
	"\n"
	"  -r, --transport \"trtype:PCIe traddr:ADDRESS [ns:N]\"  another way to say -a ADDRESS --ns N\n"
	"  After -a ADDRESS, this driver knows ,sgl=off ,dbbuf=on|off ,cmb=off ,page=BYTES\n"
	"  ,queues=N ,keep-alive=MS\n"
	"\n"
	"OPTIONS: numbers of bytes take a suffix k, m, g\n"
	" Work\n"
	"  -q, --io-depth N         requests in flight on each queue pair; default 32\n"
	"  -o, --io-size BYTES      of a request, whole blocks; default 4096\n"
	"  -w, --io-pattern NAME    read, write, rw, randread (default), randwrite, randrw; with --verify,\n"
	"                           reads write first, too\n"
	"  -M, --rwmixread PERCENT  reads in rw and randrw, and only there; default 50\n"
	"  -t, --time SECONDS       default 5\n"
	"  --warmup-time SECONDS    before that, not counted; default 0 (spdk_nvme_perf's -a is the\n"
	"                           device here)\n"
	"  --number-ios N           end after N requests of each queue pair, if that's sooner\n"
	"  --ns N                   only this namespace; default all\n"
	"  --range BYTES            only the beginning of each; default all of it, 64 MiB with --verify\n"
	"  --offset BYTES           buffers begin there in a page; a multiple of 4\n"
	"  --seed N                 of random places; default 0\n"
	" Cores and queues\n"
	"  -c, --core-mask MASK     hexadecimal, or a list [0,2-3]: a thread on each core, with queue\n"
	"                           pairs of its own; default the first that this process may use\n"
	"  -P, --num-qpairs N       queue pairs of each core and namespace; default 1\n"
	"  --irq                    sleep until an interrupt instead of polling\n"
	" Checking\n"
	"  --verify                 write everything in range first, and read all of it at the end:\n"
	"                           every block carries its address and a checksum, and each read is\n"
	"                           checked\n"
	"  --reset-ms N             reset the controllers every N ms meanwhile\n"
	"  --timeout-ms N           abort what takes longer, and reset if that doesn't help; default 30000\n"
	" Reporting\n"
	"  -L                       percentiles of the latency; -LL: its histogram, too\n"
	"  --json, --csv            on standard output at the end, all else on standard error; in JSON\n"
	"                           \"resets\" are those of --reset-ms, \"recoveries\" how often a queue\n"
	"                           pair was made again after a reset, whatever led to it\n"
	"  --html FILE              a page with pictures of latency and of IOPS over time\n"
	"  --quiet                  no line of progress\n"
	"  --version                which version it is, and nothing else\n"
	"\n"
	"EXAMPLES\n"
	"  plx-nvme-perf -a 0000:01:00.0 -q 128 -o 4096 -w randread -t 10 -L\n"
	"  plx-nvme-perf -a 0000:01:00.0 -a 0000:02:00.0 -c 0x3 -w randrw -M 70 --json\n"
	"  plx-nvme-perf -a 0000:01:00.0,mode=cdev --ns 2 -w randwrite -o 64k --verify\n"
	"\n"
	"EXIT CODES\n"
	"  0  all well\n"
	"  1  something failed, there is no controller or namespace to use, or a device that was asked\n"
	"     for was refused; one line says what\n"
	"  2  the command line is wrong\n"
	"  3  --verify: what was read is not what was written\n"
	"  128 + N  ended early by signal N (SIGINT: 130), and the report is of what was done; 1 and 3\n"
	"     come before\n";

void usage(FILE *out)
{
	fputs(synopsis, out);
	plx_pci_usage(out);
	fputs(options, out);
}
