/* The step loop, and the stub that carries it into an original task (x86_64).
 *
 * A step is 80 bytes (struct ckernel_step in CKernel.h):
 *
 *    0  s64 number        system call, or: 0 end, -1 wait, -2 advance; with bit 32: a call of the i386
 *                         table, made by int $0x80
 *    8  u64 argument[6]
 *   56  s64 result        written by the loop
 *   64  u32 check         0 ignore, 1 no error, 2 equals `expected`
 *   68  u32 references    bit i: argument[i] is the address of the value
 *   72  s64 expected
 *
 * Registers: rbx the step, r12 the task's status slot, r13 where `end` goes; r14 keeps rbx over int $0x80.
 * The loop uses no stack and no memory but the step, the slot and what the steps name.
 *
 *   clone3, clone  in the child: r12 = argument[4] (its slot), rbx = argument[5] (its program); of clone, the
 *            kernel does not look at them without CLONE_SETTLS
 *   wait     until the u32 at argument[0] is >= argument[1] (futex)
 *   advance  adds one to the u32 at argument[0] and wakes the tasks that wait for it
 *   int $0x80  is what makes the kernel take a 64-bit task for a 32-bit one for the time of a call: the
 *            frames of its signal handlers, its list of robust locks, its restart block. Arguments are cut
 *            to 32 bits.
 *   end      jumps to r13. Its number is 0 (read), which no step needs: zeroed memory is an empty
 *            program, so a stub whose tool died before it wrote one goes straight home.
 *
 * Status slot: 0 u64 address of the step being executed, 8 u64 state (1 = failed), 16 s64 result.
 * A failed step writes state and result and ends the process with status 99.
 */
#if defined(__x86_64__)

/* The call of the i386 table that eax says, with the arguments of `syscall`: ebx ecx edx esi edi ebp. */
.macro CALL32
    mov  %rbx, %r14
    mov  %eax, %eax
    mov  %edi, %ebx
    mov  %esi, %ecx
    mov  %r10d, %esi
    mov  %r8d, %edi
    mov  %r9d, %ebp
    int  $0x80
    mov  %r14, %rbx
.endm

    .section .rodata
    .balign 16
    .globl ckernel_steploop_start, ckernel_steploop_end
ckernel_steploop_start:
loop_next:
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
    jz   loop_call
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
    jz   loop_call
    mov  (%r9), %r9
loop_call:
    test %rax, %rax
    js   loop_special
    jz   loop_end
    bt   $32, %rax
    jc   loop_call32
    syscall
    test %rax, %rax
    jnz  loop_returned
    cmpl $435, (%rbx)
    je   1f
    cmpl $56, (%rbx)
    jne  loop_returned
1:  mov  40(%rbx), %r12
    mov  48(%rbx), %rbx
    jmp  loop_next
loop_returned:
    mov  %rax, 56(%rbx)
    mov  64(%rbx), %ecx
    test %ecx, %ecx
    jz   loop_ok
    cmp  $2, %ecx
    je   1f
    cmp  $-4095, %rax
    jae  loop_failed
    jmp  loop_ok
1:  cmp  72(%rbx), %rax
    jne  loop_failed
loop_ok:
    add  $80, %rbx
    jmp  loop_next
loop_special:
    cmp  $-2, %rax
    je   2f
1:  mov  (%rdi), %edx          /* wait */
    cmp  %esi, %edx
    jae  loop_ok
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
    jmp  loop_ok
loop_call32:
    CALL32
    jmp  loop_returned
loop_end:
    jmp  *%r13
loop_failed:
    mov  %rax, 16(%r12)
    movq $1, 8(%r12)
    mov  $231, %eax            /* exit_group */
    mov  $99, %edi
    syscall
    ud2
ckernel_steploop_end:

/* The stub lies in the slack of an original task's vdso. The tool fills the words at its head, then
 * sets the instruction pointer to stub_entry. If the tool dies at any instant, the stub finds its own
 * way: it runs what it was given, waits at most stub_wait, unmaps its working memory, restores mask and
 * registers, and jumps to where the kernel would have gone on. The stack is written only below the red
 * zone, and only on that lonely way home.
 *
 * It is 64-bit code in 32-bit tasks, too: the tool enters it with the 64-bit code segment, and its last
 * jump takes the 32-bit one back. The slack of their vdso is short (623 bytes of Linux 6.18), so the
 * stub has a loop of its own that does nothing but make calls: no references, no checks (`result` tells
 * the tool), no wait, no advance; of a child it knows only that clone goes on there at argument[5]. r15 points into the head, so that one byte is enough for its words. */
#define BASE 128
#define OF(offset) offset-BASE(%r15)
#define MASK 0
#define ALL 8
#define MEMORY 16
#define SIZE 24
#define WAIT 32
#define REGISTER(number) 48+8*number
    .balign 16
    .globl ckernel_stub_start, ckernel_stub_end, ckernel_stub_entry, ckernel_stub_home, ckernel_stub_far
ckernel_stub_start:
stub_mask:    .quad 0                  /*   0 the thread's own signal mask */
stub_all:     .quad -1                 /*   8 */
stub_memory:  .quad 0                  /*  16 where working memory goes */
stub_size:    .quad 0                  /*  24 its size */
stub_wait:    .quad 0, 0               /*  32 timespec of the last step */
stub_regs:    .fill 18, 8, 0           /*  48 rax rbx rcx rdx rsi rdi rbp r8..r15 rsp rip flags */
stub_away:    .long 0                  /* 192 eip and cs of 32-bit code; rip is then ckernel_stub_far */
              .word 0, 0
ckernel_stub_entry:
    lea  BASE+stub_mask(%rip), %r15
    xor  %edx, %edx
    lea  14(%rdx), %eax                /* rt_sigprocmask(SIG_SETMASK, all) */
    lea  2(%rdx), %edi
    lea  OF(ALL), %rsi
    lea  8(%rdx), %r10d
    syscall
    lea  9(%rdx), %eax                 /* mmap(memory, size, RW, PRIVATE|ANONYMOUS|FIXED_NOREPLACE) */
    mov  OF(MEMORY), %rdi
    mov  OF(SIZE), %rsi
    mov  $3, %dl
    mov  $0x100022, %r10d
    or   $-1, %r8
    xor  %r9d, %r9d
    syscall
    cmp  OF(MEMORY), %rax
    jne  stub_unmapped
    lea  64(%rax), %rbx                /* the program; the word at 0 says "done" */
stub_next:
    mov  (%rbx), %rax
    mov  8(%rbx), %rdi
    mov  16(%rbx), %rsi
    mov  24(%rbx), %rdx
    mov  32(%rbx), %r10
    mov  40(%rbx), %r8
    mov  48(%rbx), %r9
    test %rax, %rax
    jz   stub_done
    bt   $32, %rax
    jc   stub_call32
    syscall
stub_returned:
    mov  %rax, 56(%rbx)
    test %rax, %rax
    jnz  1f
    cmpl $56, (%rbx)                   /* the child of clone goes on at argument[5] */
    jne  1f
    mov  48(%rbx), %rbx
    jmp  stub_next
1:  add  $80, %rbx
    jmp  stub_next
stub_call32:
    CALL32
    jmp  stub_returned
stub_done:
    mov  OF(MEMORY), %rdx
    movb $1, (%rdx)
    xor  %edi, %edi
    xor  %esi, %esi
    mov  $271, %eax                    /* ppoll(NULL, 0, wait): bounded, leaves no restart block */
    lea  OF(WAIT), %rdx
    xor  %r10d, %r10d
    xor  %r8d, %r8d
    syscall
ckernel_stub_home:
    lea  BASE+stub_mask(%rip), %r15
    mov  $11, %eax                     /* munmap */
    mov  OF(MEMORY), %rdi
    mov  OF(SIZE), %rsi
    syscall
stub_unmapped:
    mov  OF(REGISTER(15)), %rsp
    xor  %edx, %edx
    lea  14(%rdx), %eax                /* rt_sigprocmask(SIG_SETMASK, the thread's own) */
    lea  2(%rdx), %edi
    lea  OF(MASK), %rsi
    lea  8(%rdx), %r10d
    syscall
    lea  -128(%rsp), %rsp
    pushq OF(REGISTER(17))
    popfq
    lea  128(%rsp), %rsp
    mov  OF(REGISTER(0)), %rax
    mov  OF(REGISTER(1)), %rbx
    mov  OF(REGISTER(2)), %rcx
    mov  OF(REGISTER(3)), %rdx
    mov  OF(REGISTER(4)), %rsi
    mov  OF(REGISTER(5)), %rdi
    mov  OF(REGISTER(6)), %rbp
    mov  OF(REGISTER(7)), %r8
    mov  OF(REGISTER(8)), %r9
    mov  OF(REGISTER(9)), %r10
    mov  OF(REGISTER(10)), %r11
    mov  OF(REGISTER(11)), %r12
    mov  OF(REGISTER(12)), %r13
    mov  OF(REGISTER(13)), %r14
    mov  OF(REGISTER(14)), %r15
    jmp  *16*8+stub_regs(%rip)
ckernel_stub_far:                      /* home to 32-bit code: takes cs along, and needs no stack */
    ljmp *stub_away(%rip)
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
clone_into_loop:
    syscall
    test %rax, %rax
    jz   1f
    pop  %r13
    pop  %r12
    pop  %rbx
    ret
1:  jmp  *%r9
    .size ckernel_clone3_into_loop, . - ckernel_clone3_into_loop

/* long ckernel_clone_into_loop(flags, program, slot, loop): the same by clone. */
    .globl ckernel_clone_into_loop
    .type ckernel_clone_into_loop, @function
ckernel_clone_into_loop:
    push %rbx
    push %r12
    push %r13
    mov  %rsi, %rbx
    mov  %rdx, %r12
    mov  %rcx, %r9
    xor  %r13d, %r13d
    xor  %esi, %esi
    xor  %edx, %edx
    xor  %r10d, %r10d
    xor  %r8d, %r8d
    mov  $56, %eax
    jmp  clone_into_loop
    .size ckernel_clone_into_loop, . - ckernel_clone_into_loop
#endif
    .section .note.GNU-stack,"",@progbits
