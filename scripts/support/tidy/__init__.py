# SPDX-License-Identifier: BSD-3-Clause
"""The rules of scripts/tidy."""
