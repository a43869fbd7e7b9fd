//go:build native

// Products of floats (simd.h).

// What multiplies: f32 weights, bf16 and s8 weights widened in registers, or pairs
// of bf16 by the dot instruction.
enum { MUL_F32, MUL_BF16, MUL_S8, MUL_DOT };

// stretch is what a tile works on: kn inputs (a multiple of 4) of some blocks, from the first
// block's weights w on, blocks ws bytes apart, and rows of activations lda bytes
// apart. What it computes is added to init (NULL: zero) and written to c.
typedef struct {
	const char *w;
	size_t ws;
	const char *a;
	size_t lda;
	float *c;
	size_t ldc;
	const float *init;
	size_t ldi;
	int32_t kn;
} stretch;

// tile computes mr rows × nb blocks.
IN void tile(const int mul, const int mr, const int nb, const stretch *s)
{
	const char *const w = s->w, *const a = s->a;
	const size_t ws = s->ws, lda = s->lda;
	const int32_t kn = s->kn;
	vf acc[TILE_M][LINE_B * VB];
#pragma GCC unroll 16
	for (int i = 0; i < mr; i++)
#pragma GCC unroll 8
		for (int j = 0; j < nb * VB; j++)
			acc[i][j] = v_set(0);
	for (int32_t k = 0; k < kn; k += mul == MUL_S8 ? 4 : 2) {
		if (mul == MUL_S8) {
#pragma GCC unroll 4
			for (int h = 0; h < 4; h++) {
				vf v[LINE_B * VB];
#pragma GCC unroll 8
				for (int j = 0; j < nb * VB; j++)
					v[j] = v_byte(w + (j / VB) * ws + (size_t)k * PL_LANES + (j % VB) * VL * 4, h);
#pragma GCC unroll 16
				for (int i = 0; i < mr; i++) {
					vf x = v_at((const float *)(a + i * lda) + k + h);
#pragma GCC unroll 8
					for (int j = 0; j < nb * VB; j++)
						acc[i][j] = v_fma(v[j], x, acc[i][j]);
				}
			}
		} else if (mul == MUL_F32) {
#pragma GCC unroll 2
			for (int h = 0; h < 2; h++) {
				vf v[LINE_B * VB];
#pragma GCC unroll 8
				for (int j = 0; j < nb * VB; j++)
					v[j] = v_load((const float *)(w + (j / VB) * ws) + ((size_t)k + h) * PL_LANES + (j % VB) * VL);
#pragma GCC unroll 16
				for (int i = 0; i < mr; i++) {
					vf x = v_at((const float *)(a + i * lda) + k + h);
#pragma GCC unroll 8
					for (int j = 0; j < nb * VB; j++)
						acc[i][j] = v_fma(v[j], x, acc[i][j]);
				}
			}
		} else if (mul == MUL_BF16) {
			vf v[LINE_B * VB];
#pragma GCC unroll 8
			for (int j = 0; j < nb * VB; j++)
				v[j] = v_even(w + (j / VB) * ws + (size_t)k * 32 + (j % VB) * VL * 4);
#pragma GCC unroll 16
			for (int i = 0; i < mr; i++) {
				vf x = v_at((const float *)(a + i * lda) + k);
#pragma GCC unroll 8
				for (int j = 0; j < nb * VB; j++)
					acc[i][j] = v_fma(v[j], x, acc[i][j]);
			}
#pragma GCC unroll 8
			for (int j = 0; j < nb * VB; j++)
				v[j] = v_odd(w + (j / VB) * ws + (size_t)k * 32 + (j % VB) * VL * 4);
#pragma GCC unroll 16
			for (int i = 0; i < mr; i++) {
				vf x = v_at((const float *)(a + i * lda) + k + 1);
#pragma GCC unroll 8
				for (int j = 0; j < nb * VB; j++)
					acc[i][j] = v_fma(v[j], x, acc[i][j]);
			}
		} else {
#ifdef HAVE_DOT
#pragma GCC unroll 16
			for (int i = 0; i < mr; i++)
#pragma GCC unroll 8
				for (int j = 0; j < nb; j++)
					acc[i][j] = v_dot(acc[i][j], w + j * ws + (size_t)k * 32, a + i * lda + (size_t)k * 2);
#endif
		}
	}
#pragma GCC unroll 16
	for (int i = 0; i < mr; i++)
#pragma GCC unroll 8
		for (int j = 0; j < nb * VB; j++) {
			vf t = s->init ? v_load(s->init + i * s->ldi + j * VL) : v_set(0);
			v_store(s->c + i * s->ldc + j * VL, t + acc[i][j]);
		}
}

#define DEFINE(mul, nb, mr) \
	FN __attribute__((noinline)) void tile_##mul##_##nb##_##mr(const stretch *s) \
	{ \
		tile(mul, mr <= (mul == MUL_S8 ? TILE_SM : TILE_M) ? mr : 1, nb <= TILE_B ? nb : 1, s); \
	}

ROWS(DEFINE, MUL_F32, 1)
ROWS(DEFINE, MUL_F32, 2)
ROWS(DEFINE, MUL_BF16, 1)
ROWS(DEFINE, MUL_BF16, 2)
ROWS(DEFINE, MUL_S8, 1)
ROWS(DEFINE, MUL_S8, 2)
#ifdef HAVE_DOT
ROWS(DEFINE, MUL_DOT, 1)
ROWS(DEFINE, MUL_DOT, 2)
#endif

// tiles are by kind of product, blocks and rows (both less one).
static void (*const tiles[4][2][12])(const stretch *) = {
	TILES(MUL_F32),
	TILES(MUL_BF16),
	TILES(MUL_S8),
#ifdef HAVE_DOT
	TILES(MUL_DOT),
#endif
};

// rows runs tiles of nb blocks over all m rows of a stretch, in tiles of about equal
// height: 13 rows are 7 and 6, since a tile of one row waits for its own additions.
FN void rows(const int mul, const int nb, int32_t m, stretch s)
{
	const int32_t most = mul == MUL_S8 ? TILE_SM : TILE_M;
	while (m > 0) {
		const int32_t count = (m + most - 1) / most, high = (m + count - 1) / count;
		tiles[mul][nb - 1][high - 1](&s);
		s.a += high * s.lda;
		s.c += high * s.ldc;
		s.init = s.init ? s.init + high * s.ldi : NULL;
		m -= high;
	}
}

// product runs one matrix product over blocks [b0, b1). A single row takes
// LINE_B blocks at once, so that enough chains are under way and several streams
// of weights are read; more rows take the register tile.
IN void product(const int mul, const pl_gemm *g, int32_t b0, int32_t b1)
{
	const size_t wsz = mul == MUL_F32 ? 4 : mul == MUL_S8 ? 1 : 2, asz = mul == MUL_DOT ? 2 : 4;
	const int32_t most = g->m == 1 ? LINE_B : TILE_B;
	const size_t ws = (size_t)g->w->k * PL_LANES * wsz;
	for (int32_t b = b0; b < b1;) {
		const int32_t nb = b1 - b >= most ? most : 1;
		const size_t column = (size_t)(b - b0) * PL_LANES;
		stretch s = {
			.w = (const char *)g->w->data + b * ws, .ws = ws,
			.a = g->a, .lda = g->lda * asz,
			.c = g->c + column, .ldc = g->ldc,
			.init = g->init ? g->init + column : NULL, .ldi = g->ldi,
		};
		for (int32_t k = 0; k < g->k; k += PL_KBLOCK) {
			s.kn = g->k - k < PL_KBLOCK ? g->k - k : PL_KBLOCK;
			if (g->m > 1)
				rows(mul, nb, g->m, s);
			else if (nb == LINE_B)
				tile(mul, 1, LINE_B, &s);
			else
				tile(mul, 1, 1, &s);
			s.w += (size_t)PL_KBLOCK * PL_LANES * wsz;
			s.a += PL_KBLOCK * asz;
			s.init = s.c;
			s.ldi = s.ldc;
		}
		b += nb;
	}
}

FN void product_f32(const pl_gemm *g, int32_t b0, int32_t b1) { product(MUL_F32, g, b0, b1); }
FN void product_bf16(const pl_gemm *g, int32_t b0, int32_t b1) { product(MUL_BF16, g, b0, b1); }
FN void product_s8(const pl_gemm *g, int32_t b0, int32_t b1) { product(MUL_S8, g, b0, b1); }

FN void gemm(const pl_gemm *g, int32_t b0, int32_t b1)
{
	if (g->w->type == PL_F32)
		product_f32(g, b0, b1);
	else if (g->w->type == PL_BF16)
		product_bf16(g, b0, b1);
	else
		product_s8(g, b0, b1);
}

#ifdef HAVE_DOT
FN void gemm_dot(const pl_gemm *g, int32_t b0, int32_t b1) { product(MUL_DOT, g, b0, b1); }
#endif
