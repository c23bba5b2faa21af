/* SPDX-License-Identifier: BSD-3-Clause */
/* The 82574's model: checksums in and out, segments, and the hash that picks a queue. */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "nic_packet.h"
#include "soft_fake.h"

#define ANY  (E1000_RCTL_UPE | E1000_RCTL_MPE)
#define DONE (E1000_RXD_DD | E1000_RXD_EOP)
#define L3   14

#define DATA (E1000_TXD_DEXT | E1000_TXD_DTYP_D | E1000_TXD_IFCS)
#define END  (E1000_TXD_EOP | E1000_TXD_RS)
#define IXSM ((uint64_t)E1000_TXD_IXSM << 32)
#define TXSM ((uint64_t)E1000_TXD_TXSM << 32)

static uint8_t packet[4096];

static int setup_pair(void **state)
{
	*state = NULL;
	fake_pair(false);
	fake_start(0, ANY);
	fake_start(1, ANY);
	return 0;
}

static int setup_single(void **state)
{
	*state = NULL;
	fake_single();
	fake_start(0, ANY);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_end();
	return 0;
}

/* RFC 1071, the slow way. */
static uint16_t sum(const uint8_t *at, uint32_t len, uint32_t start)
{
	for (uint32_t i = 0; i < len; i++)
		start += i & 1 ? at[i] : at[i] << 8;
	while (start >> 16)
		start = (start & 0xffff) + (start >> 16);
	return start;
}

/* TCP or UDP over IPv4 or IPv6 with data bytes, checksums 0. Returns the frame's length. */
static uint32_t make(bool ipv6, uint8_t proto, uint32_t data)
{
	const uint32_t l3_len = ipv6 ? 40 : 20, l4_len = proto == NIC_PROTO_TCP ? 20 : 8;
	uint8_t *ip = packet + L3, *l4 = ip + l3_len;

	memset(packet, 0, sizeof(packet));
	packet[5] = 1;
	nic_put_be16(packet + 12, ipv6 ? 0x86dd : 0x0800);
	if (ipv6) {
		ip[0] = 0x60;
		nic_put_be16(ip + 4, l4_len + data);
		ip[6] = proto;
		for (unsigned i = 8; i < 40; i++)
			ip[i] = i;
	} else {
		ip[0] = 0x45;
		nic_put_be16(ip + 2, 20 + l4_len + data);
		nic_put_be16(ip + 4, 0x1234);
		ip[8] = 64;
		ip[9] = proto;
		memcpy(ip + 12, "\xc6\x12\x00\x01\xc6\x12\x00\x02", 8);
	}
	nic_put_be16(l4, 1000);
	nic_put_be16(l4 + 2, 2000);
	if (proto == NIC_PROTO_TCP) {
		nic_put_be32(l4 + 4, 0xfffffff0);
		l4[12] = 5 << 4;
		l4[13] = 0x19; /* FIN, PSH, ACK */
	} else {
		nic_put_be16(l4 + 4, 8 + data);
	}
	for (uint32_t i = 0; i < data; i++)
		l4[l4_len + i] = i * 3;
	return L3 + l3_len + l4_len + data;
}

static uint16_t pseudo(const uint8_t *frame, bool ipv6, uint8_t proto, uint32_t len)
{
	return sum(frame + L3 + (ipv6 ? 8 : 12), ipv6 ? 32 : 8, proto + len);
}

static bool sums_right(const uint8_t *frame, bool ipv6, uint8_t proto, uint32_t len)
{
	const uint32_t l4 = L3 + (ipv6 ? 40 : 20);

	return (ipv6 || sum(frame + L3, 20, 0) == 0xffff) &&
	       sum(frame + l4, len - l4, pseudo(frame, ipv6, proto, len - l4)) == 0xffff;
}

static void context(bool ipv6, uint8_t proto, uint64_t command)
{
	const uint64_t l4 = L3 + (ipv6 ? 40 : 20);
	const uint64_t offset = l4 + (proto == NIC_PROTO_TCP ? 16 : 6);

	fake_tx(0, L3 | (L3 + 10) << 8 | (l4 - 1) << 16 | l4 << 32 | offset << 40,
		command | E1000_TXD_DEXT | (ipv6 ? 0 : E1000_TXD_CTX_IP) |
			(proto == NIC_PROTO_TCP ? E1000_TXD_CTX_TCP : 0));
}

static void checksums_are_inserted(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		const bool ipv6 = i & 1;
		const uint8_t proto = i & 2 ? NIC_PROTO_TCP : NIC_PROTO_UDP;
		const uint32_t len = make(ipv6, proto, 101);
		const uint32_t l4 = L3 + (ipv6 ? 40 : 20);

		nic_put_be16(packet + l4 + (proto == NIC_PROTO_TCP ? 16 : 6),
			     pseudo(packet, ipv6, proto, len - l4));
		memcpy(fake_tx_buf(0, i), packet, len);
		context(ipv6, proto, 0);
		fake_tx(0, fake_tx_addr(0, i), len | DATA | END | TXSM | (ipv6 ? 0 : IXSM));
		fake_tx_tail(0);
		fake_turn();
		assert_int_equal(fake_sent_count, i + 1);
		assert_int_equal(fake_sent[i].len, len);
		assert_true(sums_right(fake_sent[i].data, ipv6, proto, len));
	}
	/* The last context holds until there is another one. */
	fake_tx(0, fake_tx_addr(0, 3), make(true, NIC_PROTO_TCP, 101) | DATA | END | TXSM);
	fake_tx_tail(0);
	fake_turn();
	assert_memory_equal(fake_sent[4].data, fake_sent[3].data, fake_sent[3].len);
}

static void legacy_descriptors_have_one_checksum(void **state)
{
	const uint32_t len = make(false, NIC_PROTO_UDP, 50);

	(void)state;
	nic_put_be16(packet + L3 + 20 + 6, pseudo(packet, false, NIC_PROTO_UDP, len - L3 - 20));
	nic_put_be16(packet + L3 + 10, ~sum(packet + L3, 20, 0));
	memcpy(fake_tx_buf(0, 0), packet, len);
	fake_tx(0, fake_tx_addr(0, 0),
		len | E1000_TXD_IFCS | END | NIC_TXD_IC | (uint64_t)(L3 + 20 + 6) << 16 |
			(uint64_t)(L3 + 20) << 40);
	fake_tx_tail(0);
	fake_turn();
	assert_true(sums_right(fake_sent[0].data, false, NIC_PROTO_UDP, len));
}

/* Long packets in two buffers, in segments that a cable takes two at a time. */
static void packets_are_cut_into_segments(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		const bool ipv6 = i & 1;
		const uint8_t proto = i & 2 ? NIC_PROTO_TCP : NIC_PROTO_UDP;
		const uint32_t data = 2500, mss = 400, len = make(ipv6, proto, data);
		const uint32_t l4 = L3 + (ipv6 ? 40 : 20), header = len - data;
		uint32_t slot, done = 0;

		nic_put_be16(packet + l4 + (proto == NIC_PROTO_TCP ? 16 : 6),
			     pseudo(packet, ipv6, proto, 0));
		memcpy(fake_tx_buf(0, 0), packet, header);
		memcpy(fake_tx_buf(0, 1), packet + header, 2000);
		memcpy(fake_tx_buf(0, 2), packet + header + 2000, 500);
		context(ipv6, proto,
			NIC_TXD_TSE | data | (uint64_t)header << 40 | (uint64_t)mss << 48);
		fake_tx(0, fake_tx_addr(0, 0),
			header | DATA | NIC_TXD_TSE | TXSM | (ipv6 ? 0 : IXSM));
		fake_tx(0, fake_tx_addr(0, 1), 2000 | DATA | NIC_TXD_TSE);
		slot = fake_tx(0, fake_tx_addr(0, 2), 500 | DATA | NIC_TXD_TSE | END);
		fake_tx_tail(0);
		fake_sent_count = 0;
		for (unsigned n = 0; n < 4; n++) {
			assert_false(fake_tx_ring(0, 0)[slot].data.status & E1000_TXD_DD);
			fake_cable_room = 2;
			fake_turn();
		}
		assert_true(fake_tx_ring(0, 0)[slot].data.status & E1000_TXD_DD);
		assert_int_equal(fake_sent_count, 7);
		for (unsigned n = 0; n < 7; n++) {
			const struct fake_sent *sent = &fake_sent[n];
			const uint32_t part = n < 6 ? mss : 100;

			assert_int_equal(sent->len, header + part);
			assert_memory_equal(sent->data + header, packet + header + done, part);
			assert_true(sums_right(sent->data, ipv6, proto, sent->len));
			if (ipv6) {
				assert_int_equal(nic_be16(sent->data + L3 + 4), sent->len - l4);
			} else {
				assert_int_equal(nic_be16(sent->data + L3 + 2), sent->len - L3);
				assert_int_equal(nic_be16(sent->data + L3 + 4), 0x1234 + n);
			}
			if (proto == NIC_PROTO_TCP) {
				assert_int_equal(nic_be32(sent->data + l4 + 4), 0xfffffff0 + done);
				assert_int_equal(sent->data[l4 + 13], n < 6 ? 0x10 : 0x19);
			} else {
				assert_int_equal(nic_be16(sent->data + l4 + 4), part + 8);
			}
			done += part;
		}
	}
	assert_int_equal(fake_reg(0, E1000_TSCTC), 4);
}

/* Segments of one byte: no turn is longer for them, and all of them go. */
static void tiny_segments_take_turns(void **state)
{
	const uint32_t data = 1400, len = make(false, NIC_PROTO_TCP, data), header = len - data;
	unsigned turns = 0;
	uint32_t slot;

	(void)state;
	memcpy(fake_tx_buf(0, 0), packet, len);
	context(false, NIC_PROTO_TCP,
		NIC_TXD_TSE | data | (uint64_t)header << 40 | (uint64_t)1 << 48);
	slot = fake_tx(0, fake_tx_addr(0, 0), len | DATA | NIC_TXD_TSE | IXSM | TXSM | END);
	fake_tx_tail(0);
	fake_cable_room = data;
	while (soft_nic_turn(fake_nic[0]))
		turns++;
	assert_int_equal(turns, 3);
	assert_int_equal(fake_cable_room, 0);
	assert_true(fake_tx_ring(0, 0)[slot].data.status & E1000_TXD_DD);
}

/* Headers that don't fit, no segment size: nothing is sent, nothing is touched. */
static void senseless_contexts_send_nothing(void **state)
{
	const uint64_t highs[] = {
		(uint64_t)54 << 40,			   /* no MSS */
		(uint64_t)53 << 40 | (uint64_t)400 << 48,  /* TCP header cut */
		(uint64_t)255 << 40 | (uint64_t)400 << 48, /* header longer than the packet */
		(uint64_t)54 << 40 | (uint64_t)65535 << 48,
	};

	(void)state;
	make(false, NIC_PROTO_TCP, 100);
	memcpy(fake_tx_buf(0, 0), packet, 154);
	for (unsigned i = 0; i < 4; i++) {
		context(false, NIC_PROTO_TCP, NIC_TXD_TSE | highs[i]);
		fake_tx(0, fake_tx_addr(0, 0), 154 | DATA | NIC_TXD_TSE | IXSM | TXSM | END);
	}
	/* Checksums outside of the frame. */
	fake_tx(0, UINT64_C(0xffffffffffffffff), E1000_TXD_DEXT);
	fake_tx(0, fake_tx_addr(0, 0), 154 | DATA | IXSM | TXSM | END);
	fake_tx_tail(0);
	fake_turn();
	assert_int_equal(fake_sent_count, 1);
	assert_memory_equal(fake_sent[0].data, packet, 154);
	assert_int_equal(fake_reg(0, E1000_TSCTFC), 4);
}

static uint32_t status(unsigned q, unsigned i)
{
	return le32toh(fake_rx_ring(1, q)[i].wb.status);
}

static void checksums_are_checked(void **state)
{
	const uint32_t what = E1000_RXD_IPCS | E1000_RXD_TCPCS | E1000_RXD_UDPCS | E1000_RXD_IPE |
			      E1000_RXD_TCPE | NIC_RXD_IXSM;
	uint32_t len;

	(void)state;
	fake_reg_set(1, E1000_RXCSUM,
		     E1000_RXCSUM_IPOFLD | E1000_RXCSUM_TUOFLD | E1000_RXCSUM_PCSD);
	/* right, TCP */
	len = make(false, NIC_PROTO_TCP, 11);
	nic_put_be16(packet + L3 + 10, ~sum(packet + L3, 20, 0));
	nic_put_be16(packet + 50, ~sum(packet + 34, len - 34, pseudo(packet, false, 6, len - 34)));
	fake_send(0, 0, packet, len);
	/* wrong, both */
	packet[L3 + 1] ^= 1;
	packet[len - 1] ^= 1;
	fake_send(0, 1, packet, len);
	/* UDP over IPv4 without, with a right IP header */
	len = make(false, NIC_PROTO_UDP, 30);
	nic_put_be16(packet + L3 + 10, ~sum(packet + L3, 20, 0));
	fake_send(0, 2, packet, len);
	/* UDP over IPv6, wrong */
	len = make(true, NIC_PROTO_UDP, 30);
	packet[L3 + 46] = 1;
	fake_send(0, 3, packet, len);
	/* A fragment: IP only */
	len = make(false, NIC_PROTO_TCP, 30);
	packet[L3 + 6] = 0x20;
	nic_put_be16(packet + L3 + 10, ~sum(packet + L3, 20, 0));
	fake_send(0, 4, packet, len);
	/* No IP; then lengths that lie */
	packet[12] = 0;
	fake_send(0, 5, packet, 64);
	make(false, NIC_PROTO_TCP, 2000);
	fake_send(0, 6, packet, 64);
	fake_turn();
	assert_int_equal(status(0, 0) & what, E1000_RXD_IPCS | E1000_RXD_TCPCS);
	assert_int_equal(status(0, 1) & what,
			 E1000_RXD_IPCS | E1000_RXD_TCPCS | E1000_RXD_IPE | E1000_RXD_TCPE);
	assert_int_equal(status(0, 2) & what, E1000_RXD_IPCS);
	assert_int_equal(status(0, 3) & what, E1000_RXD_UDPCS | E1000_RXD_TCPE);
	assert_int_equal(status(0, 4) & what, E1000_RXD_IPCS);
	assert_int_equal(status(0, 5) & what, NIC_RXD_IXSM);
	assert_int_equal(status(0, 6) & what, NIC_RXD_IXSM);
}

/* Microsoft's verification suite for RSS: its key, some of its addresses and results. */
static void the_hash_is_microsofts(void **state)
{
	static const uint8_t key[40] = {
		0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
		0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
		0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
	};
	uint32_t len;

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		uint32_t word;

		memcpy(&word, key + 4 * i, 4);
		fake_reg_set(1, E1000_RSSRK(i), le32toh(word));
	}
	/* Entries with an even number are queue 1's. */
	for (unsigned i = 0; i < 32; i++)
		fake_reg_set(1, E1000_RETA(i), 0x00800080);
	fake_reg_set(1, E1000_MRQC, E1000_MRQC_RSS | E1000_MRQC_IPV4 | E1000_MRQC_TCPIPV4);
	/* 66.9.149.187:2794 -> 161.142.100.80:1766 is 0x51ccc178, the addresses 0x323e8fc2 */
	len = make(false, NIC_PROTO_TCP, 20);
	memcpy(packet + L3 + 12, "\x42\x09\x95\xbb\xa1\x8e\x64\x50", 8);
	nic_put_be16(packet + 34, 2794);
	nic_put_be16(packet + 36, 1766);
	fake_send(0, 0, packet, len);
	packet[L3 + 9] = NIC_PROTO_UDP;
	fake_send(0, 1, packet, len);
	packet[12] = 0;
	fake_send(0, 2, packet, len);
	/* 38.27.205.30:48228 -> 209.142.163.6:2217 is 0xafc7327f, the last entry */
	make(false, NIC_PROTO_TCP, 20);
	memcpy(packet + L3 + 12, "\x26\x1b\xcd\x1e\xd1\x8e\xa3\x06", 8);
	nic_put_be16(packet + 34, 48228);
	nic_put_be16(packet + 36, 2217);
	fake_send(0, 3, packet, len);
	fake_turn();
	assert_int_equal(status(1, 0) & DONE, DONE);
	assert_int_equal(le32toh(fake_rx_ring(1, 1)[0].wb.rss), 0x51ccc178);
	assert_int_equal(le32toh(fake_rx_ring(1, 1)[0].wb.mrq), 0x101);
	assert_int_equal(le32toh(fake_rx_ring(1, 1)[1].wb.rss), 0x323e8fc2);
	assert_int_equal(le32toh(fake_rx_ring(1, 1)[1].wb.mrq), 0x102);
	/* What has no hash has that of 0: queue 1 by its entry. */
	assert_int_equal(le32toh(fake_rx_ring(1, 1)[2].wb.mrq), 0x100);
	assert_int_equal(le32toh(fake_rx_ring(1, 0)[0].wb.rss), 0xafc7327f);
	assert_int_equal(le32toh(fake_rx_ring(1, 0)[0].wb.mrq), 0x001);
	assert_int_equal(status(0, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(checksums_are_inserted, setup_single, teardown),
		cmocka_unit_test_setup_teardown(legacy_descriptors_have_one_checksum, setup_single,
						teardown),
		cmocka_unit_test_setup_teardown(packets_are_cut_into_segments, setup_single,
						teardown),
		cmocka_unit_test_setup_teardown(tiny_segments_take_turns, setup_single, teardown),
		cmocka_unit_test_setup_teardown(senseless_contexts_send_nothing, setup_single,
						teardown),
		cmocka_unit_test_setup_teardown(checksums_are_checked, setup_pair, teardown),
		cmocka_unit_test_setup_teardown(the_hash_is_microsofts, setup_pair, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
