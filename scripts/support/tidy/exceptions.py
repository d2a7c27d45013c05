# SPDX-License-Identifier: BSD-3-Clause
"""The only place where a rule is waived: (rule, path pattern, part of the message, why). An entry
that matches nothing is reported as well, so that none outlives its reason."""

EXCEPTIONS = []
