# SPDX-License-Identifier: BSD-3-Clause
"""What the benchmarks' scripts share: plans, runs, rows, reports."""
