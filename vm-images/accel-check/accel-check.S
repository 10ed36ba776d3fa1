/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The accelerator check: a boot sector that does what a kernel does first.
 *
 * A /dev/kvm that opens, and that even runs the firmware, may still not run a
 * guest kernel.  So this turns on paging and long mode, runs a counted loop
 * there with a store in it, and only then ends QEMU through isa-debug-exit
 * (port 0xf4) with the byte 0x2a, which QEMU turns into exit status
 * (0x2a << 1) | 1 = 85.  Anything else, or silence, means "does not work".
 *
 * Assembled as 16-bit code at 0x7c00; the page tables lie at 0x1000-0x3fff.
 */
	.code16
	.globl _start
_start:
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7c00, %sp

	/* Clear three pages, then map the first 2 MiB onto themselves. */
	cld
	movw	$0x1000, %di
	movw	$0x1800, %cx
	rep stosw
	movw	$0x2003, 0x1000		/* PML4[0] -> PDPT, present, writable */
	movw	$0x3003, 0x2000		/* PDPT[0] -> PD */
	movw	$0x0083, 0x3000		/* PD[0]: a 2 MiB page at 0 */

	movl	$0x20, %eax		/* CR4.PAE */
	movl	%eax, %cr4
	movl	$0x1000, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx	/* EFER.LME */
	rdmsr
	orl	$0x100, %eax
	wrmsr
	lgdt	gdt_pointer
	movl	%cr0, %eax
	orl	$0x80000001, %eax	/* CR0.PG, CR0.PE */
	movl	%eax, %cr0
	ljmp	$0x08, $long_mode

	.code64
long_mode:
	movl	$LOOPS, %ecx
1:	movl	%ecx, 0x4000
	decl	%ecx
	jnz	1b
	movw	$0xf4, %dx
	movb	$0x2a, %al
	outb	%al, %dx
2:	hlt
	jmp	2b

	.balign	8
gdt:	.quad	0
	.quad	0x00209a0000000000	/* 64-bit code */
gdt_pointer:
	.word	. - gdt - 1
	.long	gdt

	.org	510
	.word	0xaa55
