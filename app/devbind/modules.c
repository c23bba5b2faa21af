/* SPDX-License-Identifier: BSD-3-Clause */
/* Kernel modules, by way of libkmod: what modprobe and lspci -k know. */
#include <errno.h>
#include <string.h>

#include <libkmod.h>

#include "device.h"

static struct kmod_ctx *context_of(struct modules *modules)
{
	return (struct kmod_ctx *)modules;
}

static void be_silent(void *data, int priority, const char *file, int line, const char *fn,
		      const char *format, va_list args)
{
	(void)data;
	(void)priority;
	(void)file;
	(void)line;
	(void)fn;
	(void)format;
	(void)args;
}

struct modules *modules_open(void)
{
	struct kmod_ctx *context = kmod_new(NULL, NULL);

	/* A kernel without modules is no error, and what fails is said by who asked. */
	if (context) {
		kmod_set_log_fn(context, be_silent, NULL);
		kmod_load_resources(context);
	}
	return (struct modules *)context;
}

void modules_close(struct modules *modules)
{
	if (modules)
		kmod_unref(context_of(modules));
}

int modules_of(struct modules *modules, const char *modalias, struct texts *drivers)
{
	struct kmod_list *list = NULL, *entry;
	int err = 0;

	if (!modules || kmod_module_new_from_lookup(context_of(modules), modalias, &list) < 0)
		return 0;
	kmod_list_foreach(entry, list)
	{
		struct kmod_module *module = kmod_module_get_module(entry);
		const char *name = kmod_module_get_name(module);

		if (!err && !texts_have(drivers, name))
			err = texts_add(drivers, "%s", name);
		kmod_module_unref(module);
	}
	kmod_module_unref_list(list);
	return err;
}

/* The first module that the name, or an alias, stands for; NULL: none. */
static struct kmod_module *find(struct modules *modules, const char *name)
{
	struct kmod_module *module = NULL;
	struct kmod_list *list = NULL;

	if (!modules || kmod_module_new_from_lookup(context_of(modules), name, &list) < 0)
		return NULL;
	if (list)
		module = kmod_module_get_module(list);
	kmod_module_unref_list(list);
	return module;
}

enum module_state modules_state(struct modules *modules, const char *name)
{
	struct kmod_module *module = find(modules, name);
	enum module_state state;

	if (!module)
		return MODULE_MISSING;
	switch (kmod_module_get_initstate(module)) {
	case KMOD_MODULE_BUILTIN: state = MODULE_BUILTIN; break;
	case KMOD_MODULE_LIVE:
	case KMOD_MODULE_COMING: state = MODULE_LOADED; break;
	default: state = kmod_module_get_path(module) ? MODULE_AVAILABLE : MODULE_MISSING;
	}
	kmod_module_unref(module);
	return state;
}

int modules_load(struct modules *modules, const char *name)
{
	struct kmod_module *module = find(modules, name);
	int err;

	if (!module)
		return -ENOENT;
	err = kmod_module_probe_insert_module(module, 0, NULL, NULL, NULL, NULL);
	kmod_module_unref(module);
	return err > 0 ? -EPERM : err; /* positive: held back by the configuration */
}
