# SPDX-License-Identifier: Apache-2.0
"""KVM's own interface on a host: a VMM of ours that asks it what it makes of an abort."""
