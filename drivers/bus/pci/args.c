/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bus's command-line options: taken out of argv, so that what is left is for EAL and the
 * program.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <pollux/log.h>

#include "bus.h"
#include "sys.h"

struct option_def {
	const char *name;  /* long form, with its dashes */
	char letter;	   /* short form, or 0 */
	const char *value; /* what it wants, for people; NULL: no value */
	int (*set)(struct pci_options *options, const char *value);
};

static int bad_address(const char *text)
{
	plx_err("'%s' is no PCI address: write it like 0000:01:00.0 or 01:00.0", text);
	return -EINVAL;
}

/* Puts a name in the form that functions are found by. */
static int read_name(const char *text, struct pci_named *named)
{
	if (plx_pci_is_user(text)) {
		if (!text[strlen("user:")] || strlen(text) >= sizeof(named->name)) {
			plx_err("'%.32s' is no socket: write user:PATH, a path of at most %zu "
				"bytes",
				text, sizeof(named->name) - sizeof("user:"));
			return -EINVAL;
		}
		strcpy(named->name, text);
		named->addr = PCI_ADDR_USER;
		return 0;
	}
	if (plx_pci_addr_parse(text, true, &named->addr))
		return bad_address(text);
	plx_pci_addr_name(named->addr, named->name);
	return 0;
}

static int no_memory(void)
{
	plx_err("out of memory while reading the PCI options");
	return -ENOMEM;
}

/* Copies the names of all access modes into text, for a message. */
static const char *mode_names(char *text, size_t len)
{
	unsigned mode;
	size_t at = 0;

	text[0] = '\0';
	for (mode = 0; mode < PLX_VFIO_MODES && at < len; mode++)
		at += snprintf(text + at, len - at, "%s%s", mode ? ", " : "",
			       plx_vfio_mode_name(mode));
	return text;
}

/* Adds one access mode, the len characters at text, to a mask. */
static int parse_mode(const char *text, size_t len, unsigned *modes)
{
	enum plx_vfio_mode mode;
	char name[32], known[128];

	if (len < sizeof(name)) {
		memcpy(name, text, len);
		name[len] = '\0';
		if (!plx_vfio_mode_parse(name, &mode)) {
			*modes |= 1u << mode;
			return 0;
		}
	}
	plx_err("'%.*s' is no access mode: choose from %s", (int)len, text,
		mode_names(known, sizeof(known)));
	return -EINVAL;
}

struct pci_named *plx_pci_named_find(const struct pci_named_list *list, const char *name)
{
	struct pci_named *named;

	TAILQ_FOREACH(named, list, link) {
		if (!strcmp(named->name, name))
			return named;
	}
	return NULL;
}

/* Splits "key=value,key=value": the bus's own keys are carried out, the driver's kept. */
static int parse_keys(struct pci_named *named, const char *device, const char *text)
{
	const char *equals;
	size_t len, at = 0;

	for (;; text += len + 1) {
		len = strcspn(text, ",");
		equals = memchr(text, '=', len);
		if (!equals || equals == text) {
			plx_err("-a %s: '%.*s' is not of the form key=value", device, (int)len,
				text);
			return -EINVAL;
		}
		if (equals - text == 4 && !memcmp(text, "mode", 4)) {
			if (named->modes) {
				plx_err("-a %s: mode= is given twice", device);
				return -EINVAL;
			}
			if (parse_mode(equals + 1, text + len - equals - 1, &named->modes))
				return -EINVAL;
		} else {
			if (at)
				named->args[at++] = ',';
			memcpy(named->args + at, text, len);
			at += len;
		}
		if (!text[len])
			break;
	}
	named->args[at] = '\0';
	return 0;
}

/* Takes "broker:PATH," off the front of a name. */
static int read_broker(const char **value, struct pci_named *named)
{
	static const char scheme[] = "broker:";
	const char *path = *value + strlen(scheme);
	size_t len;

	if (strncmp(*value, scheme, strlen(scheme)))
		return 0;
	len = strcspn(path, ",");
	if (!len || len >= sizeof(((struct sockaddr_un *)NULL)->sun_path) || !path[len] ||
	    plx_pci_is_user(path + len + 1)) {
		plx_err("'%.64s' is no device of a broker's: write broker:PATH,ADDRESS", *value);
		return -EINVAL;
	}
	memcpy(named->broker, path, len);
	*value = path + len + 1;
	return 0;
}

static int set_allow(struct pci_options *options, const char *value)
{
	struct pci_named *named;
	size_t len;
	int err;

	/* The name and the driver's keys are parts of the value, so its length is room enough. */
	named = plx_sys->alloc(sizeof(*named) + strlen(value) + 1);
	if (!named)
		return no_memory();
	err = read_broker(&value, named);
	len = strcspn(value, ",");
	if (!err) {
		memcpy(named->args, value, len);
		err = read_name(named->args, named);
		memset(named->args, 0, len);
	}
	if (!err && plx_pci_named_find(&options->allow, named->name)) {
		plx_err("-a %s: the function is named twice", named->name);
		err = -EINVAL;
	}
	if (!err && value[len])
		err = parse_keys(named, named->name, value + len + 1);
	if (err)
		plx_sys->free(named);
	else
		TAILQ_INSERT_TAIL(&options->allow, named, link);
	return err;
}

static int set_block(struct pci_options *options, const char *value)
{
	struct pci_named *named;
	uint64_t addr;

	if (plx_pci_addr_parse(value, true, &addr))
		return bad_address(value);
	named = plx_sys->alloc(sizeof(*named) + 1);
	if (!named)
		return no_memory();
	named->addr = addr;
	plx_pci_addr_name(addr, named->name);
	TAILQ_INSERT_TAIL(&options->block, named, link);
	return 0;
}

static int set_modes(struct pci_options *options, const char *value)
{
	unsigned modes = 0;
	size_t len;

	for (;; value += len + 1) {
		len = strcspn(value, ",");
		if (parse_mode(value, len, &modes))
			return -EINVAL;
		if (!value[len])
			break;
	}
	options->modes = modes;
	return 0;
}

static int set_noiommu(struct pci_options *options, const char *value)
{
	(void)value;
	options->allow_noiommu = true;
	return 0;
}

static int set_iova(struct pci_options *options, const char *value)
{
	if (strcmp(value, "va") && strcmp(value, "alloc")) {
		plx_err("--iova=%s: va or alloc is wanted; physical addresses are taken where they "
			"must be",
			value);
		return -EINVAL;
	}
	options->addr_said = true;
	options->addr = *value == 'v' ? PLX_ADDR_VA : PLX_ADDR_ALLOC;
	return 0;
}

/* A UUID as RFC 9562, section 4, writes it: 8-4-4-4-12 hex digits. */
static bool is_uuid(const char *text)
{
	unsigned i;

	for (i = 0; i < PCI_UUID_LEN; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
			return false;
	}
	return !text[i];
}

static int set_vf_token(struct pci_options *options, const char *value)
{
	if (!is_uuid(value)) {
		plx_err("--vfio-vf-token: '%s' is no UUID "
			"(8-4-4-4-12 hex digits, as uuidgen prints)",
			value);
		return -EINVAL;
	}
	memcpy(options->vf_token, value, PCI_UUID_LEN + 1);
	return 0;
}

static const struct option_def option_defs[] = {
	{ "--allow", 'a', "a PCI address, user:PATH or broker:PATH,ADDRESS", set_allow },
	{ "--block", 'b', "a PCI address", set_block },
	{ "--vfio-mode", 0, "access modes", set_modes },
	{ "--allow-noiommu", 0, NULL, set_noiommu },
	{ "--iova", 0, "va or alloc", set_iova },
	{ "--vfio-vf-token", 0, "a UUID", set_vf_token },
};

/*
 * Whether arg is the option, and where in arg its value begins: NULL if that is the next argument
 * or there is none.
 */
static bool option_is(const struct option_def *def, const char *arg, const char **value)
{
	size_t len = strlen(def->name);

	*value = NULL;
	if (!strncmp(arg, def->name, len) && (!arg[len] || arg[len] == '=')) {
		if (arg[len])
			*value = arg + len + 1;
		return true;
	}
	if (def->letter && arg[0] == '-' && arg[1] == def->letter) {
		if (arg[2])
			*value = arg + 2;
		return true;
	}
	return false;
}

static const struct option_def *option_find(const char *arg, const char **value)
{
	size_t i;

	for (i = 0; i < sizeof(option_defs) / sizeof(option_defs[0]); i++) {
		if (option_is(&option_defs[i], arg, value))
			return &option_defs[i];
	}
	return NULL;
}

/*
 * Carries out the option at argv[0], of argc left. Returns how many arguments it took, or -errno.
 */
static int option_take(struct pci_options *options, const struct option_def *def, int argc,
		       char **argv, const char *value)
{
	int err, took = 1;

	if (!def->value && value) {
		plx_err("%s takes no value", def->name);
		return -EINVAL;
	}
	/* No value that we know begins with a dash: one was forgotten rather than meant. */
	if (def->value && !value && argc > 1 && argv[1][0] != '-')
		value = argv[took++];
	if (def->value && (!value || !*value)) {
		plx_err("%s wants %s", def->name, def->value);
		return -EINVAL;
	}
	err = def->set(options, value);
	return err ? err : took;
}

int plx_pci_options_parse(struct pci_options *options, int *argc, char **argv)
{
	const struct option_def *def;
	const char *value;
	int i = 1, took;

	while (i < *argc && strcmp(argv[i], "--")) {
		def = option_find(argv[i], &value);
		if (!def) {
			i++;
			continue;
		}
		took = option_take(options, def, *argc - i, argv + i, value);
		if (took < 0)
			return took;
		*argc -= took;
		memmove(argv + i, argv + i + took, (*argc - i) * sizeof(*argv));
		argv[*argc] = NULL;
	}
	if (!TAILQ_EMPTY(&options->allow) && !TAILQ_EMPTY(&options->block)) {
		plx_err("--allow and --block exclude each other: only what is allowed is used");
		return -EINVAL;
	}
	return 0;
}

void plx_pci_options_init(struct pci_options *options)
{
	*options = (struct pci_options){ .modes = PLX_VFIO_ALL_MODES };
	TAILQ_INIT(&options->allow);
	TAILQ_INIT(&options->block);
}

static void free_list(struct pci_named_list *list)
{
	struct pci_named *named;

	while ((named = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, named, link);
		plx_sys->free(named);
	}
}

void plx_pci_options_free(struct pci_options *options)
{
	free_list(&options->allow);
	free_list(&options->block);
}

void plx_pci_usage(FILE *out)
{
	char known[128];

	fprintf(out,
		"PCI bus options:\n"
		"  -a, --allow NAME[,mode=MODE][,KEY=VALUE...]\n"
		"                        use only the functions named (may be repeated)\n"
		"  -b, --block NAME      never use this function (may be repeated; not with -a)\n"
		"  --vfio-mode MODE[,MODE...]\n"
		"                        access modes allowed for every function, of:\n"
		"                        %s\n"
		"  --allow-noiommu       accept devices that can reach all of memory, unprotected\n"
		"  --iova va|alloc       device addresses: virtual ones, or chosen ones; by itself what suits\n"
		"                        the IOMMUs\n"
		"  --vfio-vf-token UUID  for virtual functions of a function that VFIO holds\n"
		"NAME is a PCI address, like 0000:01:00.0 or 01:00.0. For -a it may be user:PATH, a\n"
		"device that another process serves at that vfio-user socket, or\n"
		"broker:PATH,ADDRESS, one that `plx-devbind broker` opens for us. Without -a, every\n"
		"function is used that is bound to vfio-pci and that a driver of this program takes.\n",
		mode_names(known, sizeof(known)));
}
