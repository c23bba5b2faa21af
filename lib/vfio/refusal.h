/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Refusals: why an access mode was not taken, or memory not mapped, in words for people.
 *
 * Whoever knows the reason fills in a struct plx_refusal and returns its errno; only the outermost
 * function logs it: what a claim comes to, always; why memory isn't mapped, if nobody asked.
 */
#ifndef PLX_VFIO_REFUSAL_H
#define PLX_VFIO_REFUSAL_H

#include <stdbool.h>

#include <pollux/vfio.h>

/* For public functions, at their end: a refusal that nobody asked for (NULL) is logged. err. */
int plx_refusal_tell(const struct plx_refusal *asked, const struct plx_refusal *why, int err);

/* Fills in *why and returns err (negative). */
int plx_refuse(struct plx_refusal *why, enum plx_refusal_code code, int err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* What to do, where more is known than the code; refusal.c has the words. */
enum plx_remedy {
	PLX_REMEDY_USUAL, /* the code's */
	PLX_REMEDY_IOMMUFD_KERNEL,
	PLX_REMEDY_CONTAINER_KERNEL,
	PLX_REMEDY_CDEV_KERNEL,
	PLX_REMEDY_GROUP_KERNEL,
	PLX_REMEDY_NOIOMMU_CDEV_KERNEL,
	PLX_REMEDY_TYPE1_KERNEL,
	PLX_REMEDY_PEER_KERNEL,
	PLX_REMEDY_PEER_TYPE1,
	PLX_REMEDY_BIND_NOIOMMU,
	PLX_REMEDY_IOMMU_ON,
	PLX_REMEDY_SAFE_MODE,
	PLX_REMEDY_ONE_MODE,
	PLX_REMEDY_CHOWN,
	PLX_REMEDY_SOCKET_OWNER,
	PLX_REMEDY_CAPABILITY,
	PLX_REMEDY_FILES,
	PLX_REMEDY_UUID,
	PLX_REMEDY_OPEN_AGAIN,
	PLX_REMEDY_IOMMUFD_FD,
	PLX_REMEDY_CONTAINER_FD,
	PLX_REMEDY_EMPTY_CONTAINER,
	PLX_REMEDY_IOAS,
	PLX_REMEDY_START_PROCESS,
	PLX_REMEDY_NAME_SOCKET,
	PLX_REMEDY_END_ONE,
	PLX_REMEDY_END_CLIENT,
	PLX_REMEDY_ASK_PROCESS,
	PLX_REMEDY_VERSION,
	PLX_REMEDY_PCI,
	PLX_REMEDY_JSON,
	PLX_REMEDY_MEMLOCK,
	PLX_REMEDY_OTHER_LIMITS,
	PLX_REMEDY_FEWER_MAPS,
	PLX_REMEDY_LARGER_PAGES,
	PLX_REMEDY_HUGEPAGES,
	PLX_REMEDY_ALIGN,
	PLX_REMEDY_WHOLE_PAGES,
	PLX_REMEDY_UNMAP,
	PLX_REMEDY_MAP_LESS,
	PLX_REMEDY_IOVA_ALLOC,
	PLX_REMEDY_ELSEWHERE,
	PLX_REMEDY_PINNABLE,
	PLX_REMEDY_DECODING,
	PLX_REMEDY_PEER_AGAIN,
	PLX_REMEDY_NO_TRACKING,
	PLX_REMEDIES,
};

const char *plx_remedy_text(enum plx_remedy remedy); /* NULL for the usual one */

/*
 * The same for what has an object and a remedy; the sentence ends with it. A NULL object is none.
 */
int plx_refuse_about(struct plx_refusal *why, enum plx_refusal_code code, int err,
		     const char *object, enum plx_remedy remedy, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

/* The same, about len bytes of memory or of device addresses: "0xfirst-0xlast". */
int plx_refuse_range(struct plx_refusal *why, enum plx_refusal_code code, int err, uint64_t first,
		     uint64_t len, enum plx_remedy remedy, const char *fmt, ...)
	__attribute__((format(printf, 7, 8)));

/* Memory whose pages may move under a device that takes physical addresses; reason: in words. */
int plx_refuse_pages(struct plx_refusal *why, uint64_t va, uint64_t len, size_t page_size,
		     const char *reason);

/* A device node that could not be opened (err: negative errno of open or access). */
int plx_refuse_node(struct plx_refusal *why, const char *path, int err);

/* A vfio-user socket that can't be connected to (err: negative errno). */
int plx_refuse_socket(struct plx_refusal *why, const char *path, int err);

/* The refusal that says most about why nothing worked, or NULL if there is none. */
const struct plx_refusal *plx_refusals_telling(const struct plx_refusals *refusals);

/*
 * "cdev, type1v2: TEXT; type1: TEXT" for the modes in the mask, modes with one and the same reason
 * together, modes that the caller didn't ask for left out. verb goes between modes and text.
 */
void plx_refusals_print(const struct plx_refusals *refusals, unsigned int modes, const char *verb,
			char *buf, size_t len);

#endif
