/* SPDX-License-Identifier: BSD-3-Clause */
/* Status values by the names that the specifications give them [Base 3.3.3.2.1, NVM 3.1.1]. */
#include <string.h>

#include <pollux/nvme.h>

static const struct {
	uint16_t code;
	const char *name;
} names[] = {
	{ PLX_NVME_SUCCESS, "Successful Completion" },
	{ PLX_NVME_INVALID_OPCODE, "Invalid Command Opcode" },
	{ PLX_NVME_INVALID_FIELD, "Invalid Field in Command" },
	{ PLX_NVME_CID_CONFLICT, "Command ID Conflict" },
	{ PLX_NVME_DATA_TRANSFER_ERROR, "Data Transfer Error" },
	{ PLX_NVME_ABORTED_POWER_LOSS, "Commands Aborted due to Power Loss Notification" },
	{ PLX_NVME_INTERNAL_ERROR, "Internal Error" },
	{ PLX_NVME_ABORTED_BY_REQUEST, "Command Abort Requested" },
	{ PLX_NVME_ABORTED_SQ_DELETION, "Command Aborted due to SQ Deletion" },
	{ 0x009, "Command Aborted due to Failed Fused Command" },
	{ 0x00a, "Command Aborted due to Missing Fused Command" },
	{ PLX_NVME_INVALID_NAMESPACE, "Invalid Namespace or Format" },
	{ PLX_NVME_COMMAND_SEQUENCE_ERROR, "Command Sequence Error" },
	{ PLX_NVME_INVALID_SGL_SEGMENT, "Invalid SGL Segment Descriptor" },
	{ PLX_NVME_INVALID_SGL_COUNT, "Invalid Number of SGL Descriptors" },
	{ PLX_NVME_DATA_SGL_LENGTH_INVALID, "Data SGL Length Invalid" },
	{ 0x010, "Metadata SGL Length Invalid" },
	{ PLX_NVME_SGL_TYPE_INVALID, "SGL Descriptor Type Invalid" },
	{ PLX_NVME_INVALID_CMB_USE, "Invalid Use of Controller Memory Buffer" },
	{ PLX_NVME_INVALID_PRP_OFFSET, "PRP Offset Invalid" },
	{ 0x014, "Atomic Write Unit Exceeded" },
	{ 0x015, "Operation Denied" },
	{ 0x016, "SGL Offset Invalid" },
	{ 0x018, "Host Identifier Inconsistent Format" },
	{ 0x019, "Keep Alive Timer Expired" },
	{ 0x01a, "Keep Alive Timeout Invalid" },
	{ 0x01b, "Command Aborted due to Preempt and Abort" },
	{ 0x01c, "Sanitize Failed" },
	{ 0x01d, "Sanitize In Progress" },
	{ 0x01e, "SGL Data Block Granularity Invalid" },
	{ 0x01f, "Command Not Supported for Queue in CMB" },
	{ 0x020, "Namespace is Write Protected" },
	{ 0x021, "Command Interrupted" },
	{ 0x022, "Transient Transport Error" },
	{ PLX_NVME_LBA_OUT_OF_RANGE, "LBA Out of Range" },
	{ PLX_NVME_CAPACITY_EXCEEDED, "Capacity Exceeded" },
	{ PLX_NVME_NAMESPACE_NOT_READY, "Namespace Not Ready" },
	{ 0x083, "Reservation Conflict" },
	{ PLX_NVME_FORMAT_IN_PROGRESS, "Format In Progress" },
	{ PLX_NVME_INVALID_CQ, "Completion Queue Invalid" },
	{ PLX_NVME_INVALID_QID, "Invalid Queue Identifier" },
	{ PLX_NVME_INVALID_QUEUE_SIZE, "Invalid Queue Size" },
	{ PLX_NVME_ABORT_LIMIT, "Abort Command Limit Exceeded" },
	{ PLX_NVME_ASYNC_EVENT_LIMIT, "Asynchronous Event Request Limit Exceeded" },
	{ 0x106, "Invalid Firmware Slot" },
	{ 0x107, "Invalid Firmware Image" },
	{ PLX_NVME_INVALID_VECTOR, "Invalid Interrupt Vector" },
	{ PLX_NVME_INVALID_LOG_PAGE, "Invalid Log Page" },
	{ PLX_NVME_INVALID_FORMAT, "Invalid Format" },
	{ 0x10b, "Firmware Activation Requires Conventional Reset" },
	{ PLX_NVME_INVALID_QUEUE_DELETION, "Invalid Queue Deletion" },
	{ PLX_NVME_FEATURE_NOT_SAVEABLE, "Feature Identifier Not Saveable" },
	{ PLX_NVME_FEATURE_NOT_CHANGEABLE, "Feature Not Changeable" },
	{ 0x10f, "Feature Not Namespace Specific" },
	{ PLX_NVME_CONFLICTING_ATTRIBUTES, "Conflicting Attributes" },
	{ 0x181, "Invalid Protection Information" },
	{ PLX_NVME_WRITE_TO_READ_ONLY, "Attempted Write to Read Only Range" },
	{ 0x183, "Command Size Limit Exceeded" },
	{ PLX_NVME_WRITE_FAULT, "Write Fault" },
	{ PLX_NVME_UNRECOVERED_READ, "Unrecovered Read Error" },
	{ PLX_NVME_GUARD_CHECK, "End-to-end Guard Check Error" },
	{ PLX_NVME_APP_TAG_CHECK, "End-to-end Application Tag Check Error" },
	{ PLX_NVME_REF_TAG_CHECK, "End-to-end Reference Tag Check Error" },
	{ PLX_NVME_COMPARE_FAILURE, "Compare Failure" },
	{ 0x286, "Access Denied" },
	{ 0x287, "Deallocated or Unwritten Logical Block" },
	{ 0x300, "Internal Path Error" },
	{ 0x360, "Controller Pathing Error" },
	{ PLX_NVME_HOST_PATHING_ERROR, "Host Pathing Error" },
	{ PLX_NVME_ABORTED_BY_HOST, "Command Aborted By Host" },
};

const char *plx_nvme_status_name(uint16_t status)
{
	uint16_t code = status & PLX_NVME_STATUS_CODE;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].code == code)
			return names[i].name;
	/* Codes from C0h on, and a type, are the vendor's. */
	return code >> 8 == PLX_NVME_SCT_VENDOR || (code & 0xff) >= 0xc0 ? "vendor specific status"
									 : "unknown status";
}

const char *plx_nvme_error(int result)
{
	if (!result)
		return "success";
	return result > 0 ? plx_nvme_status_name((uint16_t)result) : strerror(-result);
}
