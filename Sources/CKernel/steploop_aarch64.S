/* The step loop, and the stub that carries it into an original task (aarch64).
 *
 * Steps, slots and meaning are those of steploop_x86_64.S, where they are drawn. Registers: x19 the
 * step, x20 the task's status slot, x21 where `end` goes. Neither needs a stack. Number 0 (`end`) is
 * io_setup here, which no step needs either.
 *
 * Of clone the kernel does not look at the fifth argument without its flags, and there is no sixth.
 *
 * Source: include/uapi/asm-generic/unistd.h; Documentation/arch/arm64.
 */
#if defined(__aarch64__)

.macro STEP_LOOP p
\p\()_next:
    str  x19, [x20]
    ldr  w9, [x19, #68]
    ldp  x8, x0, [x19]
    ldp  x1, x2, [x19, #16]
    ldp  x3, x4, [x19, #32]
    ldr  x5, [x19, #48]
    cbz  w9, \p\()_call
    tbz  w9, #0, 1f
    ldr  x0, [x0]
1:  tbz  w9, #1, 1f
    ldr  x1, [x1]
1:  tbz  w9, #2, 1f
    ldr  x2, [x2]
1:  tbz  w9, #3, 1f
    ldr  x3, [x3]
1:  tbz  w9, #4, 1f
    ldr  x4, [x4]
1:  tbz  w9, #5, \p\()_call
    ldr  x5, [x5]
\p\()_call:
    tbnz x8, #63, \p\()_special
    cbz  x8, \p\()_end
    svc  #0
    cbnz x0, \p\()_returned
    ldr  x9, [x19]                     /* x8 may be restart_syscall now */
    cmp  x9, #435                      /* clone3 */
    b.eq 1f
    cmp  x9, #220                      /* clone */
    b.ne \p\()_returned
1:  ldp  x20, x9, [x19, #40]
    mov  x19, x9
    b    \p\()_next
\p\()_returned:
    str  x0, [x19, #56]
    ldr  w9, [x19, #64]
    cbz  w9, \p\()_ok
    cmp  w9, #2
    b.eq 1f
    cmn  x0, #4095                     /* carries from -4095 up */
    b.hs \p\()_failed
    b    \p\()_ok
1:  ldr  x9, [x19, #72]
    cmp  x0, x9
    b.ne \p\()_failed
\p\()_ok:
    add  x19, x19, #80
    b    \p\()_next
\p\()_special:
    mov  x10, x0
    mov  w11, w1
    cmn  x8, #2
    b.eq 2f
1:  ldar w2, [x10]                     /* wait */
    cmp  w2, w11
    b.hs \p\()_ok
    mov  x0, x10
    mov  x1, #0                        /* FUTEX_WAIT, shared */
    mov  x3, #0
    mov  x8, #98                       /* futex */
    svc  #0
    b    1b
2:  ldaxr w9, [x10]                    /* advance */
    add  w9, w9, #1
    stlxr w12, w9, [x10]
    cbnz w12, 2b
    dmb  ish
    mov  x1, #1                        /* FUTEX_WAKE, shared */
    mov  w2, #0x7fffffff
    mov  x8, #98
    svc  #0
    b    \p\()_ok
\p\()_end:
    br   x21
\p\()_failed:
    str  x0, [x20, #16]
    mov  x9, #1
    str  x9, [x20, #8]
    mov  x0, #99
    mov  x8, #94                       /* exit_group */
    svc  #0
    brk  #0
.endm

    .section .rodata
    .balign 16
    .globl ckernel_steploop_start, ckernel_steploop_end
ckernel_steploop_start:
    STEP_LOOP loop
ckernel_steploop_end:

/* The stub lies in the slack of an original task's vdso, as on x86_64, and finds its own way home if the
 * tool dies at any instant. It writes no stack. The vdso may be guarded by branch target identification:
 * what is entered from elsewhere or through a register begins with a landing pad.
 *
 * A jump needs its target in a register, and the thread owns all of them. There are two ways home:
 *
 *   near   within 128 MiB, as from the vdso to the C library: the tool writes a plain branch over the last
 *          instruction, and every register comes back.
 *   far    as assembled: x17 comes back holding the address. x17 (IP1) belongs to the linker's veneers,
 *          which may change it at any call; a thread that is not at a system call and whose home is far
 *          must not be given to the stub. `ret`, since it may land anywhere in guarded pages.
 *
 * A system call ends streaming mode and drops what SVE registers hold beyond V0 ... V31: a thread that has
 * such state and is not at a call of its own must not be given to the stub either.
 * Source: Documentation/arch/arm64/sve.rst, sme.rst.
 */
    .balign 16
    .globl ckernel_stub_start, ckernel_stub_end, ckernel_stub_entry, ckernel_stub_home, ckernel_stub_branch
ckernel_stub_start:
stub_mask:    .quad 0                  /*   0 the thread's own signal mask */
stub_all:     .quad -1                 /*   8 */
stub_memory:  .quad 0                  /*  16 where working memory goes */
stub_size:    .quad 0                  /*  24 its size */
stub_wait:    .quad 0, 0               /*  32 timespec of the last step */
stub_regs:    .fill 34, 8, 0           /*  48 struct user_pt_regs: x0 ... x30 sp pc pstate */
ckernel_stub_entry:
    hint #38                           /* bti jc */
    mov  x8, #135                      /* rt_sigprocmask(SIG_SETMASK, all) */
    mov  x0, #2
    adr  x1, stub_all
    mov  x2, #0
    mov  x3, #8
    svc  #0
    mov  x8, #222                      /* mmap(memory, size, RW, PRIVATE|ANONYMOUS|FIXED_NOREPLACE) */
    ldr  x0, stub_memory
    ldr  x1, stub_size
    mov  x2, #3
    mov  x3, #0x22
    movk x3, #0x10, lsl #16
    mov  x4, #-1
    mov  x5, #0
    svc  #0
    ldr  x9, stub_memory
    cmp  x0, x9
    b.ne stub_unmapped
    add  x19, x0, #64                  /* the program; the word at 0 says "done", the slot is at 16 */
    add  x20, x0, #16
    adr  x21, stub_done
    STEP_LOOP stub
stub_done:
    hint #38
    ldr  x0, stub_memory
    mov  x1, #1
    str  x1, [x0]
    mov  x8, #73                       /* ppoll(NULL, 0, wait): bounded, leaves no restart block */
    mov  x0, #0
    mov  x1, #0
    adr  x2, stub_wait
    mov  x3, #0
    mov  x4, #0
    svc  #0
ckernel_stub_home:
    hint #38
    mov  x8, #215                      /* munmap */
    ldr  x0, stub_memory
    ldr  x1, stub_size
    svc  #0
stub_unmapped:
    mov  x8, #135                      /* rt_sigprocmask(SIG_SETMASK, the thread's own) */
    mov  x0, #2
    adr  x1, stub_mask
    mov  x2, #0
    mov  x3, #8
    svc  #0
    adr  x30, stub_regs
    ldp  x0, x1, [x30, #31*8]          /* sp */
    mov  sp, x0
    ldr  x0, [x30, #33*8]              /* pstate */
    msr  nzcv, x0
    ldp  x0, x1, [x30]
    ldp  x2, x3, [x30, #2*8]
    ldp  x4, x5, [x30, #4*8]
    ldp  x6, x7, [x30, #6*8]
    ldp  x8, x9, [x30, #8*8]
    ldp  x10, x11, [x30, #10*8]
    ldp  x12, x13, [x30, #12*8]
    ldp  x14, x15, [x30, #14*8]
    ldp  x16, x17, [x30, #16*8]
    ldp  x18, x19, [x30, #18*8]
    ldp  x20, x21, [x30, #20*8]
    ldp  x22, x23, [x30, #22*8]
    ldp  x24, x25, [x30, #24*8]
    ldp  x26, x27, [x30, #26*8]
    ldp  x28, x29, [x30, #28*8]
    ldr  x30, [x30, #30*8]
    b    1f                            /* replaced by a branch home where that is near */
ckernel_stub_branch = . - 4
1:  ldr  x17, stub_regs + 32*8
    ret  x17
ckernel_stub_end:

/* long ckernel_clone3_into_loop(args, size, program, slot, loop)
 * clone3; the child goes on at `program` in the loop at address `loop` and never returns. */
    .text
    .globl ckernel_clone3_into_loop
    .type ckernel_clone3_into_loop, %function
ckernel_clone3_into_loop:
    hint #34                           /* bti c */
    mov  x8, #435
    svc  #0
    cbz  x0, 1f
    ret
1:  mov  x19, x2
    mov  x20, x3
    mov  x21, #0
    br   x4
    .size ckernel_clone3_into_loop, . - ckernel_clone3_into_loop

/* long ckernel_clone_into_loop(flags, program, slot, loop): the same by clone. */
    .globl ckernel_clone_into_loop
    .type ckernel_clone_into_loop, %function
ckernel_clone_into_loop:
    hint #34                           /* bti c */
    mov  x9, x1
    mov  x10, x2
    mov  x11, x3
    mov  x1, #0
    mov  x2, #0
    mov  x3, #0
    mov  x4, #0
    mov  x8, #220
    svc  #0
    cbz  x0, 1f
    ret
1:  mov  x19, x9
    mov  x20, x10
    mov  x21, #0
    br   x11
    .size ckernel_clone_into_loop, . - ckernel_clone_into_loop
#endif
    .section .note.GNU-stack,"",%progbits
