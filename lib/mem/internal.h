/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of lib/mem share. */
#ifndef PLX_MEM_INTERNAL_H
#define PLX_MEM_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include <pollux/mem.h>

size_t plx_mem_base_page(void);

/* Whether the kernel has hugepages of this size (perhaps none of them configured). */
bool plx_mem_is_hugepage_size(size_t page_size);

/* Bytes that can be had in base pages without taking them from anybody. 0 or -errno. */
int plx_mem_available(int node, uint64_t *bytes);

/* The file that sets how many hugepages there are, on a node or PLX_NODE_ANY. */
#define PLX_MEM_PATH_LEN 128
void plx_mem_hugepages_path(size_t page_size, int node, const char *file, char *path);

/* Whether memory can be asked of this node: 0, or -ENODEV / -EPERM, logged with `what` in front. */
int plx_mem_node_check(int node, const char *what);

/*
 * Fills a file with pages of a node, and checks, once they are mapped, that all of them are present
 * and on it (PLX_NODE_ANY: present). 0 or -errno; -EXDEV: the node can't be had, and the reason was
 * logged with `what` in front.
 */
int plx_mem_node_fill(int fd, size_t len, int node, const char *what);
int plx_mem_node_verify(const void *va, size_t len, size_t page_size, int node, const char *what);

#endif
