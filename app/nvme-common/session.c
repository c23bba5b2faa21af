/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pollux/log.h>

#include "session.h"

/* The functions that became controllers. */
static int collect(struct session *s)
{
	struct plx_pci *pci;
	unsigned all = 0;

	while (plx_pci_at(s->bus, all))
		all++;
	s->ctrl = calloc(all + 1, sizeof(*s->ctrl));
	if (!s->ctrl)
		return -ENOMEM;
	for (unsigned i = 0; (pci = plx_pci_at(s->bus, i)); i++) {
		struct plx_nvme_ctrl *ctrl = plx_nvme_ctrl_get(pci);

		if (ctrl)
			s->ctrl[s->count++] = ctrl;
	}
	return 0;
}

static enum exit_code probe(struct session *s)
{
	int ret = plx_pci_probe(s->bus, s->ioas);

	if (ret < 0)
		return EXIT_RUNTIME;
	if (collect(s)) {
		plx_err("out of memory");
		return EXIT_RUNTIME;
	}
	if (s->count)
		return EXIT_OK;
	plx_err("no controller: no NVMe device is bound to vfio-pci");
	return EXIT_RUNTIME;
}

enum exit_code session_scan(struct session *s, int *argc, char **argv)
{
	int ret;

	*s = (struct session){ 0 };
	ret = plx_pci_scan(argc, argv, &s->bus);
	switch (ret) {
	case 0: return EXIT_OK;
	case -EINVAL: return EXIT_USAGE;
	default: return EXIT_RUNTIME;
	}
}

enum exit_code session_start(struct session *s)
{
	int ret = plx_pci_policy(s->bus, &s->policy);

	if (!ret)
		ret = plx_ioas_create(&s->policy, &s->ioas);
	return ret ? EXIT_RUNTIME : probe(s);
}

enum exit_code session_flush(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return EXIT_OK;
	plx_err("standard output can't be written: %s", strerror(errno));
	return EXIT_RUNTIME;
}

enum exit_code session_close(struct session *s)
{
	int err = 0;

	free(s->ctrl);
	plx_pci_cleanup(s->bus);
	if (s->ioas)
		err = plx_ioas_destroy(s->ioas);
	if (err)
		plx_err("the address space can't be given back: %s", strerror(-err));
	*s = (struct session){ 0 };
	return err ? EXIT_RUNTIME : EXIT_OK;
}

const char *session_mode(const struct session *s, const struct plx_nvme_ctrl *ctrl)
{
	struct plx_pci *pci;

	for (unsigned i = 0; (pci = plx_pci_at(s->bus, i)); i++)
		if (plx_nvme_ctrl_get(pci) == ctrl)
			return plx_vfio_mode_name(plx_vfio_dev_mode(pci->vfio));
	return "?";
}

struct plx_arena *session_memory(struct session *s, size_t len, int node)
{
	const struct plx_arena_opts opts = {
		.len = len,
		.node = node,
		/* Physical addresses hold for hugepages only. */
		.small_pages = plx_ioas_policy(s->ioas) != PLX_ADDR_PA,
		.name = "nvme-buffers",
	};
	struct plx_arena *arena;
	struct plx_dma_mem mem;
	struct plx_refusal why;
	int err = plx_arena_create(&opts, &arena);

	if (err)
		return NULL;
	mem = (struct plx_dma_mem){
		.va = arena->va,
		.len = arena->len,
		.page_size = arena->page_size,
		.fd = arena->fd,
	};
	err = plx_ioas_map(s->ioas, &mem, &why);
	if (!err)
		return arena;
	plx_err("no buffers: %s", why.text);
	plx_arena_destroy(arena);
	return NULL;
}

void session_free(struct session *s, struct plx_arena *arena)
{
	if (!arena)
		return;
	plx_ioas_unmap(s->ioas, arena->va, arena->len);
	plx_arena_destroy(arena);
}

/* A letter, or the word before the next; which is not moved before getopt is called again. */
int option_wrong(int opt, char **argv)
{
	const char letter[] = { '-', (char)optopt, '\0' }, *word = argv[optind - 1];

	if (opt == ':')
		plx_err("option '%s' wants a value; see --help",
			strncmp(word, "--", 2) ? letter : word);
	else if (optopt > 0 && optopt < OPTION_LONG)
		plx_err("option '%s' is unknown; see --help", letter);
	else
		plx_err("option '%s' is unknown, or takes no value; see --help", word);
	return -EINVAL;
}

int parse_number(const char *text, bool size, uint64_t *value)
{
	static const char suffixes[] = "kmgt";
	const char *suffix;
	char *end;
	unsigned shift = 0;

	/* strtoull() alone would take "-1" and " 1". */
	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*value = strtoull(text, &end, text[0] == '0' && (text[1] | 32) == 'x' ? 16 : 10);
	if (errno)
		return -EINVAL;
	if (size && *end) {
		suffix = strchr(suffixes, *end | 32);
		if (!suffix)
			return -EINVAL;
		shift = 10 * (unsigned)(suffix - suffixes + 1);
		end++;
	}
	if (*end || *value << shift >> shift != *value)
		return -EINVAL;
	*value <<= shift;
	return 0;
}
