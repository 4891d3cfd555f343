/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Vector registers hold keys after a cipher has used them, and whatever saves registers
 * writes them to memory: a signal frame, the dynamic linker at the first call of a
 * function, a core dump. So who has used a key wipes them before it returns.
 */
#ifndef SYNFRONT_WIPE_H
#define SYNFRONT_WIPE_H

#define WIPE_LOW16                                                                               \
	"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
		"xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

/* Of code that uses no more than SSE. */
static inline __attribute__((always_inline)) void
wipe_xmm(void)
{
	__asm__ volatile("pxor %%xmm0, %%xmm0\n\tpxor %%xmm1, %%xmm1\n\t"
	                 "pxor %%xmm2, %%xmm2\n\tpxor %%xmm3, %%xmm3\n\t"
	                 "pxor %%xmm4, %%xmm4\n\tpxor %%xmm5, %%xmm5\n\t"
	                 "pxor %%xmm6, %%xmm6\n\tpxor %%xmm7, %%xmm7\n\t"
	                 "pxor %%xmm8, %%xmm8\n\tpxor %%xmm9, %%xmm9\n\t"
	                 "pxor %%xmm10, %%xmm10\n\tpxor %%xmm11, %%xmm11\n\t"
	                 "pxor %%xmm12, %%xmm12\n\tpxor %%xmm13, %%xmm13\n\t"
	                 "pxor %%xmm14, %%xmm14\n\tpxor %%xmm15, %%xmm15" ::
	                         : WIPE_LOW16);
}

/* Of code that uses AVX. */
static inline __attribute__((always_inline, target("avx2"))) void
wipe_ymm(void)
{
	__asm__ volatile("vzeroall" ::: WIPE_LOW16);
}

/* Of code that uses AVX-512. */
static inline __attribute__((always_inline, target("avx512f"))) void
wipe_zmm(void)
{
	__asm__ volatile("vzeroall\n\t"
	                 "vpxorq %%zmm16, %%zmm16, %%zmm16\n\tvpxorq %%zmm17, %%zmm17, %%zmm17\n\t"
	                 "vpxorq %%zmm18, %%zmm18, %%zmm18\n\tvpxorq %%zmm19, %%zmm19, %%zmm19\n\t"
	                 "vpxorq %%zmm20, %%zmm20, %%zmm20\n\tvpxorq %%zmm21, %%zmm21, %%zmm21\n\t"
	                 "vpxorq %%zmm22, %%zmm22, %%zmm22\n\tvpxorq %%zmm23, %%zmm23, %%zmm23\n\t"
	                 "vpxorq %%zmm24, %%zmm24, %%zmm24\n\tvpxorq %%zmm25, %%zmm25, %%zmm25\n\t"
	                 "vpxorq %%zmm26, %%zmm26, %%zmm26\n\tvpxorq %%zmm27, %%zmm27, %%zmm27\n\t"
	                 "vpxorq %%zmm28, %%zmm28, %%zmm28\n\tvpxorq %%zmm29, %%zmm29, %%zmm29\n\t"
	                 "vpxorq %%zmm30, %%zmm30, %%zmm30\n\tvpxorq %%zmm31, %%zmm31, %%zmm31" ::
	                         : WIPE_LOW16, "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21",
	                           "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28",
	                           "xmm29", "xmm30", "xmm31");
}

#endif
