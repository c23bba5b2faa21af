/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzzing the vfio-user server: the input is a script of what a client sends and what happens in
 * between, one byte an operation.
 *
 *      MESSAGE  cmd, flags, descriptors, length, body: a message whose header has the right size
 *      RAW      length, bytes: whatever
 *      POLL     the server's turn
 *      READ     takes what the server sent
 *      SHRINK   pages: the file behind the maps gets shorter
 *      GROW     and longer again
 *      DMA      address, length: the model reads and writes the client's memory
 *      LOOK     address: the model touches memory that it has looked up
 *      RAISE    kind, vector
 *      HELLO    VERSION, so that not every script must find it
 *
 * Nothing may crash or leak; when the descriptor of the server has nothing more to say, there must
 * be no client and no descriptor more. Waiting for an answer times out at once.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pollux/log.h>
#include <pollux/vfu.h>

#include "input.h"
#include "must.h"
#include "sock.h"
#include "sys.h"

#define PAGE	   4096u
#define FILE_PAGES 16
#define KINDS	   6

enum { MESSAGE, RAW, POLL, READ, SHRINK, GROW, DMA, LOOK, RAISE, HELLO, OPS };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct plx_vfu *vfu;
static char path[64];
static int file, kinds[KINDS];
static uint8_t registers[2 * PAGE];

/*
 * The model: registers of two pages, and four of them start something.
 */
static void touch(uint64_t iova, size_t len)
{
	volatile uint8_t *va = plx_vfu_dma(vfu, iova, len, PLX_DMA_READ);
	volatile uint8_t *to = plx_vfu_dma(vfu, iova, len, PLX_DMA_WRITE);

	if (va)
		(void)(va[0] + va[len - 1]);
	if (to)
		to[0] = to[len - 1] = 1;
}

static int access_registers(void *model, unsigned region, uint64_t offset, void *buf, size_t len,
			    bool write)
{
	uint8_t *bytes = buf;

	(void)model;
	must(len && (region == 0 || region == 7));
	must(offset < sizeof(registers) && len <= sizeof(registers) - offset);
	must(region == 7 || offset + len <= PAGE || offset >= 2 * PAGE);
	if (!write) {
		memcpy(buf, registers + offset, len);
		return 0;
	}
	memcpy(registers + offset, buf, len);
	switch (offset) {
	case 0x10: return plx_vfu_dma_read(vfu, (uint64_t)bytes[0] << 12, registers, 64);
	case 0x14: return plx_vfu_dma_write(vfu, (uint64_t)bytes[0] << 12, registers, 64);
	case 0x18: plx_vfu_irq(vfu, bytes[0], bytes[len - 1]); break;
	case 0x1c: touch((uint64_t)bytes[0] << 12, 1 + bytes[len - 1]); break;
	}
	return 0;
}

static void reset(void *model, enum plx_vfu_reset why)
{
	(void)model;
	if (why == PLX_VFU_RESET_GONE)
		must(!plx_vfu_dma(vfu, 0, 1, 0));
	memset(registers, 0, sizeof(registers));
}

static const struct plx_vfu_ops ops = { .access = access_registers, .reset = reset };
static const struct plx_vfio_area area = { PAGE, PAGE };

static const struct plx_vfu_desc desc = {
	.name = "fuzz",
	.ops = &ops,
	.region = { [0] = { 2 * PAGE, &area, 1 }, [7] = { 256, NULL, 0 } },
	.irqs = { 1, 0, 5, 1, 1 },
};

static void quiet(void *ctx, enum plx_log_level level, const char *line)
{
	(void)ctx;
	(void)level;
	(void)line;
}

static int poll_now(struct pollfd *fds, nfds_t nfds, int timeout_ms)
{
	(void)timeout_ms;
	return plx_sys_kernel.poll(fds, nfds, 0);
}

static void remove_socket(void)
{
	plx_vfu_destroy(vfu);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static struct plx_sys sys;
	int pipes[2], pair[2];

	(void)argc;
	(void)argv;
	sys = plx_sys_kernel;
	sys.poll = poll_now;
	plx_sys = &sys;
	plx_log_set_sink(quiet, NULL);
	file = memfd_create("fuzz", MFD_CLOEXEC);
	must(file >= 0 && !ftruncate(file, FILE_PAGES * PAGE));
	must(!pipe2(pipes, O_NONBLOCK) && !socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	kinds[0] = kinds[1] = file;
	kinds[2] = eventfd(0, 0);
	kinds[3] = eventfd(0, 0);
	kinds[4] = pipes[1];
	kinds[5] = pair[0];
	snprintf(path, sizeof(path), "/tmp/plx-vfu-fuzz-%d", getpid());
	must(!plx_vfu_create(&desc, NULL, path, &vfu));
	atexit(remove_socket);
	return 0;
}

/*
 * The client.
 */
static void send_message(int client, const struct vfu_header *header, const void *body, size_t len,
			 const int *fds, unsigned nfds)
{
	const struct iovec iov[] = { { (void *)header, sizeof(*header) }, { (void *)body, len } };

	plx_vfu_tx(client, iov, 2, fds, nfds);
}

static void message(int client, struct input *in)
{
	uint8_t body[256], cmd = byte(in), flags = byte(in), spec = byte(in), len = byte(in);
	struct vfu_header header = {
		.id = cmd, .cmd = cmd, .size = sizeof(header) + len, .flags = flags
	};
	int fds[VFU_MAX_FDS];
	unsigned nfds = spec >> 3, i;

	if (nfds > VFU_MAX_FDS)
		nfds = 0;
	for (i = 0; i < nfds; i++)
		fds[i] = kinds[((spec & 7) + i / 2) % KINDS];
	take(in, body, len);
	send_message(client, &header, body, len, fds, nfds);
}

static void raw(int client, struct input *in)
{
	uint8_t bytes[256], len = byte(in);
	const struct iovec iov = { bytes, len };

	take(in, bytes, len);
	plx_vfu_tx(client, &iov, 1, kinds, len & 1);
}

static void hello(int client)
{
	static const char body[] = "\0\0\1\0{\"capabilities\":{\"max_msg_fds\":8,"
				   "\"max_data_xfer_size\":48,\"write_multiple\":true}}";
	const struct vfu_header header = { .cmd = VFU_VERSION,
					   .size = sizeof(header) + sizeof(body) };

	send_message(client, &header, body, sizeof(body), NULL, 0);
	plx_vfu_poll(vfu);
}

static void take_replies(int client)
{
	char bytes[4096];

	while (recv(client, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

static void model_dma(struct input *in)
{
	uint8_t bytes[512];
	uint64_t iova;
	uint16_t len;

	take(in, &iova, sizeof(iova));
	take(in, &len, sizeof(len));
	len %= sizeof(bytes) + 1;
	if (plx_vfu_dma_read(vfu, iova, bytes, len))
		memset(bytes, 0, sizeof(bytes));
	plx_vfu_dma_write(vfu, iova, bytes, len);
}

static void look(struct input *in)
{
	uint64_t iova;

	take(in, &iova, sizeof(iova));
	touch(iova, 1 + byte(in) * UINT64_C(64));
}

static void raise_irq(struct input *in)
{
	unsigned kind = byte(in), vector = byte(in);

	plx_vfu_irq(vfu, kind, vector);
	plx_vfu_irq_armed(vfu, kind, vector);
}

static void one(int client, struct input *in)
{
	switch (byte(in) % OPS) {
	case MESSAGE: message(client, in); break;
	case RAW: raw(client, in); break;
	case POLL: must(plx_vfu_poll(vfu) >= 0); break;
	case READ: take_replies(client); break;
	case SHRINK: must(!ftruncate(file, byte(in) % FILE_PAGES * PAGE)); break;
	case GROW: must(!ftruncate(file, FILE_PAGES * PAGE)); break;
	case DMA: model_dma(in); break;
	case LOOK: look(in); break;
	case RAISE: raise_irq(in); break;
	case HELLO: hello(client); break;
	}
}

static unsigned open_fds(void)
{
	unsigned count = 0;
	int fd;

	for (fd = 0; fd < 64; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct pollfd pfd = { .fd = plx_vfu_fd(vfu), .events = POLLIN };
	unsigned before = open_fds();
	int client = plx_vfu_connect(path);

	must(client >= 0);
	must(plx_vfu_poll(vfu) == 1);
	while (in.left)
		one(client, &in);
	close(client);
	while (plx_sys_kernel.poll(&pfd, 1, 0))
		must(plx_vfu_poll(vfu) >= 0);
	must(!plx_vfu_poll(vfu) && !plx_vfu_connected(vfu) && !plx_vfu_dma(vfu, 0, 1, 0));
	must(!ftruncate(file, FILE_PAGES * PAGE));
	must(open_fds() == before);
	return 0;
}
