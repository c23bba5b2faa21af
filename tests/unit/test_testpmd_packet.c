/* SPDX-License-Identifier: BSD-3-Clause */
/* What plx-testpmd's engines do to packets, well-formed and hostile ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <rte_ip.h>

#include "packet.h"

static const struct rte_ether_addr our_mac = { { 2, 0, 0, 0, 0, 0x11 } };
static const uint8_t their_mac[] = { 2, 0, 0, 0, 0, 0x22 };

/* RFC 826: who has 192.0.2.1, asks 192.0.2.2. */
static const uint8_t arp_request[] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,	 0, 0, 0, 0, 0x22, 0x08, 0x06, /* Ethernet */
	0,    1,    0x08, 0,	6,    4,    0,	 1,			       /* request */
	2,    0,    0,	  0,	0,    0x22, 192, 0, 2, 2,		       /* sender */
	0,    0,    0,	  0,	0,    0,    192, 0, 2, 1,		       /* target */
};

/* An echo request from 192.0.2.2 with id 0x1234, sequence number 1 and 4 bytes of data. */
static const uint8_t echo_request[] = {
	2,    0, 0,   0,  0,	0x11, 2,    0, 0,   0,	 0,   0x22, 0x08, 0, /* Ethernet */
	0x45, 0, 0,   32, 0,	1,    0x40, 0, 64,  1,	 0,   0,    192,  0,
	2,    2, 192, 0,  2,	1,				   /* IPv4 */
	8,    0, 0,   0,  0x12, 0x34, 0,    1, 'p', 'i', 'n', 'g', /* ICMP */
};

#define IP   14
#define ICMP 34

/* A frame in a buffer of exactly its length, so that a sanitizer sees each byte too far. */
struct frame {
	struct rte_mbuf m;
	uint8_t *bytes;
	uint8_t before[256];
	size_t len;
};

static void frame_make(struct frame *f, const uint8_t *bytes, size_t len)
{
	memset(f, 0, sizeof(*f));
	f->bytes = malloc(len ? len : 1);
	assert_non_null(f->bytes);
	memcpy(f->bytes, bytes, len);
	memcpy(f->before, bytes, len);
	f->len = len;
	f->m.buf_addr = f->bytes;
	f->m.nb_segs = 1;
	f->m.data_len = (uint16_t)len;
	f->m.pkt_len = (uint32_t)len;
}

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* RFC 1071, written another way than the code under test has it. */
static uint16_t checksum(const uint8_t *at, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? at[i] : (uint32_t)at[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void seal(uint8_t *frame, size_t icmp_len)
{
	put16(frame + IP + 10, 0);
	put16(frame + IP + 10, checksum(frame + IP, 20));
	put16(frame + ICMP + 2, 0);
	put16(frame + ICMP + 2, checksum(frame + ICMP, icmp_len));
}

static void make_echo(struct frame *f)
{
	uint8_t bytes[sizeof(echo_request)];

	memcpy(bytes, echo_request, sizeof(bytes));
	seal(bytes, sizeof(bytes) - ICMP);
	frame_make(f, bytes, sizeof(bytes));
}

static const struct responder everybody = { .mac = { { 2, 0, 0, 0, 0, 0x11 } } };

/* No answer, and nothing changed. */
static void refuses(struct frame *f, const struct responder *self)
{
	assert_false(packet_answer(&f->m, self));
	assert_memory_equal(f->bytes, f->before, f->len);
	free(f->bytes);
}

static void test_macswap(void **state)
{
	uint8_t frame[20], want[20];

	(void)state;
	for (uint8_t i = 0; i < sizeof(frame); i++)
		want[i < 6 ? i + 6 : i < 12 ? i - 6 : i] = frame[i] = i;
	packet_swap_macs(frame);
	assert_memory_equal(frame, want, sizeof(want));
}

static void test_set_macs(void **state)
{
	uint8_t frame[14] = { 0 }, macs[12] = "abcdefghijkl", want[14] = "abcdefghijkl\0\0";

	(void)state;
	packet_set_macs(frame, macs);
	assert_memory_equal(frame, want, sizeof(want));
}

static void test_arp_answered(void **state)
{
	struct frame f;

	(void)state;
	frame_make(&f, arp_request, sizeof(arp_request));
	assert_true(packet_answer(&f.m, &everybody));
	assert_memory_equal(f.bytes, their_mac, 6);
	assert_memory_equal(f.bytes + 6, &our_mac, 6);
	assert_int_equal(f.bytes[21], 2);
	assert_memory_equal(f.bytes + 22, &our_mac, 6);
	assert_memory_equal(f.bytes + 28, "\xc0\0\2\1", 4);
	assert_memory_equal(f.bytes + 32, their_mac, 6);
	assert_memory_equal(f.bytes + 38, "\xc0\0\2\2", 4);
	free(f.bytes);
}

static void test_echo_answered(void **state)
{
	struct frame f;

	(void)state;
	make_echo(&f);
	assert_true(packet_answer(&f.m, &everybody));
	assert_memory_equal(f.bytes, their_mac, 6);
	assert_memory_equal(f.bytes + 6, &our_mac, 6);
	assert_memory_equal(f.bytes + IP + 12, "\xc0\0\2\1\xc0\0\2\2", 8);
	assert_int_equal(f.bytes[ICMP], 0);
	assert_int_equal(checksum(f.bytes + IP, 20), 0);
	assert_int_equal(checksum(f.bytes + ICMP, f.len - ICMP), 0);
	assert_memory_equal(f.bytes + ICMP + 4, echo_request + ICMP + 4,
			    sizeof(echo_request) - ICMP - 4);
	free(f.bytes);
}

/* The update of the checksum carries: try every value of the identifier. */
static void test_echo_checksum_always_right(void **state)
{
	(void)state;
	for (unsigned id = 0; id < 0x10000; id++) {
		struct frame f;
		uint8_t bytes[sizeof(echo_request)];

		memcpy(bytes, echo_request, sizeof(bytes));
		put16(bytes + ICMP + 4, (uint16_t)id);
		seal(bytes, sizeof(bytes) - ICMP);
		frame_make(&f, bytes, sizeof(bytes));
		if (!packet_answer(&f.m, &everybody) || checksum(f.bytes + ICMP, f.len - ICMP) != 0)
			fail_msg("identifier %u", id);
		free(f.bytes);
	}
}

static void test_vlan_tags(void **state)
{
	static const uint8_t tags[] = { 0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 0x81, 0, 0, 7 };
	uint8_t bytes[sizeof(echo_request) + sizeof(tags)];
	struct frame f, plain;

	(void)state;
	make_echo(&plain);
	for (size_t n = 1; n <= 3; n++) {
		memcpy(bytes, plain.bytes, 12);
		memcpy(bytes + 12, tags, 4 * n);
		memcpy(bytes + 12 + 4 * n, plain.bytes + 12, plain.len - 12);
		frame_make(&f, bytes, plain.len + 4 * n);
		if (n == 3) { /* more than anybody uses */
			refuses(&f, &everybody);
			break;
		}
		assert_true(packet_answer(&f.m, &everybody));
		assert_memory_equal(f.bytes + 12, tags, 4 * n);
		assert_int_equal(f.bytes[ICMP + 4 * n], 0);
		assert_int_equal(checksum(f.bytes + ICMP + 4 * n, plain.len - ICMP), 0);
		free(f.bytes);
	}
	free(plain.bytes);
}

static void test_address_restricted(void **state)
{
	struct responder self = everybody;
	struct frame f;

	(void)state;
	self.net = (struct responder_net){ .net = RTE_BE32(0xc0000201), .mask = UINT32_MAX };
	make_echo(&f);
	assert_true(packet_answer(&f.m, &self));
	free(f.bytes);
	self.net.net = RTE_BE32(0xc0000203);
	make_echo(&f);
	refuses(&f, &self);
	frame_make(&f, arp_request, sizeof(arp_request));
	refuses(&f, &self);
	self.net =
		(struct responder_net){ .net = RTE_BE32(0xc0000200), .mask = RTE_BE32(0xffffff00) };
	frame_make(&f, arp_request, sizeof(arp_request));
	assert_true(packet_answer(&f.m, &self));
	free(f.bytes);
}

/* Cut anywhere, a request gets no answer and nothing behind its end is touched. */
static void test_truncated(void **state)
{
	struct frame f;
	uint8_t echo[sizeof(echo_request)];

	(void)state;
	for (size_t len = 0; len < sizeof(arp_request); len++) {
		frame_make(&f, arp_request, len);
		refuses(&f, &everybody);
	}
	memcpy(echo, echo_request, sizeof(echo));
	seal(echo, sizeof(echo) - ICMP);
	for (size_t len = 0; len < sizeof(echo); len++) {
		frame_make(&f, echo, len);
		refuses(&f, &everybody);
	}
	/* The rest may be in other buffers; then the headers suffice. */
	frame_make(&f, echo, ICMP + 8);
	f.m.pkt_len = sizeof(echo);
	assert_true(packet_answer(&f.m, &everybody));
	free(f.bytes);
}

/* One byte changed each; sealed again, so that only the change itself can be the reason. */
static void test_malformed(void **state)
{
	static const struct {
		const char *what;
		uint8_t at, value;
	} changes[] = {
		{ "an IPv6 header", IP, 0x65 },
		{ "a header of 16 bytes", IP, 0x44 },
		{ "a header that runs past the end", IP, 0x4f },
		{ "a total length of less than the headers", IP + 3, 27 },
		{ "a total length of more than there is", IP + 3, 33 },
		{ "the first of several fragments", IP + 6, 0x20 },
		{ "a later fragment", IP + 7, 1 },
		{ "UDP", IP + 9, 17 },
		{ "a request from a group", IP + 12, 224 },
		{ "a request to a group", IP + 16, 239 },
		{ "a request to everybody", IP + 16, 255 },
		{ "an echo reply", ICMP, 0 },
		{ "an echo request of code 1", ICMP + 1, 1 },
		{ "an Ethernet type of somebody else", 12, 0x86 },
		{ "another host's MAC", 5, 0x33 },
		{ "a group as source MAC", 6, 3 },
	};
	static const uint8_t arp_at[][2] = {
		{ 15, 6 }, { 16, 0x86 }, { 18, 8 }, { 19, 16 }, { 21, 2 }, { 21, 3 }, { 6, 3 },
	};
	struct frame f;

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		uint8_t bytes[sizeof(echo_request)];

		memcpy(bytes, echo_request, sizeof(bytes));
		bytes[changes[i].at] = changes[i].value;
		seal(bytes, sizeof(bytes) - ICMP);
		frame_make(&f, bytes, sizeof(bytes));
		if (packet_answer(&f.m, &everybody))
			fail_msg("%s was answered", changes[i].what);
		assert_memory_equal(f.bytes, f.before, f.len);
		free(f.bytes);
	}
	for (size_t i = 0; i < sizeof(arp_at) / sizeof(arp_at[0]); i++) {
		frame_make(&f, arp_request, sizeof(arp_request));
		f.bytes[arp_at[i][0]] = f.before[arp_at[i][0]] = arp_at[i][1];
		refuses(&f, &everybody);
	}
	make_echo(&f);
	f.bytes[IP + 8] ^= 1; /* a damaged header: the time to live without its checksum */
	f.before[IP + 8] ^= 1;
	refuses(&f, &everybody);
}

/* Random bytes behind a valid Ethernet header; the sanitizers look on. */
static void test_noise(void **state)
{
	static const uint8_t types[][2] = { { 8, 0 }, { 8, 6 }, { 0x81, 0 }, { 0x88, 0xa8 } };
	unsigned seed = 1;

	(void)state;
	for (unsigned n = 0; n < 100000; n++) {
		uint8_t bytes[96];
		size_t len = (size_t)(rand_r(&seed) % (int)sizeof(bytes)) + 1;
		struct frame f;

		for (size_t i = 0; i < len; i++)
			bytes[i] = (uint8_t)(rand_r(&seed) >> 8);
		if (len >= 14) {
			memcpy(bytes, &our_mac, 6);
			memcpy(bytes + 6, their_mac, 6);
			memcpy(bytes + 12, types[n % 4], 2);
		}
		if (len > IP)
			bytes[IP] = 0x45;
		frame_make(&f, bytes, len);
		packet_answer(&f.m, &everybody);
		free(f.bytes);
	}
}

static void test_pattern(void **state)
{
	uint8_t frame[FRAME_MAX + 1];
	uint64_t seq;

	(void)state;
	for (uint16_t len = FRAME_MIN; len <= 300; len++) {
		memset(frame, 0x55, sizeof(frame));
		pattern_fill(frame, len, len * UINT64_C(0x100000001));
		assert_int_equal(frame[len], 0x55);
		assert_true(pattern_seq(frame, len, &seq));
		assert_int_equal(seq, len * UINT64_C(0x100000001));
		assert_true(pattern_check(frame, len, seq));
		assert_false(pattern_check(frame, len - 1, seq));
		assert_false(pattern_check(frame, len, seq + 1));
		/* Any bit behind the addresses. */
		for (unsigned bit = 12 * 8; bit < len * 8u; bit++) {
			frame[bit / 8] ^= 1 << (bit % 8);
			assert_false(pattern_check(frame, len, seq));
			frame[bit / 8] ^= 1 << (bit % 8);
		}
		packet_swap_macs(frame);
		assert_true(pattern_check(frame, len, seq));
	}
	assert_false(pattern_seq(frame, FRAME_MIN - 1, &seq));
	frame[13] ^= 1;
	assert_false(pattern_seq(frame, 300, &seq));
}

static void test_pattern_words_move(void **state)
{
	uint8_t frame[512], word[8];
	uint64_t seq;

	(void)state;
	pattern_fill(frame, sizeof(frame), 7);
	assert_true(pattern_seq(frame, sizeof(frame), &seq));
	memcpy(word, frame + 64, 8);
	memcpy(frame + 64, frame + 128, 8);
	memcpy(frame + 128, word, 8);
	assert_false(pattern_check(frame, sizeof(frame), 7));
}

static void test_write_over_segments(void **state)
{
	uint8_t from[100], a[10], b[1], c[89];
	struct rte_mbuf third = { .buf_addr = c, .data_len = sizeof(c) };
	struct rte_mbuf second = { .buf_addr = b, .data_len = sizeof(b), .next = &third };
	struct rte_mbuf first = {
		.buf_addr = a, .data_len = sizeof(a), .pkt_len = 100, .nb_segs = 3, .next = &second
	};

	(void)state;
	for (uint8_t i = 0; i < sizeof(from); i++)
		from[i] = i + 1;
	packet_write(&first, from, sizeof(from));
	assert_memory_equal(a, from, 10);
	assert_memory_equal(b, from + 10, 1);
	assert_memory_equal(c, from + 11, 89);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_macswap),
		cmocka_unit_test(test_set_macs),
		cmocka_unit_test(test_arp_answered),
		cmocka_unit_test(test_echo_answered),
		cmocka_unit_test(test_echo_checksum_always_right),
		cmocka_unit_test(test_vlan_tags),
		cmocka_unit_test(test_address_restricted),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_pattern),
		cmocka_unit_test(test_pattern_words_move),
		cmocka_unit_test(test_write_over_segments),
	};

	return cmocka_run_group_tests_name("testpmd packets", tests, NULL, NULL);
}
