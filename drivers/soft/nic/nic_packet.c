/* SPDX-License-Identifier: BSD-3-Clause */
#include "nic_packet.h"

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd

#define IPV4_MIN 20
#define TCP_MIN	 20
#define UDP_LEN	 8

static void headers_l4(uint8_t proto, struct nic_headers *h)
{
	if (h->fragment)
		return;
	h->tcp = proto == NIC_PROTO_TCP && h->end - h->l4 >= TCP_MIN;
	h->udp = proto == NIC_PROTO_UDP && h->end - h->l4 >= UDP_LEN;
}

static void headers_ipv4(const uint8_t *frame, uint32_t len, struct nic_headers *h)
{
	const uint8_t *ip = frame + h->l3;
	uint32_t header, total;

	if (len - h->l3 < IPV4_MIN || ip[0] >> 4 != 4)
		return;
	header = (ip[0] & 0xf) * 4u;
	total = nic_be16(ip + 2);
	if (header < IPV4_MIN || total < header || total > len - h->l3)
		return;
	h->ipv4 = true;
	h->fragment = nic_be16(ip + 6) & 0x3fff;
	h->l4 = h->l3 + header;
	h->end = h->l3 + total;
	headers_l4(ip[9], h);
}

/* Without extension headers: behind them the hardware looks for neither TCP nor UDP here. */
static void headers_ipv6(const uint8_t *frame, uint32_t len, struct nic_headers *h)
{
	const uint8_t *ip = frame + h->l3;
	uint32_t payload;

	if (len - h->l3 < NIC_IPV6_LEN || ip[0] >> 4 != 6)
		return;
	payload = nic_be16(ip + 4);
	if (payload > len - h->l3 - NIC_IPV6_LEN)
		return;
	h->ipv6 = true;
	h->l4 = h->l3 + NIC_IPV6_LEN;
	h->end = h->l4 + payload;
	headers_l4(ip[6], h);
}

void nic_headers(const uint8_t *frame, uint32_t len, uint16_t vet, struct nic_headers *h)
{
	uint16_t type = nic_be16(frame + 12);

	memset(h, 0, sizeof(*h));
	h->l3 = NIC_ETH_LEN;
	if (type == vet && len >= NIC_ETH_LEN + NIC_TAG_LEN) {
		h->l3 += NIC_TAG_LEN;
		type = nic_be16(frame + h->l3 - 2);
	}
	if (type == ETHERTYPE_IPV4)
		headers_ipv4(frame, len, h);
	else if (type == ETHERTYPE_IPV6)
		headers_ipv6(frame, len, h);
}

uint16_t nic_sum(const uint8_t *bytes, uint32_t len, uint32_t start)
{
	uint64_t sum = start;

	for (; len > 1; len -= 2, bytes += 2)
		sum += nic_be16(bytes);
	if (len)
		sum += (uint32_t)*bytes << 8;
	while (sum >> 16)
		sum = (sum & UINT16_MAX) + (sum >> 16);
	return (uint16_t)sum;
}

bool nic_ip_sound(const uint8_t *frame, const struct nic_headers *h)
{
	return nic_sum(frame + h->l3, h->l4 - h->l3, 0) == UINT16_MAX;
}

bool nic_l4_sound(const uint8_t *frame, const struct nic_headers *h)
{
	const uint32_t len = h->end - h->l4;
	uint32_t pseudo = (h->tcp ? NIC_PROTO_TCP : NIC_PROTO_UDP) + len;

	pseudo += h->ipv4 ? nic_sum(frame + h->l3 + 12, 8, 0) : nic_sum(frame + h->l3 + 8, 32, 0);
	return nic_sum(frame + h->l4, len, pseudo) == UINT16_MAX;
}

/* Four bits at a time: few frames come with their FCS, and the table is small. */
uint32_t nic_fcs(const uint8_t *frame, uint32_t len)
{
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
		0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	uint32_t crc = UINT32_MAX;

	while (len--) {
		crc ^= *frame++;
		crc = crc >> 4 ^ table[crc & 0xf];
		crc = crc >> 4 ^ table[crc & 0xf];
	}
	return ~crc;
}
