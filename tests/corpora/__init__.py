# SPDX-License-Identifier: GPL-2.0-only
"""What the parsers make of other people's consoles, mails and files; none of them is kept here."""
