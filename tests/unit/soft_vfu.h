/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vfio-user server without a client, for models: accesses go to their callbacks, and the client's
 * memory is mapped piece by piece, each exactly as large as it says, so that a sanitizer sees each
 * byte too far.
 */
#ifndef SOFT_VFU_H
#define SOFT_VFU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Before models are made, and after they are destroyed. Servers are numbered as they are made. */
void fake_servers_begin(void);
void fake_servers_end(void);

/* Registers of 32 bits, in BAR 0. */
uint32_t fake_reg(unsigned card, uint32_t offset);
void fake_reg_set(unsigned card, uint32_t offset, uint32_t value);
int fake_access(unsigned card, unsigned region, uint64_t offset, void *buf, size_t len, bool write);

/* Memory of the client, PLX_DMA_* for the device. Gone with the server. */
void *fake_map(unsigned card, uint64_t iova, size_t len, unsigned access);
void fake_unmap(unsigned card, uint64_t iova);

void fake_arm(unsigned card, unsigned index, bool armed);	    /* all vectors of a kind */
unsigned fake_irqs(unsigned card, unsigned index, unsigned vector); /* raised since the last call */
void fake_leave(unsigned card);					    /* the client goes away */

extern bool fake_hushed; /* nothing more is to be said about the client */

/* What was logged since the last call, up to 4 KiB; and how many lines. */
const char *fake_said(unsigned *lines);

void *fake_at(unsigned card, uint64_t iova, size_t len); /* mapped memory */
void *fake_region(unsigned card, unsigned region);	 /* what the client maps of a region */

#endif
