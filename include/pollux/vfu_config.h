/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Configuration space for models: what it holds at power-on, which bits software may write, and one
 * function that a model's access callback calls.
 *
 *      plx_vfu_config_init(&config, 4096, &ids);
 *      plx_vfu_config_bar(&config, 0, 128 << 10, 0);
 *      plx_vfu_config_pm(&config);
 *      plx_vfu_config_msix(&config, 5, 3, 0, 3, 0x2000);
 *      plx_vfu_config_pcie(&config);
 *      ...
 *      plx_vfu_config_access(&config, offset, buf, len, write);
 *
 * A BAR's address bits are writable from its size up, so sizing (PCI Local Bus 3.0, 6.2.5.1) needs
 * no state: all ones written read back as the size's complement.
 */
#ifndef POLLUX_VFU_CONFIG_H
#define POLLUX_VFU_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PLX_VFU_CONFIG_MAX 4096

struct plx_vfu_config {
	size_t size;   /* 256, or 4096 with extended space (empty) */
	uint8_t caps;  /* the list's last capability, 0: none */
	uint16_t free; /* where the next one goes */
	uint8_t value[PLX_VFU_CONFIG_MAX];
	uint8_t reset[PLX_VFU_CONFIG_MAX]; /* value at power-on */
	uint8_t mask[PLX_VFU_CONFIG_MAX];  /* bits that software may write */
};

struct plx_vfu_ids {
	uint16_t vendor, device;
	uint16_t subvendor, subdevice;
	uint32_t class_code; /* 24 bits: base class, sub-class, interface */
	uint8_t revision;
};

/* -EINVAL: size is neither 256 nor 4096. */
int plx_vfu_config_init(struct plx_vfu_config *config, size_t size, const struct plx_vfu_ids *ids);

#define PLX_VFU_BAR_IO	     0x1 /* an I/O BAR; 32 bits, at most 256 bytes */
#define PLX_VFU_BAR_64	     0x4 /* takes this BAR and the next */
#define PLX_VFU_BAR_PREFETCH 0x8

/* size: a power of two, 16 or more (I/O: 4). -EINVAL: it isn't, or the BAR is taken, or no BAR. */
int plx_vfu_config_bar(struct plx_vfu_config *config, unsigned bar, uint64_t size, unsigned flags);

/* The interrupt pin: 1 to 4 for INTA to INTD. Software may write the line. */
void plx_vfu_config_pin(struct plx_vfu_config *config, uint8_t pin);

/*
 * Adds a capability with its id and link: len bytes from the body on, mask says which bits software
 * may write (NULL: none). Its offset, or -ENOSPC.
 */
int plx_vfu_config_cap(struct plx_vfu_config *config, uint8_t id, const void *body,
		       const void *mask, size_t len);

/* Power management: D0 and D3hot, nothing lost on the way (PCI PM 1.2, 3.2). */
int plx_vfu_config_pm(struct plx_vfu_config *config);

/* MSI-X (PCI Local Bus 3.0, 6.8.2). -EINVAL: 1 to 2048 vectors, offsets multiples of 8. */
int plx_vfu_config_msix(struct plx_vfu_config *config, unsigned vectors, unsigned table_bar,
			uint32_t table, unsigned pba_bar, uint32_t pba);

/* A PCI Express endpoint at 2.5 GT/s, one lane, without function level reset (Base 1.1, 7.8). */
int plx_vfu_config_pcie(struct plx_vfu_config *config);

/* As after power-on: what software wrote is gone. */
void plx_vfu_config_reset(struct plx_vfu_config *config);

/* -EINVAL outside of it. Bits that software may not write keep their value. */
int plx_vfu_config_access(struct plx_vfu_config *config, uint64_t offset, void *buf, size_t len,
			  bool write);

/* The command register: what the function may do now. */
bool plx_vfu_config_memory(const struct plx_vfu_config *config);   /* memory decoding */
bool plx_vfu_config_master(const struct plx_vfu_config *config);   /* DMA and interrupts */
bool plx_vfu_config_intx_off(const struct plx_vfu_config *config); /* INTx disabled */

#ifdef __cplusplus
}
#endif

#endif
