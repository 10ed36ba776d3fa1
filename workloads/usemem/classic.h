/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef CLASSIC_H
#define CLASSIC_H

/*
 * Let argv be options of this program if it is a classic command line, that is
 * one with single dashes or an operand; returns the count of arguments.
 */
int classic_translate(int argc, char ***argv);

#endif
