# SPDX-License-Identifier: GPL-3.0-or-later
"""The RRD files, and what writes and reads them."""
