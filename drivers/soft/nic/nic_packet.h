/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a frame holds, its checksums and its FCS. Frames are untrusted, and may change while they
 * are looked at: offsets that were found once stay within the length, whatever the bytes become.
 */
#ifndef NIC_PACKET_H
#define NIC_PACKET_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define NIC_ETH_LEN  14
#define NIC_TAG_LEN  4
#define NIC_FCS_LEN  4
#define NIC_IPV6_LEN 40

#define NIC_PROTO_TCP 6
#define NIC_PROTO_UDP 17

struct nic_headers {
	uint32_t l3, l4, end; /* offsets; end is that of the IP packet, padding is behind it */
	bool ipv4, ipv6;
	bool fragment;
	bool tcp, udp; /* with a whole header, and no fragment */
};

static inline uint16_t nic_be16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline void nic_put_be16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static inline uint32_t nic_be32(const uint8_t *at)
{
	return (uint32_t)nic_be16(at) << 16 | nic_be16(at + 2);
}

static inline void nic_put_be32(uint8_t *at, uint32_t value)
{
	nic_put_be16(at, value >> 16);
	nic_put_be16(at + 2, value);
}

static inline bool nic_is_broadcast(const uint8_t *mac)
{
	return nic_be32(mac) == UINT32_MAX && nic_be16(mac + 4) == UINT16_MAX;
}

/* vet: the EtherType of a VLAN tag. len is at least that of an Ethernet header. */
void nic_headers(const uint8_t *frame, uint32_t len, uint16_t vet, struct nic_headers *h);

/* The Internet checksum's sum of some bytes [RFC 1071], not complemented; sum is added. */
uint16_t nic_sum(const uint8_t *bytes, uint32_t len, uint32_t sum);

/* Whether the checksum of the IPv4 header, or of TCP or UDP, is right. */
bool nic_ip_sound(const uint8_t *frame, const struct nic_headers *h);
bool nic_l4_sound(const uint8_t *frame, const struct nic_headers *h);

/* The FCS as it lies behind a frame, little-endian [IEEE 802.3, 3.2.9]. */
uint32_t nic_fcs(const uint8_t *frame, uint32_t len);

#endif
