/* SPDX-License-Identifier: BSD-3-Clause */
/* Capability chains and growing answers of the kernel, well-formed and hostile; and the ABI. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "caps.h"
#include "fake_abi.h"
#include "fake_vfio.h"
#include "uapi.h"

static void put(void *info, size_t at, uint16_t id, uint32_t next)
{
	struct vfio_info_cap_header head = { .id = id, .version = 1, .next = next };

	memcpy((char *)info + at, &head, sizeof(head));
}

static void a_chain_is_followed(void **state)
{
	char *info = calloc(1, 100);
	size_t room = 0;

	(void)state;
	put(info, 40, 7, 80);
	put(info, 80, 9, 60);
	put(info, 60, 5, 0);
	assert_ptr_equal(plx_cap_find(info, 100, 40, 7, 8, &room), info + 40);
	assert_int_equal(room, 60);
	assert_ptr_equal(plx_cap_find(info, 100, 40, 5, 40, &room), info + 60);
	assert_int_equal(room, 40);
	assert_ptr_equal(plx_cap_find(info, 100, 40, 9, 8, &room), info + 80);
	assert_null(plx_cap_find(info, 100, 40, 6, 8, &room));
	assert_null(plx_cap_find(info, 100, 0, 7, 8, &room));
	free(info);
}

static void a_chain_that_loops_ends(void **state)
{
	char *info = calloc(1, 64);
	size_t room;

	(void)state;
	put(info, 16, 1, 32);
	put(info, 32, 2, 16);
	assert_null(plx_cap_find(info, 64, 16, 3, 8, &room));
	put(info, 16, 1, 16);
	assert_null(plx_cap_find(info, 64, 16, 3, 8, &room));
	/* Headers that lie in one another. */
	put(info, 16, 1, 17);
	assert_null(plx_cap_find(info, 64, 16, 0x1234, 8, &room));
	free(info);
}

static void a_chain_that_leaves_the_answer_ends(void **state)
{
	static const uint32_t at[] = { 57, 60, 63, 64, 65, 4096, UINT32_MAX - 3, UINT32_MAX };
	char *info = calloc(1, 64); /* exact: a read beyond it is caught by the sanitizer */
	size_t i, room;

	(void)state;
	for (i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		assert_null(plx_cap_find(info, 64, at[i], 0, 8, &room));
		put(info, 16, 1, at[i]);
		assert_null(plx_cap_find(info, 64, 16, 2, 8, &room));
	}
	/* There, but cut short. */
	put(info, 56, 3, 0);
	assert_non_null(plx_cap_find(info, 64, 56, 3, 8, &room));
	assert_null(plx_cap_find(info, 64, 56, 3, 9, &room));
	free(info);
}

/* An ioctl that wants so much more room each time, up to a limit. */
static uint32_t grow, limit, seen;

static bool growing(int fd, unsigned long request, void *arg, int *result)
{
	uint32_t *argsz = arg;

	(void)fd;
	(void)request;
	seen++;
	memset(argsz + 1, 0x5a, *argsz - 4);
	if (*argsz < limit)
		*argsz += grow;
	*result = 0;
	return true;
}

static void an_answer_may_grow(void **state)
{
	uint32_t init[4] = { 0, 1, 2, 3 };
	void *info;
	size_t len;

	(void)state;
	fake_start(FAKE_A);
	fake.hook = growing;
	grow = 100;
	limit = 200;
	seen = 0;
	assert_int_equal(plx_info_get(1, 0x1234, init, sizeof(init), &info, &len), 0);
	assert_int_equal(len, 216);
	assert_int_equal(seen, 3);
	plx_sys->free(info);
	fake_stop();
}

static void an_answer_may_not_grow_for_ever(void **state)
{
	uint32_t init[4] = { 0 };
	void *info = NULL;
	size_t len;

	(void)state;
	fake_start(FAKE_A);
	fake.hook = growing;
	limit = UINT32_MAX;
	seen = 0;
	for (grow = 1; grow; grow = grow < 0x80000000 ? grow * 16 : 0) {
		assert_true(plx_info_get(1, 0x1234, init, sizeof(init), &info, &len) < 0);
		assert_true(seen < 1000);
	}
	fake_stop();
}

static bool refusing(int fd, unsigned long request, void *arg, int *result)
{
	(void)fd;
	(void)request;
	*(uint32_t *)arg = 1 << 30;
	*result = -EIO;
	return true;
}

static void an_error_is_passed_on(void **state)
{
	uint32_t init[4] = { 0 };
	void *info;
	size_t len;

	(void)state;
	fake_start(FAKE_A);
	fake.hook = refusing;
	assert_int_equal(plx_info_get(1, 0x1234, init, sizeof(init), &info, &len), -EIO);
	fake_stop();
}

/* The two hands that wrote down the ABI agree. */
#define SAME(a, b, field)                                                                         \
	do {                                                                                      \
		assert_int_equal(offsetof(struct a, field), offsetof(struct b, field));           \
		assert_int_equal(sizeof(((struct a *)0)->field), sizeof(((struct b *)0)->field)); \
	} while (0)

static void the_abi_is_the_kernels(void **state)
{
	(void)state;
	assert_int_equal(UAPI_IOMMU_DESTROY, 0x3b80);
	assert_int_equal(UAPI_IOAS_ALLOC, 0x3b81);
	assert_int_equal(UAPI_IOAS_IOVA_RANGES, 0x3b84);
	assert_int_equal(UAPI_IOAS_MAP, 0x3b85);
	assert_int_equal(UAPI_IOAS_UNMAP, 0x3b86);
	assert_int_equal(UAPI_VFIO_IOAS, 0x3b88);
	assert_int_equal(UAPI_IOAS_MAP_FILE, 0x3b8f);
	assert_int_equal(UAPI_IOAS_NOIOMMU_GET_PA, 0x3b95);
	assert_int_equal(UAPI_DEVICE_BIND_IOMMUFD, 0x3b76);
	assert_int_equal(UAPI_DEVICE_ATTACH_IOMMUFD_PT, 0x3b77);
	assert_int_equal(UAPI_DEVICE_DETACH_IOMMUFD_PT, 0x3b78);
	assert_int_equal(sizeof(struct uapi_iommu_destroy), 8);
	assert_int_equal(sizeof(struct uapi_ioas_alloc), 12);
	assert_int_equal(sizeof(struct uapi_ioas_iova_ranges), 32);
	assert_int_equal(sizeof(struct uapi_ioas_map), 40);
	assert_int_equal(sizeof(struct uapi_ioas_map_file), 40);
	assert_int_equal(sizeof(struct uapi_ioas_unmap), 24);
	assert_int_equal(sizeof(struct uapi_vfio_ioas), 12);
	assert_int_equal(sizeof(struct uapi_ioas_noiommu_get_pa), 40);
	assert_int_equal(sizeof(struct uapi_bind_iommufd), 24);
	assert_int_equal(UAPI_BIND_IOMMUFD_SIZE, 16);
	assert_int_equal(sizeof(struct uapi_attach_iommufd_pt), 12);
	assert_int_equal(sizeof(struct uapi_detach_iommufd_pt), 8);
	SAME(uapi_ioas_iova_ranges, fk_iova_ranges, num_iovas);
	SAME(uapi_ioas_iova_ranges, fk_iova_ranges, allowed_iovas);
	SAME(uapi_ioas_map, fk_ioas_map, user_va);
	SAME(uapi_ioas_map, fk_ioas_map, length);
	SAME(uapi_ioas_map, fk_ioas_map, iova);
	SAME(uapi_ioas_map_file, fk_map_file, fd);
	SAME(uapi_ioas_map_file, fk_map_file, start);
	SAME(uapi_ioas_map_file, fk_map_file, iova);
	SAME(uapi_ioas_unmap, fk_ioas_unmap, iova);
	SAME(uapi_ioas_unmap, fk_ioas_unmap, length);
	SAME(uapi_ioas_noiommu_get_pa, fk_get_pa, ioas_id);
	SAME(uapi_ioas_noiommu_get_pa, fk_get_pa, iova);
	SAME(uapi_ioas_noiommu_get_pa, fk_get_pa, length);
	SAME(uapi_ioas_noiommu_get_pa, fk_get_pa, out_phys);
	SAME(uapi_bind_iommufd, fk_bind_iommufd, out_devid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chain_is_followed),
		cmocka_unit_test(a_chain_that_loops_ends),
		cmocka_unit_test(a_chain_that_leaves_the_answer_ends),
		cmocka_unit_test(an_answer_may_grow),
		cmocka_unit_test(an_answer_may_not_grow_for_ever),
		cmocka_unit_test(an_error_is_passed_on),
		cmocka_unit_test(the_abi_is_the_kernels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
