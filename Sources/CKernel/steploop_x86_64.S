/* The step loop, and the stub that carries it into an original task (x86_64).
 *
 * A step is 80 bytes (struct ckernel_step in CKernel.h):
 *
 *    0  s64 number        system call, or: 0 end, -1 wait, -2 advance
 *    8  u64 argument[6]
 *   56  s64 result        written by the loop
 *   64  u32 check         0 ignore, 1 no error, 2 equals `expected`
 *   68  u32 references    bit i: argument[i] is the address of the value
 *   72  s64 expected
 *
 * Registers: rbx the step, r12 the task's status slot, r13 where `end` goes. The loop uses no stack
 * and no memory but the step, the slot and what the steps name.
 *
 *   clone3   in the child: r12 = argument[4] (its slot), rbx = argument[5] (its program)
 *   wait     until the u32 at argument[0] is >= argument[1] (futex)
 *   advance  adds one to the u32 at argument[0] and wakes who waits for it
 *   end      jumps to r13. It is number 0 (read), which no step needs: memory that nobody has written
 *            a program to is an empty program, so a stub whose tool died too early goes straight home.
 *
 * Status slot: 0 u64 address of the step being executed, 8 u64 state (1 = failed), 16 s64 result.
 * A failed step writes state and result and ends the process with status 99.
 */
#if defined(__x86_64__)

.macro STEP_LOOP p
\p\()_next:
    mov  %rbx, (%r12)
    mov  68(%rbx), %ecx
    mov  (%rbx), %rax
    mov  8(%rbx), %rdi
    mov  16(%rbx), %rsi
    mov  24(%rbx), %rdx
    mov  32(%rbx), %r10
    mov  40(%rbx), %r8
    mov  48(%rbx), %r9
    test %ecx, %ecx
    jz   \p\()_call
    test $1, %cl
    jz   1f
    mov  (%rdi), %rdi
1:  test $2, %cl
    jz   1f
    mov  (%rsi), %rsi
1:  test $4, %cl
    jz   1f
    mov  (%rdx), %rdx
1:  test $8, %cl
    jz   1f
    mov  (%r10), %r10
1:  test $16, %cl
    jz   1f
    mov  (%r8), %r8
1:  test $32, %cl
    jz   \p\()_call
    mov  (%r9), %r9
\p\()_call:
    test %rax, %rax
    js   \p\()_special
    jz   \p\()_end
    syscall
    test %rax, %rax
    jnz  \p\()_returned
    cmpl $435, (%rbx)
    jne  \p\()_returned
    mov  40(%rbx), %r12
    mov  48(%rbx), %rbx
    jmp  \p\()_next
\p\()_returned:
    mov  %rax, 56(%rbx)
    mov  64(%rbx), %ecx
    test %ecx, %ecx
    jz   \p\()_ok
    cmp  $2, %ecx
    je   1f
    cmp  $-4095, %rax
    jae  \p\()_failed
    jmp  \p\()_ok
1:  cmp  72(%rbx), %rax
    jne  \p\()_failed
\p\()_ok:
    add  $80, %rbx
    jmp  \p\()_next
\p\()_special:
    cmp  $-2, %rax
    je   2f
1:  mov  (%rdi), %edx          /* wait */
    cmp  %esi, %edx
    jae  \p\()_ok
    mov  $202, %eax
    xor  %esi, %esi            /* FUTEX_WAIT, shared */
    xor  %r10d, %r10d
    syscall
    mov  16(%rbx), %rsi
    jmp  1b
2:  lock incl (%rdi)           /* advance */
    mov  $202, %eax
    mov  $1, %esi              /* FUTEX_WAKE, shared */
    mov  $0x7fffffff, %edx
    syscall
    jmp  \p\()_ok
\p\()_end:
    jmp  *%r13
\p\()_failed:
    mov  %rax, 16(%r12)
    movq $1, 8(%r12)
    mov  $231, %eax            /* exit_group */
    mov  $99, %edi
    syscall
    ud2
.endm

    .section .rodata
    .balign 16
    .globl ckernel_steploop_start, ckernel_steploop_end
ckernel_steploop_start:
    STEP_LOOP loop
ckernel_steploop_end:

/* The stub lies in the slack of an original task's vdso. The tool fills the words at its head, then
 * sets the instruction pointer to stub_entry. If the tool dies at any instant, the stub finds its own
 * way: it runs what it was given, waits at most stub_wait, unmaps its working memory, restores mask and
 * registers, and jumps to where the kernel would have gone on. The stack is written only below the red
 * zone, and only on that lonely way home. */
    .balign 16
    .globl ckernel_stub_start, ckernel_stub_end, ckernel_stub_entry, ckernel_stub_home
ckernel_stub_start:
stub_mask:    .quad 0                  /*   0 the thread's own signal mask */
stub_all:     .quad -1                 /*   8 */
stub_memory:  .quad 0                  /*  16 where working memory goes */
stub_size:    .quad 0                  /*  24 its size */
stub_wait:    .quad 0, 0               /*  32 timespec of the last step */
stub_regs:    .fill 18, 8, 0           /*  48 rax rbx rcx rdx rsi rdi rbp r8..r15 rsp rip flags */
ckernel_stub_entry:
    mov  $14, %eax                     /* rt_sigprocmask(SIG_SETMASK, all) */
    mov  $2, %edi
    lea  stub_all(%rip), %rsi
    xor  %edx, %edx
    mov  $8, %r10d
    syscall
    mov  $9, %eax                      /* mmap(memory, size, RW, PRIVATE|ANONYMOUS|FIXED_NOREPLACE) */
    mov  stub_memory(%rip), %rdi
    mov  stub_size(%rip), %rsi
    mov  $3, %edx
    mov  $0x100022, %r10d
    mov  $-1, %r8
    xor  %r9d, %r9d
    syscall
    cmp  stub_memory(%rip), %rax
    jne  stub_unmapped
    lea  64(%rax), %rbx                /* the program; the word at 0 says "done", the slot is at 16 */
    lea  16(%rax), %r12
    lea  stub_done(%rip), %r13
    STEP_LOOP stub
stub_done:
    mov  stub_memory(%rip), %rax
    movq $1, (%rax)
    mov  $271, %eax                    /* ppoll(NULL, 0, wait): bounded, leaves no restart block */
    xor  %edi, %edi
    xor  %esi, %esi
    lea  stub_wait(%rip), %rdx
    xor  %r10d, %r10d
    xor  %r8d, %r8d
    syscall
ckernel_stub_home:
    mov  $11, %eax                     /* munmap */
    mov  stub_memory(%rip), %rdi
    mov  stub_size(%rip), %rsi
    syscall
stub_unmapped:
    mov  15*8+stub_regs(%rip), %rsp
    mov  $14, %eax                     /* rt_sigprocmask(SIG_SETMASK, the thread's own) */
    mov  $2, %edi
    lea  stub_mask(%rip), %rsi
    xor  %edx, %edx
    mov  $8, %r10d
    syscall
    lea  -128(%rsp), %rsp
    pushq 17*8+stub_regs(%rip)
    popfq
    lea  128(%rsp), %rsp
    mov  stub_regs(%rip), %rax
    mov  1*8+stub_regs(%rip), %rbx
    mov  2*8+stub_regs(%rip), %rcx
    mov  3*8+stub_regs(%rip), %rdx
    mov  4*8+stub_regs(%rip), %rsi
    mov  5*8+stub_regs(%rip), %rdi
    mov  6*8+stub_regs(%rip), %rbp
    mov  7*8+stub_regs(%rip), %r8
    mov  8*8+stub_regs(%rip), %r9
    mov  9*8+stub_regs(%rip), %r10
    mov  10*8+stub_regs(%rip), %r11
    mov  11*8+stub_regs(%rip), %r12
    mov  12*8+stub_regs(%rip), %r13
    mov  13*8+stub_regs(%rip), %r14
    mov  14*8+stub_regs(%rip), %r15
    jmp  *16*8+stub_regs(%rip)
ckernel_stub_end:

/* long ckernel_clone3_into_loop(args, size, program, slot, loop)
 * clone3; the child goes on at `program` in the loop at address `loop` and never returns. */
    .text
    .globl ckernel_clone3_into_loop
    .type ckernel_clone3_into_loop, @function
ckernel_clone3_into_loop:
    push %rbx
    push %r12
    push %r13
    mov  %rdx, %rbx
    mov  %rcx, %r12
    mov  %r8, %r9
    xor  %r13d, %r13d
    mov  $435, %eax
    syscall
    test %rax, %rax
    jz   1f
    pop  %r13
    pop  %r12
    pop  %rbx
    ret
1:  jmp  *%r9
    .size ckernel_clone3_into_loop, . - ckernel_clone3_into_loop
#endif
    .section .note.GNU-stack,"",@progbits
