# SPDX-License-Identifier: GPL-3.0-or-later
"""The dashboard in a real browser (headless Chromium), used as a person does."""
