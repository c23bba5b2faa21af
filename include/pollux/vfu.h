/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The server end of vfio-user: a PCI function made of software, offered on a UNIX socket to one
 * client at a time.
 *
 *      model --- struct plx_vfu_desc: regions, interrupts, callbacks
 *        |
 *      plx_vfu_create()          listens on the socket
 *        |
 *      loop: plx_vfu_poll()      requests of the client end in the model's callbacks
 *            the model's work    polls shared registers, plx_vfu_dma(), plx_vfu_irq()
 *
 * All calls for one server belong to one thread, and callbacks come from inside plx_vfu_poll():
 * a model needs no locks. The client is not trusted: what it says is checked, and memory that it
 * shares and then takes away (a file made shorter) becomes zeroes instead of a crash.
 */
#ifndef POLLUX_VFU_H
#define POLLUX_VFU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pollux/vfio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* VFIO's indexes of a PCI function: BARs 0-5, ROM, config, VGA; INTx, MSI, MSI-X, ERR, REQ. */
#define PLX_VFU_REGIONS 9
#define PLX_VFU_IRQS	5

#define PLX_VFU_MAX_VECTORS 2048 /* of a kind: MSI-X can't have more */

struct plx_vfu_region {
	uint64_t size; /* 0: not there */
	/*
	 * Page-aligned parts, in order, that the client may map and that the model polls. A client
	 * that sends messages instead gets at the same memory; every other access is trapped. With
	 * at least one, the server makes shared memory for the whole region: plx_vfu_region_mem().
	 */
	const struct plx_vfio_area *areas;
	unsigned nareas;
};

/* Why a model is to go back to its power-on state. */
enum plx_vfu_reset {
	PLX_VFU_RESET_ASKED, /* by DEVICE_RESET */
	/*
	 * The client left or was dropped. Its memory is unmapped already, and what it could map of
	 * regions is zeroed, for it may still be looking at the old pages.
	 */
	PLX_VFU_RESET_GONE,
};

struct plx_vfu_ops {
	/*
	 * A trapped access inside a region, never across the border of a mappable area. Config
	 * space too: <pollux/vfu_config.h> helps. What isn't written to buf is read as 0. 0, or
	 * -errno that is sent to the client.
	 */
	int (*access)(void *model, unsigned region, uint64_t offset, void *buf, size_t len,
		      bool write);
	void (*reset)(void *model, enum plx_vfu_reset why);
	/* The client mapped or unmapped: addresses got from plx_vfu_dma() before are void. */
	void (*dma_changed)(void *model);
};

struct plx_vfu_desc {
	const char *name; /* for log lines */
	const struct plx_vfu_ops *ops;
	struct plx_vfu_region region[PLX_VFU_REGIONS];
	unsigned irqs[PLX_VFU_IRQS]; /* vectors of each kind */
};

struct plx_vfu;

/*
 * Listens on path with mode 0600. A stale socket (nobody accepts on it) is replaced; -EADDRINUSE:
 * somebody does, or path is no socket; -ENAMETOOLONG. desc is copied, name and areas too. -EINVAL:
 * areas that overlap, leave the region or aren't whole pages; too many vectors.
 *
 * A second client connects and waits until the first one is gone.
 */
int plx_vfu_create(const struct plx_vfu_desc *desc, void *model, const char *path,
		   struct plx_vfu **vfu);

/* Drops the client, unlinks the socket. NULL is fine. */
void plx_vfu_destroy(struct plx_vfu *vfu);

/* Readable when plx_vfu_poll() has something to do: for epoll. */
int plx_vfu_fd(const struct plx_vfu *vfu);

/*
 * Accepts, reads and answers what is waiting, at most a bounded number of messages, and never
 * waits. How many it handled, or -errno when the server itself is broken (a client's faults are
 * logged and the client dropped).
 */
int plx_vfu_poll(struct plx_vfu *vfu);

bool plx_vfu_connected(const struct plx_vfu *vfu);

/*
 * Whether the log has room for another line that the client is to blame for: 64 at once, and one
 * more a second, over all clients. To be asked for each line, the server's own too.
 */
bool plx_vfu_may_say(struct plx_vfu *vfu);

/* The shared memory of a region with mappable parts, or NULL. It stays where it is. */
void *plx_vfu_region_mem(struct plx_vfu *vfu, unsigned region);

/*
 * The client's memory at iova, for len bytes and the PLX_DMA_* access (as the device sees it:
 * WRITE means that the device may write). NULL: not mapped in one piece, or with an fd-less map.
 * Fast enough for every packet; holds until dma_changed() or reset().
 */
void *plx_vfu_dma(struct plx_vfu *vfu, uint64_t iova, size_t len, unsigned access);

/*
 * Copies, across maps; where the client shared no fd, by DMA_READ and DMA_WRITE messages. 0,
 * -EFAULT (not mapped that way, or the client refused), -ENOTCONN, -ETIMEDOUT (a second was
 * spent waiting since the server was polled, or too much of the time before: the client is dropped
 * at the next poll).
 */
int plx_vfu_dma_read(struct plx_vfu *vfu, uint64_t iova, void *buf, size_t len);
int plx_vfu_dma_write(struct plx_vfu *vfu, uint64_t iova, const void *buf, size_t len);

/*
 * Raises an interrupt, if the client connected that vector: at once, or as soon as the client
 * unmasks it. INTx is masked by being raised.
 */
void plx_vfu_irq(struct plx_vfu *vfu, unsigned index, unsigned vector);

/* Connected and not masked. */
bool plx_vfu_irq_armed(const struct plx_vfu *vfu, unsigned index, unsigned vector);

#ifdef __cplusplus
}
#endif

#endif
