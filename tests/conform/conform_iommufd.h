/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommufd's calls, for the parts of the list that are about it.
 */
#ifndef CONFORM_IOMMUFD_H
#define CONFORM_IOMMUFD_H

#include "conform.h"
#include "fake_abi.h"

#define RW	      (FK_MAP_READABLE | FK_MAP_WRITEABLE)
#define FIX	      (RW | FK_MAP_FIXED_IOVA)
#define CONFORM_NO_ID 4711u /* an id that nothing has */

uint32_t ioas_new(int fd); /* must work */
int destroy(int fd, uint32_t id);
int map(int fd, uint32_t ioas, uint64_t iova, const void *va, uint64_t size, uint32_t flags);
int map_file(int fd, uint32_t ioas, uint64_t iova, int file, uint64_t start, uint64_t size,
	     uint32_t flags);
int copy(int fd, uint32_t to, uint64_t iova, uint32_t from, uint64_t at, uint64_t size,
	 uint32_t flags);
int attach(int dev, uint32_t *pt);
int detach(int dev);

/* With their lines. */
void unmap(const char *what, int fd, uint32_t ioas, uint64_t iova, uint64_t size);
void ranges(const char *what, int fd, uint32_t ioas, uint32_t room);

/* Parts of the list, with a device that is bound and attached nowhere, or to ioas (tables.c). */
void conform_tables(const struct conform *c, int fd, int dev, uint32_t devid);
void conform_buffers(int fd, uint32_t ioas, int dev, uint32_t devid);

#endif
