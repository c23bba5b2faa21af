/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conform-fake: what the fake kernel answers, as one of the lab's guests:
 * conform-fake a|b|c [--noiommu|--forgeable].
 */
#include <stdio.h>
#include <string.h>

#include "conform.h"
#include "fake_vfio.h"

static void rawio(bool have)
{
	fake.cap_rawio = have;
}

static void memlock(uint64_t bytes)
{
	fake.memlock = bytes;
}

static void entries(unsigned int limit)
{
	fake.dma_entry_limit = limit;
}

static void trust(bool devices)
{
	fake.unsafe_interrupts = devices;
}

static const char *const addresses[CONFORM_DEVS] = { "0000:01:00.0", "0000:02:00.0",
						     "0000:03:00.0" };

static struct conform_env env = {
	.rawio = rawio, .memlock = memlock, .entries = entries, .trust = trust
};

/* The lab's: e1000e, behind an Intel IOMMU. */
static void describe(bool noiommu)
{
	struct fake_dev *dev[CONFORM_DEVS + 1];
	unsigned int i;

	for (i = 0; i <= CONFORM_DEVS; i++) {
		dev[i] = fake_dev(i < CONFORM_DEVS ? addresses[i] : "0000:03:00.1", i < 2 ? i : 2);
		dev[i]->noiommu = noiommu;
		dev[i]->slot = i < 2 ? i : 2;
		dev[i]->dyn_msix = dev[i]->decodes = true;
		dev[i]->features = 1u << 3 | 1u << 4 | 1u << 5;
		if (fake.flavour == FAKE_C)
			dev[i]->features |= 1u << 11;
	}
	dev[CONFORM_DEVS]->driver = "e1000e";
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	bool noiommu = argc == 3 && !strcmp(argv[2], "--noiommu");
	unsigned int lines;

	env.forgeable = argc == 3 && !strcmp(argv[2], "--forgeable");
	if (argc < 2 || argc > 2 + (noiommu || env.forgeable) || strlen(argv[1]) != 1 ||
	    !strchr("abc", argv[1][0])) {
		fprintf(stderr, "usage: conform-fake a|b|c [--noiommu|--forgeable]\n");
		return 2;
	}
	fake_start(argv[1][0] == 'a' ? FAKE_A : argv[1][0] == 'b' ? FAKE_B : FAKE_C);
	fake.unsafe_noiommu = noiommu;
	fake.isolated = !env.forgeable;
	fake.touches = true;
	describe(noiommu);
	fake_publish();
	lines = conform_run(addresses, &env);
	fake_stop();
	return lines ? 0 : 1;
}
