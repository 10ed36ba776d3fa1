# SPDX-License-Identifier: GPL-2.0-only
"""Mails as they are: parsed within bounds, found by message-id, sorted into postings.

It must not apply a patch or know a kernel tree.
"""
